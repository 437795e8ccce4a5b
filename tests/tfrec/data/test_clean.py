"""Ids of several files and tables are one form."""

from __future__ import annotations

from pathlib import Path

from tests.tfrec.data.shop_files import (
    ITEM_LINES,
    MAPPING,
    ids_of,
    ingest_days,
    ingested,
    line_of,
    rows_of,
    rule_of,
)
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping


def test_ids_that_pandas_wrote_as_floats_become_integers(tmp_path: Path) -> None:
    report = ingest_days(tmp_path, "17850.0,7.5,2024-01-01\n,1.0,2024-01-02\n", "3.0,2.0,2024-01-01\n")
    assert ids_of(report, "interactions", "user_id") == ["17850", "3"]
    # The item id 7.5 is not whole, so all item ids stay unchanged.
    assert ids_of(report, "items", "item_id") == ["2.0", "7.5"]


def test_floats_of_one_file_and_integers_of_the_next_are_the_same_users(tmp_path: Path) -> None:
    report = ingest_days(tmp_path, "17.0,a,2024-01-01\n,b,2024-01-02\n5.0,b,2024-01-02\n", "17,c,2024-01-03\n")
    assert ids_of(report, "interactions", "user_id") == ["17", "5"]
    assert rule_of(report, "interactions", "'.0' removed from user_id")["changed"] == 2


def test_ids_of_a_log_lose_the_tail_only_together_with_those_of_the_catalog(tmp_path: Path) -> None:
    report = ingest_days(tmp_path, "u,2.0,2024-01-01\n", items="2.0,Release 2\n2.1,Release 2.1\n")
    assert ids_of(report, "items", "item_id") == ["2.0", "2.1"]
    assert ids_of(report, "interactions", "item_id") == ["2.0"]


def test_words_that_no_id_is_made_of_are_missing_ids(tmp_path: Path) -> None:
    words = ["NULL", r"\N", "NaN", "None", "undefined", "NA"]  # NA may be an id
    report = ingest_days(tmp_path, "".join(f"{word},a,2024-01-01\n" for word in words))
    assert ids_of(report, "interactions", "user_id") == ["NA"]
    assert rule_of(report, "interactions", "missing word as user_id")["changed"] == 5
    assert rule_of(report, "interactions", "missing user_id")["dropped"] == 5


def test_a_mapping_names_further_words_for_missing_values(tmp_path: Path) -> None:
    mapping = MAPPING.replace("  kinds:", "  missing: [NA, guest]\n  kinds:").replace(
        "path: items.csv", "path: items.csv\n  missing: ['?']"
    )
    report = ingested(
        tmp_path,
        lines=line_of() + line_of(user="NA") + line_of(user=" guest"),
        mapping=mapping,
        items=ITEM_LINES.replace("Pasta", "?"),
    )
    assert ids_of(report, "interactions", "user_id") == ["u1"]
    assert rule_of(report, "interactions", "missing user_id")["dropped"] == 2
    assert rows_of(report.tables, "items")["category"].to_pylist() == ["Food"]


ANONYMOUS = """\
{"user": null, "cookie": "c1", "item": "a", "time": "2024-03-01T10:00:00Z"}
{"user": "u1", "cookie": "c1", "item": "b", "time": "2024-03-01T10:05:00Z"}
{"user": "u1", "cookie": "c9", "item": "c", "time": "2024-03-02T10:05:00Z"}
{"user": "NULL", "cookie": "c9", "item": "d", "time": "2024-03-02T10:06:00Z"}
{"user": null, "cookie": "shared", "item": "e", "time": "2024-03-03T10:00:00Z"}
{"user": "u1", "cookie": "shared", "item": "e", "time": "2024-03-03T11:00:00Z"}
{"user": "u2", "cookie": "shared", "item": "e", "time": "2024-03-03T12:00:00Z"}
{"user": " ", "cookie": "c5", "item": "f", "time": "2024-03-04T10:00:00Z"}
"""


def test_the_first_known_user_id_counts_and_anonymous_events_join_the_user_that_signs_in(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(ANONYMOUS)
    columns = "{user_id: [user, cookie], item_id: item, timestamp: time}"
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.jsonl, kind: view, columns: {columns}}}")
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    pairs = {(row["user_id"], row["item_id"]) for row in rows_of(report.tables, "interactions").to_pylist()}
    # Cookies c1 and c9 are u1's; u1 and u2 use the shared one, and nobody signs in with c5.
    assert pairs == {*(("u1", item) for item in "abcde"), ("shared", "e"), ("u2", "e"), ("c5", "f")}
    assert rule_of(report, "interactions", "anonymous event joined to a user")["changed"] == 2


def test_clicks_with_a_cookie_alone_join_the_user_of_the_orders(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("cookie,item_id,timestamp\nc1,a,2024-03-01\nc2,b,2024-03-01\n")
    (tmp_path / "orders.csv").write_text("user_id,cookie,item_id,timestamp\nu1,c1,a,2024-03-02\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  - {path: clicks.csv, kind: click, columns: {user_id: cookie}}\n"
        "  - {path: orders.csv, kind: purchase, columns: {user_id: [user_id, cookie]}}\n"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    rows = rows_of(report.tables, "interactions").to_pylist()
    assert sorted((row["user_id"], row["kind"]) for row in rows) == [
        ("c2", "click"),
        ("u1", "click"),
        ("u1", "purchase"),
    ]
