"""Cleaning of items and users."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tfrec.data.shop_files import (
    ingested,
    line_of,
    rows_of,
    rule_of,
)
from tfrec.data.ingest import ingest
from tfrec.data.mapping import mapping_from_flags, read_mapping
from tfrec.errors import DataError


def test_an_item_described_twice_becomes_one_row_with_its_gaps_filled(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,,Food,,1 kg\nb,Rice,Food,,\n"
    items += "a,Spaghetti,Food,Pasta,2 kg\na,Penne,,,\n,x,,,\n"
    report = ingested(tmp_path, lines=line_of() + line_of(item="b"), items=items)
    # The first row of a lacks only the title, so it gets Spaghetti; its category and size stay.
    rows = {row["item_id"]: row for row in rows_of(report.tables, "items").to_pylist()}
    assert sorted(rows) == ["a", "b"]
    assert (rows["a"]["title"], rows["a"]["category"], rows["a"]["size"]) == ("Spaghetti", "Food", "1 kg")
    assert (rows["b"]["title"], rows["b"]["size"]) == ("Rice", None)
    assert rule_of(report, "items", "missing item_id")["dropped"] == 1
    assert rule_of(report, "items", "described twice")["dropped"] == 2
    assert rule_of(report, "items", "gaps filled from the later rows")["changed"] == 1
    assert pq.read_table(report.rejected / "items.parquet")["title"].to_pylist() == [
        "Spaghetti",
        "Penne",
        "x",
    ]


def test_an_item_that_was_sold_but_never_described_becomes_a_stub(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,Spaghetti,Food,Pasta,\nb,,,,\n"
    report = ingested(tmp_path, lines=line_of() + line_of(item="ghost") * 2, items=items)
    rows = {row["item_id"]: row for row in rows_of(report.tables, "items").to_pylist()}
    assert rows["a"]["category"] == "Food > Pasta"
    assert rows["b"]["title"] == ""
    assert rows["ghost"] == {**dict.fromkeys(rows["a"]), "item_id": "ghost", "title": ""}
    stub = {"table": "items", "rule": "sold but never described", "dropped": 0, "kept": 3, "changed": 1}
    assert rule_of(report, "items", "sold but never described") == stub
    assert rule_of(report, "items", "item without a title")["changed"] == 1


def test_profiles_are_strings_and_a_users_first_row_is_kept(tmp_path: Path) -> None:
    users = '{"user_id": "u1", "age": 34}\n{"user_id": "u1", "age": 99}\n{"age": 1}\n{"user_id": "u7"}\n'
    report = ingested(tmp_path, lines=line_of() + line_of(user="u2"), users=users)
    rows = rows_of(report.tables, "users")
    assert rows.schema == pa.schema([pa.field("user_id", pa.string(), nullable=False), pa.field("age", pa.string())])
    assert sorted(rows.to_pylist(), key=lambda row: row["user_id"]) == [
        {"user_id": "u1", "age": "34"},
        {"user_id": "u7", "age": None},
    ]
    assert report.tables.manifest.profile_columns == ("age",)
    assert rule_of(report, "users", "missing user_id")["dropped"] == 1
    assert rule_of(report, "users", "described twice")["dropped"] == 1


def test_items_and_users_in_the_log_get_their_most_common_description(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,name,city\n"
        "u1,a,2024-01-01,Cup?,Lyon\nu1,a,2024-01-02,Red cup,Paris\n"
        "u1,a,2024-01-03,Red cup,Paris\nu2,a,2024-01-04,,\n"
        "u2,b,2024-01-04,Tea,\nu2,b,2024-01-05,Green tea,\nu2,c,2024-01-05,,\n"
    )
    log = str(tmp_path / "log.csv")
    mapping = mapping_from_flags(log, log, log, columns=["items.title=name", "users.city=city"], kind="view")
    tables = ingest(mapping, tmp_path / "out").tables
    titles = {row["item_id"]: row["title"] for row in rows_of(tables, "items").to_pylist()}
    # a: Red cup twice, Cup? once. b: one each, the earlier is used. c: none.
    assert titles == {"a": "Red cup", "b": "Tea", "c": ""}
    assert {row["user_id"]: row["city"] for row in rows_of(tables, "users").to_pylist()} == {
        "u1": "Paris",
        "u2": None,
    }


def test_ids_with_commas_quotes_and_chinese_round_trip(tmp_path: Path) -> None:
    ids = ["a,b", 'say "hi"', "用户 7", "NA", "007", "o'neil", "1e5"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in ids]
    report = ingested(tmp_path, partitions=5, lines="".join(line_of(user=name, item=name) for name in quoted))
    rows = rows_of(report.tables, "interactions")
    assert sorted(rows["user_id"].to_pylist()) == sorted(ids)
    assert rows["item_id"] == rows["user_id"]
    assert set(rows_of(report.tables, "items")["item_id"].to_pylist()) == {*ids, "a"}


def test_titles_keep_their_length_and_lose_control_characters(tmp_path: Path) -> None:
    long = "面条 " * 3333 + "x"  # 3 * 3,333 + 1 = 10,000 characters
    items = f'sku,name,aisle,shelf,size\na,{long},,,\nb,"NUL\x00 and\nline\x85feed ",,,\nc, \x7f ,,,\n'
    report = ingested(tmp_path, lines=line_of(), items=items)
    titles = {row["item_id"]: row["title"] for row in rows_of(report.tables, "items").to_pylist()}
    assert titles == {"a": long, "b": "NUL  and line feed", "c": ""}
    assert len(titles["a"]) == 10_000


def test_items_without_titles_are_read_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "items.csv").write_text("item_id,shelf\na,Pasta\n")
    mapping = "interactions: {path: log.csv, kind: view}\nitems: {path: items.csv, columns: {category: shelf}}\n"
    (tmp_path / "shop.yaml").write_text(mapping)
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1)
    [item] = rows_of(report.tables, "items").to_pylist()
    assert (item["item_id"], item["title"], item["category"]) == ("a", "", "Pasta")
    assert "items.csv has no column 'title'; it is null, map another column to it" in caplog.text


def test_a_title_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "items.csv").write_text("item_id,shelf\na,Pasta\n")
    mapping = "interactions: {path: log.csv, kind: view}\nitems: {path: items.csv, columns: {title: title}}\n"
    (tmp_path / "shop.yaml").write_text(mapping)
    with pytest.raises(DataError, match=r"items\.csv has no column 'title', it has 'item_id', 'shelf'"):
        ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1)
