"""Ingest of item states and reviews, and of numbers and choices in any table."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.ingest import IngestReport, ingest
from tfrec.data.mapping import read_mapping
from tfrec.errors import ConfigError
from tfrec.schema import ITEM_STATES, REVIEWS, read_table_set

STATES = """\
sku,valid_from,valid_to,amount,stock,promo,branch
1.0,2024-01-01,2024-02-01,"1,50",12,,
1,2024-02-01 00:00,,"1,25",yes,mailer,Lyon
2,2024-01-01,2024-01-01,2,0,,
2,soon,,2,0,,
2,2024-03-01,,-1,sold out,,
2,2024-03-01,,-1,sold out,,
9,2024-03-01,,3,maybe,,
,2024-03-01,,3,1,,
"""
REVIEW_LINES = """\
{"user_id": "u", "item_id": "1", "timestamp": "2024-01-05", "rating": "4,5", "body": "Good: NULL problems."}
{"user_id": null, "item_id": "2", "timestamp": null, "rating": null, "body": "Broke after a day"}
{"user_id": "u", "item_id": "2", "timestamp": "once", "rating": 5, "body": ""}
{"user_id": "u", "item_id": "2", "timestamp": "2024-01-06", "rating": null, "body": " "}
"""
MAPPING = """\
interactions: {path: log.csv, kind: purchase}
item_states:
  path: states.csv
  columns: {item_id: sku, from: valid_from, until: valid_to, price: amount, in_stock: stock,
            promotion: promo, store: branch}
  timezone: Europe/Berlin
