"""Reading of several raw tables, broken rows and nested values."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow.parquet as pq

from tests.tfrec.data.shop_files import (
    LINES,
    ingested,
    rows_of,
    rule_of,
)
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping
from tfrec.schema import read_table_set


def test_tables_of_interactions_are_read_together_each_with_its_columns_and_time_format(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("buyer,sku,day,paid\nu1,a,31/01/2024,2.5\n", encoding="utf-8")
    (tmp_path / "more.csv").write_text("buyer,sku,day,paid\nu2,a,01/02/2024,3\n", encoding="utf-8")
    (tmp_path / "clicks.csv").write_text("user_id,item_id,at\nu1,b,1706749200\n", encoding="utf-8")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "- path: [orders.csv, more.csv, orders.csv]\n"
        "  kind: purchase\n"
        "  columns: {user_id: buyer, item_id: sku, timestamp: day, price: paid}\n"
        "  timestamp_format: '%d/%m/%Y'\n"
        "- path: clicks.csv\n"
        "  kind: click\n"
        "  columns: {timestamp: at}\n"
        "  timestamp_format: seconds\n",
        encoding="utf-8",
    )
    tables = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables
    rows = rows_of(tables, "interactions").select(["user_id", "item_id", "kind", "timestamp", "price"]).to_pylist()
    day = datetime.datetime(2024, 1, 31, tzinfo=datetime.UTC)
    # 1706749200 is 2024-02-01 01:00; a file named twice is read once.
    assert sorted(tuple(row.values()) for row in rows) == [
        ("u1", "a", "purchase", day, 2.5),
        ("u1", "b", "click", day + datetime.timedelta(hours=25), None),
        ("u2", "a", "purchase", day + datetime.timedelta(hours=24), 3.0),
    ]


def test_broken_rows_are_counted_and_stored_with_their_file_and_line(tmp_path: Path) -> None:
    report = ingested(tmp_path, lines=LINES + "u9,a,buy\n")
    assert report.rows_read["interactions"] == 14
    assert report.tables.manifest.rules[0] == {
        **{"table": "interactions", "rule": "broken row", "dropped": 1, "kept": 13, "changed": 0},
    }
    broken = pq.read_table(report.rejected / "interactions.parquet").to_pylist()[0]
    # The header is line 1 of the file, the 13 good rows are lines 2 to 14.
    assert {name: value for name, value in broken.items() if value is not None} == {
        **{"rule": "broken row", "file": "log.csv", "line": 15, "text": "u9,a,buy"},
        "reason": "has 3 columns, expected 7",
    }


def test_the_snapshot_of_a_moved_folder_with_a_broken_row_is_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ingested(tmp_path / name, lines=LINES + "u9,a,buy\n")
    one, two = (read_table_set(tmp_path / name / "out").manifest.snapshot for name in ("one", "two"))
    assert one == two


def test_an_event_for_each_item_in_its_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"user": 1, "at": 1709287200, "name": "purchase", "items": [{"id": "a", "n": 2}, {"id": "b", "n": 1}]}\n'
        '{"user": 2, "at": 1709287300, "name": "view", "items": {"id": "a"}}\n'
    )
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  path: log.jsonl\n"
        "  columns: {user_id: user, item_id: items.id, timestamp: at, kind: name, quantity: items.n}\n"
    )
    tables = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables
    rows = rows_of(tables, "interactions").select(["user_id", "item_id", "kind", "quantity"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("1", "a", "purchase", 2.0),
        ("1", "b", "purchase", 1.0),
        ("2", "a", "view", None),
    ]


def test_html_and_several_paths_of_a_category_are_read_and_counted(tmp_path: Path) -> None:
    items = "sku,name,path\na,Salt &amp; pepper,Food|Food / Spices\nb,Cup,Home\n"
    mapping = "interactions: {path: log.csv, kind: view, columns: {user_id: user, item_id: item, timestamp: when}}\n"
    mapping += "items: {path: items.csv, columns: {item_id: sku, title: name, category: path}, category_paths: '|',"
    report = ingested(tmp_path, items=items, mapping=mapping + " category_levels: '/'}\n")
    described = {row["title"]: row["category"] for row in rows_of(report.tables, "items").to_pylist()}
    assert described == {"Cup": "Home", "Salt & pepper": "Food > Spices"}
    assert rule_of(report, "items", "HTML in title")["changed"] == 1
    assert rule_of(report, "items", "several paths of a category")["changed"] == 1
