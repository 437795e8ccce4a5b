"""Columns beside the usual ones: feedback, context, numbers and vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tfrec.data.shop_files import (
    rows_of,
    rule_of,
)
from tfrec.data.ingest import IngestReport, ingest
from tfrec.data.lookup import read_user
from tfrec.data.mapping import read_mapping
from tfrec.errors import DataError
from tfrec.schema import read_table_set

KINDS_MAPPING = """\
interactions:
  path: log.csv
  columns: {kind: event, quantity: n}
  kinds: {shown: impression, refund: return, wishlist: favorite}
"""


def _ingest_kinds(tmp_path: Path, lines: str) -> IngestReport:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,event,n\n" + lines)
    (tmp_path / "shop.yaml").write_text(KINDS_MAPPING)
    return ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")


def test_kinds_for_later_are_stored_and_counted_and_give_no_bounds(tmp_path: Path) -> None:
    report = _ingest_kinds(
        tmp_path,
        "u,a,2024-01-02,purchase,1\nu,a,2024-01-03,refund,-1\nu,b,2024-01-04,shown,\nu,c,2024-01-01,wishlist,\n",
    )
    kinds = {row["kind"]: row["quantity"] for row in rows_of(report.tables, "interactions").to_pylist()}
    assert kinds == {"purchase": 1.0, "return": -1.0, "impression": None, "favorite": None}
    assert rule_of(report, "interactions", "kind that no training uses yet")["changed"] == 1
    # 2024-01-02 is 19,724 days after 1970; a return or impression would move the split's windows.
    manifest = report.tables.manifest
    assert manifest.first_timestamp == 19_723 * 86_400
    assert manifest.last_timestamp == 19_724 * 86_400
    assert read_user(report.tables, "u").history["kind"].tolist() == ["favorite", "purchase", "return"]


FURTHER_MAPPING = """\
interactions:
  path: log.csv
  columns: {kind: kind, rating: stars, dwell_seconds: dwell, answer_id: answer}
  context: {store: shop, device: device}
items:
  path: items.jsonl
  numbers: {weight: grams}
  vectors: [image]
users:
  path: users.csv
  profile: [city]
  numbers: [orders]
"""
FURTHER_LINES = """\
user_id,item_id,timestamp,kind,stars,dwell,answer,shop,device
u,a,2024-01-01,rating,"4,5",,,Lyon,
u,b,2024-01-02,view,,12.5,r7,,phone
u,b,2024-01-03,view,,-1,r8,,phone
"""
FURTHER_ITEMS = """\
{"item_id": "a", "title": "Pan", "grams": "1,200", "image": [0.5, 1]}
{"item_id": "b", "title": "Pot", "grams": null, "image": null}
{"item_id": "b", "title": "Pot", "grams": 900.5, "image": [0.25, 2]}
{"item_id": "c", "title": "Cup", "grams": "?", "image": [1]}
"""


def _ingest_further(tmp_path: Path, items: str = FURTHER_ITEMS) -> IngestReport:
    (tmp_path / "log.csv").write_text(FURTHER_LINES)
    (tmp_path / "items.jsonl").write_text(items)
    (tmp_path / "users.csv").write_text("user_id,city,orders\nu,Lyon,3\n")
    (tmp_path / "shop.yaml").write_text(FURTHER_MAPPING)
    return ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 2)


def test_feedback_and_context_of_events_are_stored(tmp_path: Path) -> None:
    report = _ingest_further(tmp_path)
    rows = sorted(rows_of(report.tables, "interactions").to_pylist(), key=lambda row: row["timestamp"])
    names = ("rating", "dwell_seconds", "answer_id", "store", "device")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (4.5, None, None, "Lyon", None),
        (None, 12.5, "r7", None, "phone"),
        (None, None, "r8", None, "phone"),
    ]
    assert sorted(report.tables.manifest.interaction_columns) == sorted(names)
    assert rule_of(report, "interactions", "negative dwell_seconds")["changed"] == 1


def test_numbers_and_vectors_of_items_and_users_are_stored_beside_the_categories(tmp_path: Path) -> None:
    report = _ingest_further(tmp_path)
    rows = {row["item_id"]: row for row in rows_of(report.tables, "items").to_pylist()}
    # b's gaps are filled from its second row; c's vector has another length.
    assert {item: (row["weight"], row["image"]) for item, row in rows.items()} == {
        "a": (1200.0, [0.5, 1.0]),
        "b": (900.5, [0.25, 2.0]),
        "c": (None, None),
    }
    assert rule_of(report, "items", "unreadable image")["changed"] == 1
    assert rows_of(report.tables, "users").to_pylist() == [{"user_id": "u", "city": "Lyon", "orders": 3.0}]
    manifest = report.tables.manifest
    assert (manifest.item_columns, manifest.item_numbers, manifest.item_vectors) == ((), ("weight",), ("image",))
    assert (manifest.profile_columns, manifest.user_numbers) == (("city",), ("orders",))
    assert read_user(report.tables, "u").profile == {"city": "Lyon"}
    assert read_table_set(tmp_path / "out") == report.tables


def test_another_vector_gives_another_snapshot(tmp_path: Path) -> None:
    snapshots = {
        _ingest_further(tmp_path, FURTHER_ITEMS.replace("[0.5, 1]", vector)).tables.manifest.snapshot
        for vector in ("[0.5, 1]", "[0.5, 2]", "null")
    }
    assert len(snapshots) == 3


def test_a_column_without_any_vector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.image holds no vector, for example 'cat\.png'; map lists of numbers"):
        _ingest_further(tmp_path, '{"item_id": "a", "title": "Pan", "grams": 1, "image": "cat.png"}\n')


def test_a_log_of_impressions_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 1 interactions are of kinds that no training uses yet"):
        _ingest_kinds(tmp_path, "u,a,2024-01-02,shown,\n")