reviews: {path: reviews.jsonl, columns: {stars: rating, text: body}}
"""


def _write(folder: Path, mapping: str = MAPPING) -> Path:
    (folder / "log.csv").write_text("user_id,item_id,timestamp\nu,1,2024-01-01\nu,2,2024-01-02\n")
    (folder / "states.csv").write_text(STATES)
    (folder / "reviews.jsonl").write_text(REVIEW_LINES)
    (folder / "shop.yaml").write_text(mapping)
    return folder / "shop.yaml"


def _rows(report: IngestReport, table: str) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path).read() for path in report.tables.parts(table)])


def _rules(report: IngestReport, table: str) -> dict[str, int]:
    """Rule -> rows that it dropped or changed, where there are any."""
    rules = (rule for rule in report.tables.manifest.rules if rule["table"] == table)
    return {rule["rule"]: rule["dropped"] + rule["changed"] for rule in rules if rule["dropped"] + rule["changed"]}


def _utc(*date: int) -> datetime.datetime:
    return datetime.datetime(*date, tzinfo=datetime.UTC)  # type: ignore[misc, arg-type]


def test_states_of_items_are_read_checked_and_sorted_by_time(tmp_path: Path) -> None:
    report = ingest(read_mapping(_write(tmp_path)), tmp_path / "out", 1)
    states = _rows(report, "item_states")
    assert states.schema.equals(ITEM_STATES)
    # Berlin's midnight is 23:00 UTC of the day before. Item 9 is neither sold nor described.
    assert [tuple(row.values()) for row in states.to_pylist()] == [
        ("1", _utc(2023, 12, 31, 23), _utc(2024, 1, 31, 23), 1.5, True, None, None),
        ("1", _utc(2024, 1, 31, 23), None, 1.25, True, "mailer", "Lyon"),
        ("2", _utc(2024, 2, 29, 23), None, None, False, None, None),
        ("9", _utc(2024, 2, 29, 23), None, 3.0, None, None, None),
    ]
    assert _rules(report, "item_states") == {
        "'.0' removed from item_id": 1,
        "unreadable in_stock": 1,
        "missing item_id": 1,
        "bad timestamp": 1,
        "until not after from": 1,
        "exact duplicate": 1,
        "negative price": 1,
        "item of no other table": 1,
    }


def test_reviews_keep_their_text_and_may_lack_user_and_time(tmp_path: Path) -> None:
    report = ingest(read_mapping(_write(tmp_path)), tmp_path / "out", 2)
    reviews = _rows(report, "reviews")
    assert reviews.schema.equals(REVIEWS)
    by_item = {row["item_id"]: tuple(row.values()) for row in reviews.to_pylist()}
    assert by_item == {
        "1": ("u", "1", _utc(2024, 1, 5), 4.5, "Good: NULL problems."),
        "2": (None, "2", None, None, "Broke after a day"),
    }
    assert _rules(report, "reviews") == {"bad timestamp": 1, "neither stars nor text": 1}
    assert pq.read_table(report.rejected / "reviews.parquet")["rule"].to_pylist() == [
        "bad timestamp",
        "neither stars nor text",
    ]


def test_the_open_ends_of_prices_have_no_limit(tmp_path: Path) -> None:
    lines = ["1,2024-01-01,9999-12-31", "2,0001-01-01,31.12.9999", "3,2024-01-01,99991231", "4,9999-12-31,"]
    (tmp_path / "state.csv").write_text("sku,valid_from,valid_to\n" + "\n".join(lines))
    states = "\nitem_states: {path: state.csv, columns: {from: valid_from, until: valid_to, item_id: sku}}"
    report = ingest(read_mapping(_write(tmp_path, MAPPING.splitlines()[0] + states)), tmp_path / "out", 1)
    rows = {row["item_id"]: (row["from"], row["until"]) for row in _rows(report, "item_states").to_pylist()}
    begin = _utc(2024, 1, 1)
    assert rows == {"1": (begin, None), "2": (_utc(1970, 1, 1), None), "3": (begin, None)}
    rules = _rules(report, "item_states")
    assert (rules["from without a limit"], rules["until without a limit"], rules["bad timestamp"]) == (1, 3, 1)


def test_the_open_ends_of_prices_in_parquet_have_no_limit(tmp_path: Path) -> None:
    times = {"from": datetime.datetime(1, 1, 1), "until": datetime.datetime(9999, 12, 31)}
    states = {name: pa.array([time], pa.timestamp("us")) for name, time in times.items()}
    pq.write_table(pa.table({"item_id": ["1"], **states}), tmp_path / "states.parquet")
    states_mapping = "\nitem_states: {path: states.parquet, columns: {until: until}, timezone: Europe/Berlin}"
    report = ingest(read_mapping(_write(tmp_path, MAPPING.splitlines()[0] + states_mapping)), tmp_path / "out", 1)
    assert [(r["from"], r["until"]) for r in _rows(report, "item_states").to_pylist()] == [(_utc(1970, 1, 1), None)]


def test_a_review_of_1970_has_no_time_where_others_are_later(tmp_path: Path) -> None:
    mapping = _write(tmp_path)
    lines = ['{"item_id": "2", "timestamp": "1970-01-01", "body": "old"}', REVIEW_LINES.splitlines()[0]]
    (tmp_path / "reviews.jsonl").write_text("\n".join(lines))
    report = ingest(read_mapping(mapping), tmp_path / "out", 1)
    assert {r["text"]: r["timestamp"] for r in _rows(report, "reviews").to_pylist()}["old"] is None
    assert _rules(report, "reviews") == {"default timestamp": 1}


def test_a_table_set_names_the_dated_tables_that_it_has(tmp_path: Path) -> None:
    full = ingest(read_mapping(_write(tmp_path)), tmp_path / "out", 2)
    assert full.tables.manifest.rows == {"interactions": 2, "items": 2, "users": 0, "item_states": 4, "reviews": 2}
    assert full.rows_read["item_states"] == 8
    assert read_table_set(tmp_path / "out") == full.tables
    few = ingest(read_mapping(_write(tmp_path, MAPPING.splitlines()[0])), tmp_path / "out", 2)
    assert few.tables.manifest.rows == {"interactions": 2, "items": 2, "users": 0}
    assert not (few.tables.snapshot / "reviews").exists()


def test_the_first_known_value_counts_in_the_users_table_too(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("account,mail,city\n7,a@b.test,Lyon\n,c@d.test,Bern\n")
    users = "\nusers: {path: users.csv, columns: {user_id: [account, mail]}, profile: [city]}"
    report = ingest(read_mapping(_write(tmp_path, MAPPING.splitlines()[0] + users)), tmp_path / "out", 1)
    assert {row["user_id"] for row in _rows(report, "users").to_pylist()} == {"7", "c@d.test"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("reviews: {path: r.csv, columns: {score: s}}", "reviews.columns names 'score', expected one of user_id, it"),
        ("item_states: {path: s.csv, kind: view}", "item_states has unknown 'kind'; it takes path"),
        ("item_states: {path: s.csv, timezone: Mars}", "item_states.timezone is 'Mars', expected a zone"),
    ],
)
def test_a_wrong_dated_table_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read_mapping(_write(tmp_path, MAPPING.splitlines()[0] + "\n" + line))


def test_flags_are_words_and_counts() -> None:
    from tfrec.data.values.flags import read_flags

    texts: list[Any] = ["True", "no", "3", "0", "-1", "1.0", " In Stock ", "maybe", "nan", None]
    flags, unread = read_flags(pa.chunked_array([pa.array(texts, pa.string())]))
    assert flags.to_pylist() == [True, False, True, False, False, True, True, None, None, None]
    assert unread == 2
