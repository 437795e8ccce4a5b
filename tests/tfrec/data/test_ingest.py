"""Ingest of a shop's files: cleaning rules, report and snapshot."""

from __future__ import annotations

import datetime
import fcntl
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.ingest import IngestReport, ingest, ingest_tables
from tfrec.data.lookup import read_user
from tfrec.data.mapping import mapping_from_flags, read_mapping
from tfrec.data.raw_tables import RawTables
from tfrec.errors import ConfigError, DataError
from tfrec.schema import INTERACTIONS, ITEMS, TableSet, partition_of, read_table_set

HEADER = "user,item,what,when,n,price,basket\n"
# Line 1 is good; each of the next 10 lines breaks one rule, in the order of the rules.
LINES = """\
u1,a,buy,2024-01-01 10:00:00,2,1.5,b1
,a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,,buy,2024-01-01 10:00:00,2,1.5,b1
"u\x011",a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,a,lick,2024-01-01 10:00:00,2,1.5,b1
u1,a,buy,soon,2,1.5,b1
u1,a,buy,2199-01-01 10:00:00,2,1.5,b1
u1,a,buy,1970-01-01T00:00:00Z,2,1.5,b1
u1,a,buy,2024-01-01 10:00:00,-2,1.5,Cb1
u1,a,buy,2024-01-01 10:00:00,0,1.5,b1
u1,a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,a,buy,2024-01-01 10:00:00,2,1.5,b2
u1,,look,2024-01-01 09:00:00,,,b1
"""
RULES = [
    "missing user_id",
    "missing item_id",
    "control character in an id",
    "unknown kind",
    "bad timestamp",
    "timestamp in the future",
    "timestamp before 1990",
    "cancellation or return",
    "quantity not positive",
    "exact duplicate",
]
MAPPING = """\
interactions:
  path: log.csv
  columns:
    {user_id: user, item_id: item, kind: what, timestamp: when, quantity: n, price: price, session: basket}
  kinds: {buy: purchase, look: search}
  cancelled: {column: basket, prefix: C}
items:
  path: items.csv
  columns: {item_id: sku, title: name, category: [aisle, shelf]}
  extra: [size]
users:
  path: users.jsonl
  profile: [age]
"""
ITEM_LINES = "sku,name,aisle,shelf,size\na,Spaghetti,Food,Pasta,1 kg\n"
USER_LINES = '{"user_id": "u1", "age": 34}\n'


def _shop(
    folder: Path, lines: str = LINES, items: str = ITEM_LINES, users: str = USER_LINES, mapping: str = MAPPING
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "log.csv").write_text(HEADER + lines, encoding="utf-8")
    (folder / "items.csv").write_text(items, encoding="utf-8")
    (folder / "users.jsonl").write_text(users, encoding="utf-8")
    (folder / "shop.yaml").write_text(mapping, encoding="utf-8")
    return folder / "shop.yaml"


def _ingested(tmp_path: Path, partitions: int = 2, **files: str) -> IngestReport:
    return ingest(read_mapping(_shop(tmp_path / "shop", **files)), tmp_path / "out", partitions)


def _rows(tables: TableSet, table: str) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path).read() for path in tables.parts(table)])


def _rule(report: IngestReport, table: str, rule: str) -> dict[str, Any]:
    return next(r for r in report.tables.manifest.rules if (r["table"], r["rule"]) == (table, rule))


def _line(user: str = "u1", item: str = "a", when: str = "2024-01-01 10:00:00", basket: str = "b1") -> str:
    return f"{user},{item},buy,{when},1,1.5,{basket}\n"


def test_each_rule_drops_its_line_and_the_report_lists_the_rules_in_order(tmp_path: Path) -> None:
    report = _ingested(tmp_path)
    # 13 lines, each of 10 rules drops one; line 1, its copy in basket b2 and the search stay.
    assert report.rows_read == {"interactions": 13, "items": 1, "users": 1}
    rules = [rule for rule in report.tables.manifest.rules if rule["table"] == "interactions"]
    assert [rule["rule"] for rule in rules] == RULES
    assert [rule["dropped"] for rule in rules] == [1] * 10
    assert [rule["kept"] for rule in rules] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert report.tables.manifest.rows["interactions"] == 3


def test_dropped_rows_are_stored_unchanged_with_their_rule(tmp_path: Path) -> None:
    report = _ingested(tmp_path)
    rejected = pq.read_table(report.rejected / "interactions.parquet").to_pydict()
    assert rejected["rule"] == RULES
    assert rejected["row"] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert rejected["user_id"] == [None, "u1", "u\x011", *["u1"] * 7]
    assert rejected["kind"][3] == "lick"
    assert rejected["timestamp"][4] == "soon"
    assert rejected["session"][7] == "Cb1"
    assert rejected["quantity"][8] == "0"


def test_kept_rows_have_the_schemas_columns_and_are_sorted_by_time(tmp_path: Path) -> None:
    tables = _ingested(tmp_path, partitions=1).tables
    rows = _rows(tables, "interactions")
    assert rows.schema.equals(INTERACTIONS)
    ten, nine = (datetime.datetime(2024, 1, 1, hour, tzinfo=datetime.UTC) for hour in (10, 9))
    bought = {
        "user_id": "u1",
        "item_id": "a",
        "kind": "purchase",
        "timestamp": ten,
        "quantity": 2.0,
        "price": 1.5,
    }
    nothing = {"query": None, "position": None}
    assert rows.to_pylist() == [
        {
            **{"user_id": "u1", "item_id": None, "kind": "search", "timestamp": nine},
            **{"quantity": None, "price": None, "session": "b1", **nothing},
        },
        {**bought, "session": "b1", **nothing},
        {**bought, "session": "b2", **nothing},
    ]
    assert tables.manifest.clock == "utc"
    # 2024-01-01 is 19,723 days after 1970: 19,723 * 86,400 = 1,704,067,200; plus 9 h and 10 h.
    assert tables.manifest.first_timestamp == 1_704_067_200 + 9 * 3600
    assert tables.manifest.last_timestamp == 1_704_067_200 + 10 * 3600


def test_a_timestamp_of_today_is_kept_and_one_after_tomorrow_is_not(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    hours = (0, 20, 28)  # a day of leeway for shops whose clock is ahead of UTC
    lines = "".join(_line(when=(now + datetime.timedelta(hours=hour)).isoformat()) for hour in hours)
    report = _ingested(tmp_path, lines=lines)
    assert _rule(report, "interactions", "timestamp in the future")["dropped"] == 1


def test_a_log_of_1976_and_bad_or_future_timestamps_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _ingested(tmp_path, lines=_line(when="200000000") + _line(when="soon") + _line(when="2199-01-01"))
    # Second 200,000,000 is 2,314 days and 70,400 s: 1976-05-03 19:33:20.
    assert (
        "the last of 1 interactions is of 1976-05-03T19:33:20.000; if that is wrong, set `timestamp_for" in caplog.text
    )
    assert re.search(r"bad timestamp: 1 of 3 interactions were dropped \(row=2, .*'soon'", caplog.text)
    assert re.search(r"timestamp in the future: 1 of 2 .*'2199-01-01'.*set `timestamp_format`", caplog.text)


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00Z", "1900-01-01"])
def test_default_times_are_dropped_where_the_log_is_later(
    tmp_path: Path, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    report = _ingested(tmp_path, lines=_line() + _line(when=when))
    assert _rule(report, "interactions", "timestamp before 1990")["dropped"] == 1
    assert re.search(
        r"timestamp before 1990: 1 of 2 interactions were dropped \(row=2, .*set `timestamp_f", caplog.text
    )


def test_the_year_1_of_parquet_is_dropped_where_the_log_is_later(tmp_path: Path) -> None:
    times = pa.array([datetime.datetime(1, 1, 1), datetime.datetime(2024, 1, 1)], pa.timestamp("us"))
    pq.write_table(pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "t": times}), tmp_path / "log.parquet")
    (tmp_path / "shop.yaml").write_text(
        "interactions: {path: log.parquet, kind: view, columns: {timestamp: t}, timezone: Europe/Berlin}"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1)
    assert _rule(report, "interactions", "timestamp before 1990")["dropped"] == 1


def test_the_error_for_future_timestamps_alone_names_the_format(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'timestamp in the future' dropped 1 .* or set `timestamp_format` in the map"):
        _ingested(tmp_path, lines=_line(when="2199-01-01"))


def test_local_times_of_several_zones_are_read(tmp_path: Path) -> None:
    for city in ("berlin", "tokyo"):
        (tmp_path / f"{city}.csv").write_text(f"user_id,item_id,timestamp\n{city},a,2024-01-01 10:00\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  - {path: berlin.csv, kind: view, timezone: Europe/Berlin}\n"
        "  - {path: tokyo.csv, kind: view, timezone: Asia/Tokyo}\n"
    )
    rows = _rows(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out").tables, "interactions").to_pylist()
    # Berlin is an hour ahead of UTC in winter, Tokyo nine.
    assert {row["user_id"]: row["timestamp"].hour for row in rows} == {"berlin": 9, "tokyo": 1}


def test_equal_lines_are_duplicates_only_within_a_basket(tmp_path: Path) -> None:
    report = _ingested(tmp_path, lines=_line() * 3 + _line(basket="b2"))
    assert _rule(report, "interactions", "exact duplicate")["dropped"] == 2
    assert sorted(_rows(report.tables, "interactions")["session"].to_pylist()) == ["b1", "b2"]


def test_an_item_described_twice_becomes_one_row_with_its_gaps_filled(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,,Food,,1 kg\nb,Rice,Food,,\n"
    items += "a,Spaghetti,Food,Pasta,2 kg\na,Penne,,,\n,x,,,\n"
    report = _ingested(tmp_path, lines=_line() + _line(item="b"), items=items)
    # The first row of a lacks only the title, so it gets Spaghetti; its category and size stay.
    rows = {row["item_id"]: row for row in _rows(report.tables, "items").to_pylist()}
    assert sorted(rows) == ["a", "b"]
    assert (rows["a"]["title"], rows["a"]["category"], rows["a"]["size"]) == ("Spaghetti", "Food", "1 kg")
    assert (rows["b"]["title"], rows["b"]["size"]) == ("Rice", None)
    assert _rule(report, "items", "missing item_id")["dropped"] == 1
    assert _rule(report, "items", "described twice")["dropped"] == 2
    assert _rule(report, "items", "gaps filled from the later rows")["changed"] == 1
    assert pq.read_table(report.rejected / "items.parquet")["title"].to_pylist() == [
        "Spaghetti",
        "Penne",
        "x",
    ]


def test_an_item_that_was_sold_but_never_described_becomes_a_stub(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,Spaghetti,Food,Pasta,\nb,,,,\n"
    report = _ingested(tmp_path, lines=_line() + _line(item="ghost") * 2, items=items)
    rows = {row["item_id"]: row for row in _rows(report.tables, "items").to_pylist()}
    assert rows["a"]["category"] == "Food > Pasta"
    assert rows["b"]["title"] == ""
    assert rows["ghost"] == {**dict.fromkeys(rows["a"]), "item_id": "ghost", "title": ""}
    stub = {"table": "items", "rule": "sold but never described", "dropped": 0, "kept": 3, "changed": 1}
    assert _rule(report, "items", "sold but never described") == stub
    assert _rule(report, "items", "item without a title")["changed"] == 1


def test_profiles_are_strings_and_a_users_first_row_is_kept(tmp_path: Path) -> None:
    users = '{"user_id": "u1", "age": 34}\n{"user_id": "u1", "age": 99}\n{"age": 1}\n{"user_id": "u7"}\n'
    report = _ingested(tmp_path, lines=_line() + _line(user="u2"), users=users)
    rows = _rows(report.tables, "users")
    assert rows.schema == pa.schema([pa.field("user_id", pa.string(), nullable=False), pa.field("age", pa.string())])
    assert sorted(rows.to_pylist(), key=lambda row: row["user_id"]) == [
        {"user_id": "u1", "age": "34"},
        {"user_id": "u7", "age": None},
    ]
    assert report.tables.manifest.profile_columns == ("age",)
    assert _rule(report, "users", "missing user_id")["dropped"] == 1
    assert _rule(report, "users", "described twice")["dropped"] == 1


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
    titles = {row["item_id"]: row["title"] for row in _rows(tables, "items").to_pylist()}
    # a: Red cup twice, Cup? once. b: one each, the earlier is used. c: none.
    assert titles == {"a": "Red cup", "b": "Tea", "c": ""}
    assert {row["user_id"]: row["city"] for row in _rows(tables, "users").to_pylist()} == {
        "u1": "Paris",
        "u2": None,
    }


def test_ids_with_commas_quotes_and_chinese_round_trip(tmp_path: Path) -> None:
    ids = ["a,b", 'say "hi"', "用户 7", "NA", "007", "o'neil", "1e5"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in ids]
    report = _ingested(tmp_path, partitions=5, lines="".join(_line(user=name, item=name) for name in quoted))
    rows = _rows(report.tables, "interactions")
    assert sorted(rows["user_id"].to_pylist()) == sorted(ids)
    assert rows["item_id"] == rows["user_id"]
    assert set(_rows(report.tables, "items")["item_id"].to_pylist()) == {*ids, "a"}


def _ingest_days(tmp_path: Path, *days: str, items: str = "") -> IngestReport:
    (tmp_path / "log").mkdir()
    for number, lines in enumerate(days):
        (tmp_path / f"log/{number}.csv").write_text("user_id,item_id,timestamp\n" + lines)
    (tmp_path / "items.csv").write_text("item_id,title\n" + items)
    mapping = mapping_from_flags(str(tmp_path / "log"), str(tmp_path / "items.csv") if items else None, kind="view")
    return ingest(mapping, tmp_path / "out")


def _ids(report: IngestReport, table: str, column: str) -> list[str]:
    return sorted(set(_rows(report.tables, table)[column].to_pylist()))


def test_ids_that_pandas_wrote_as_floats_become_integers(tmp_path: Path) -> None:
    report = _ingest_days(tmp_path, "17850.0,7.5,2024-01-01\n,1.0,2024-01-02\n", "3.0,2.0,2024-01-01\n")
    assert _ids(report, "interactions", "user_id") == ["17850", "3"]
    # The item id 7.5 is not whole, so all item ids stay unchanged.
    assert _ids(report, "items", "item_id") == ["2.0", "7.5"]


def test_floats_of_one_file_and_integers_of_the_next_are_the_same_users(tmp_path: Path) -> None:
    report = _ingest_days(tmp_path, "17.0,a,2024-01-01\n,b,2024-01-02\n5.0,b,2024-01-02\n", "17,c,2024-01-03\n")
    assert _ids(report, "interactions", "user_id") == ["17", "5"]
    assert _rule(report, "interactions", "'.0' removed from user_id")["changed"] == 2


def test_ids_of_a_log_lose_the_tail_only_together_with_those_of_the_catalog(tmp_path: Path) -> None:
    report = _ingest_days(tmp_path, "u,2.0,2024-01-01\n", items="2.0,Release 2\n2.1,Release 2.1\n")
    assert _ids(report, "items", "item_id") == ["2.0", "2.1"]
    assert _ids(report, "interactions", "item_id") == ["2.0"]


def test_words_that_no_id_is_made_of_are_missing_ids(tmp_path: Path) -> None:
    words = ["NULL", r"\N", "NaN", "None", "undefined", "NA"]  # NA may be an id
    report = _ingest_days(tmp_path, "".join(f"{word},a,2024-01-01\n" for word in words))
    assert _ids(report, "interactions", "user_id") == ["NA"]
    assert _rule(report, "interactions", "missing word as user_id")["changed"] == 5
    assert _rule(report, "interactions", "missing user_id")["dropped"] == 5


def test_a_mapping_names_further_words_for_missing_values(tmp_path: Path) -> None:
    mapping = MAPPING.replace("  kinds:", "  missing: [NA, guest]\n  kinds:").replace(
        "path: items.csv", "path: items.csv\n  missing: ['?']"
    )
    report = _ingested(
        tmp_path,
        lines=_line() + _line(user="NA") + _line(user=" guest"),
        mapping=mapping,
        items=ITEM_LINES.replace("Pasta", "?"),
    )
    assert _ids(report, "interactions", "user_id") == ["u1"]
    assert _rule(report, "interactions", "missing user_id")["dropped"] == 2
    assert _rows(report.tables, "items")["category"].to_pylist() == ["Food"]


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
    pairs = {(row["user_id"], row["item_id"]) for row in _rows(report.tables, "interactions").to_pylist()}
    # Cookies c1 and c9 are u1's; u1 and u2 use the shared one, and nobody signs in with c5.
    assert pairs == {*(("u1", item) for item in "abcde"), ("shared", "e"), ("u2", "e"), ("c5", "f")}
    assert _rule(report, "interactions", "anonymous event joined to a user")["changed"] == 2


def test_clicks_with_a_cookie_alone_join_the_user_of_the_orders(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("cookie,item_id,timestamp\nc1,a,2024-03-01\nc2,b,2024-03-01\n")
    (tmp_path / "orders.csv").write_text("user_id,cookie,item_id,timestamp\nu1,c1,a,2024-03-02\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  - {path: clicks.csv, kind: click, columns: {user_id: cookie}}\n"
        "  - {path: orders.csv, kind: purchase, columns: {user_id: [user_id, cookie]}}\n"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    rows = _rows(report.tables, "interactions").to_pylist()
    assert sorted((row["user_id"], row["kind"]) for row in rows) == [
        ("c2", "click"),
        ("u1", "click"),
        ("u1", "purchase"),
    ]


def test_titles_keep_their_length_and_lose_control_characters(tmp_path: Path) -> None:
    long = "面条 " * 3333 + "x"  # 3 * 3,333 + 1 = 10,000 characters
    items = f'sku,name,aisle,shelf,size\na,{long},,,\nb,"NUL\x00 and\nline\x85feed ",,,\nc, \x7f ,,,\n'
    report = _ingested(tmp_path, lines=_line(), items=items)
    titles = {row["item_id"]: row["title"] for row in _rows(report.tables, "items").to_pylist()}
    assert titles == {"a": long, "b": "NUL  and line feed", "c": ""}
    assert len(titles["a"]) == 10_000


def test_a_value_that_is_no_number_is_unknown_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Quantities 1, two and inf; prices 1.5, 1e39, beyond float32, and —, a word for none.
    lines = _line() + _line(item="b").replace("1,1.5", "two,1e39") + _line(item="c").replace("1,1.5", "inf,—")
    report = _ingested(tmp_path, lines=lines)
    rows = sorted(_rows(report.tables, "interactions").to_pylist(), key=lambda row: row["item_id"])
    assert [(row["quantity"], row["price"]) for row in rows] == [(1.0, 1.5), (None, None), (None, None)]
    rules = ("unreadable quantity", "unreadable price", "missing word as price")
    assert [_rule(report, "interactions", rule)["changed"] for rule in rules] == [2, 1, 1]
    assert "quantity: 2 values (66.7%) are no number and count as unknown, for example 'two'" in caplog.text
    assert "price: 1 values (50.0%) are no number and count as unknown, for example '1e39'" in caplog.text


@pytest.mark.parametrize("quantity", ["-1 pc", "-2 kg", "−0.5l", "-3"])
def test_a_return_in_any_unit_is_dropped(tmp_path: Path, quantity: str) -> None:
    report = _ingested(tmp_path, lines=_line() + _line(item="b").replace(",1,1.5", f",{quantity},1.5"))
    assert _rule(report, "interactions", "quantity not positive")["dropped"] == 1


def test_a_fractional_position_is_unknown(tmp_path: Path) -> None:
    mapping = MAPPING.replace("session: basket", "position: n").replace("quantity: n, ", "")
    report = _ingested(tmp_path, lines=_line() + _line(item="b").replace("1,1.5", "1.5,1.5"), mapping=mapping)
    positions = {row["item_id"]: row["position"] for row in _rows(report.tables, "interactions").to_pylist()}
    assert positions == {"a": 1, "b": None}


def test_a_column_without_any_number_is_refused(tmp_path: Path) -> None:
    lines = "".join(_line(item=f"i{n}").replace("1,1.5", f"1,size {n}") for n in range(10))
    with pytest.raises(DataError, match=r"interactions\.price holds no number in 10 rows, for example 'size 0'; map"):
        _ingested(tmp_path, lines=lines)


def test_a_negative_price_is_unknown(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,Pan,,,-1\nb,Pot,,,2\n"
    mapping = MAPPING.replace("category: [aisle, shelf]", "price: size").replace("  extra: [size]\n", "")
    report = _ingested(tmp_path, lines=_line() + _line(item="b").replace("1.5", "-5"), items=items, mapping=mapping)
    assert {r["item_id"]: r["price"] for r in _rows(report.tables, "interactions").to_pylist()} == {"a": 1.5, "b": None}
    assert {r["item_id"]: r["price"] for r in _rows(report.tables, "items").to_pylist()} == {"a": None, "b": 2.0}
    assert [_rule(report, table, "negative price")["changed"] for table in ("interactions", "items")] == [1, 1]


def test_an_order_becomes_the_seconds_of_1970(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,n\nu1,c,30\nu1,a,10\nu1,b,20\nu2,a,7\nu2,b,7\nu1,d,\n")
    tables = ingest(mapping_from_flags(str(tmp_path / "log.csv"), kind="view", order="n"), tmp_path / "out", 1).tables
    rows = [(r["user_id"], r["item_id"], r["timestamp"].timestamp()) for r in _rows(tables, "interactions").to_pylist()]
    # u2 saw a and b at the same rank; d has no rank, so "bad timestamp" drops it.
    u1, u2 = ([row for row in rows if row[0] == user] for user in ("u1", "u2"))
    assert u1 == [("u1", "a", 0), ("u1", "b", 1), ("u1", "c", 2)]
    assert u2 == [("u2", "a", 0), ("u2", "b", 0)]
    assert (tables.manifest.clock, tables.manifest.first_timestamp, tables.manifest.last_timestamp) == (
        "order",
        0,
        2,
    )


def test_the_order_of_the_rows_is_taken_for_that_of_the_events(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\nu1,c\nu2,a\nu1,a\n")
    (tmp_path / "shop.yaml").write_text("interactions: {path: log.csv, kind: rating, order: row number}")
    tables = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables
    rows = [(r["user_id"], r["item_id"], r["timestamp"].timestamp()) for r in _rows(tables, "interactions").to_pylist()]
    assert sorted(rows) == [("u1", "a", 1), ("u1", "c", 0), ("u2", "a", 0)]


def test_a_log_of_searches_needs_no_items(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "searches.csv").write_text("user_id,query,timestamp\nu1,green tea,2024-01-02\n")
    tables = "{path: log.csv, kind: view}, {path: searches.csv, kind: search, columns: {query: query}}"
    (tmp_path / "shop.yaml").write_text(f"interactions: [{tables}]")
    rows = _rows(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables, "interactions").to_pylist()
    assert [(row["kind"], row["item_id"], row["query"]) for row in rows] == [
        ("view", "a", None),
        ("search", None, "green tea"),
    ]


def test_items_without_titles_are_read_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "items.csv").write_text("item_id,shelf\na,Pasta\n")
    mapping = "interactions: {path: log.csv, kind: view}\nitems: {path: items.csv, columns: {category: shelf}}\n"
    (tmp_path / "shop.yaml").write_text(mapping)
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1)
    [item] = _rows(report.tables, "items").to_pylist()
    assert (item["item_id"], item["title"], item["category"]) == ("a", "", "Pasta")
    assert "items.csv has no column 'title'; it is null, map another column to it" in caplog.text


def test_a_title_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "items.csv").write_text("item_id,shelf\na,Pasta\n")
    mapping = "interactions: {path: log.csv, kind: view}\nitems: {path: items.csv, columns: {title: title}}\n"
    (tmp_path / "shop.yaml").write_text(mapping)
    with pytest.raises(DataError, match=r"items\.csv has no column 'title', it has 'item_id', 'shelf'"):
        ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1)


def test_kinds_are_matched_without_case_and_blanks_and_unknown_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = ["View", "AddToCart", "BUY", " buy ", "purchase", "Product Added", "Product Added", "lick"]
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,event\n" + "".join(f"u,{n},2024-01-01,{kind}\n" for n, kind in enumerate(kinds))
    )
    (tmp_path / "shop.yaml").write_text(
        "interactions: {path: log.csv, columns: {kind: event}, kinds: {addtocart: cart, buy: purchase}}"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    rows = sorted(_rows(report.tables, "interactions").to_pylist(), key=lambda row: row["item_id"])
    assert [row["kind"] for row in rows] == ["view", "cart", "purchase", "purchase", "purchase"]
    assert (
        "3 interactions of unknown kinds were dropped: 'Product Added' 2, 'lick' 1; map them under `kinds`"
        in caplog.text
    )


def test_kinds_that_pandas_wrote_as_floats_are_matched(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,type\nu,a,2024-01-01,1.0\nu,b,2024-01-01,2\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions: {path: log.csv, columns: {kind: type}, kinds: {1: view, 2.0: purchase}}"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    kinds = {row["item_id"]: row["kind"] for row in _rows(report.tables, "interactions").to_pylist()}
    assert kinds == {"a": "view", "b": "purchase"}


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["2024-03-03 08:00:00", "", "NULL"], ["b", "c"]),
        (["true", "False", "0"], ["b", "c"]),
        (["1", "no", "yes"], ["b"]),
        (["0.00", "€0", "4.50"], ["a", "b"]),
        (["0.00 €", "EUR 0.00", "4.50 €"], ["a", "b"]),
        (["0 kr", "0000-00-00 00:00:00", "2024-03-03 00:00:00"], ["a", "b"]),
        (["nein", "Undefined", "ja"], ["a", "b"]),
        (["1970-01-01", "1970-01-02", "(null)"], ["a", "c"]),
    ],
)
def test_a_canceled_row_has_any_value_in_its_column(tmp_path: Path, values: list[str], kept: list[str]) -> None:
    lines = "".join(f"u,{item},2024-01-01,{value}\n" for item, value in zip("abc", values, strict=True))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,canceled\n" + lines)
    (tmp_path / "shop.yaml").write_text("interactions: {path: log.csv, kind: purchase, cancelled: {column: canceled}}")
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    assert _ids(report, "interactions", "item_id") == kept


def test_the_prefix_of_a_canceled_row_is_matched_without_case_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,no\nu,a,2024-01-01, C536381\nu,b,2024-01-01,c536382\nu,c,2024-01-01,536383\n"
    )
    cancelled = "{column: no, prefix: C}"
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.csv, kind: purchase, cancelled: {cancelled}}}")
    assert _ids(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out"), "interactions", "item_id") == ["c"]


@pytest.mark.parametrize("cancelled", ["{column: canceled_at}", "{column: canceled_at, prefix: '2'}"])
def test_a_canceled_row_has_a_timestamp_of_parquet(tmp_path: Path, cancelled: str) -> None:
    canceled = pa.array([datetime.datetime(2024, 1, 2), None], pa.timestamp("us"))
    rows = {"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": ["2024-01-01"] * 2, "canceled_at": canceled}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.parquet, kind: purchase, cancelled: {cancelled}}}")
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    assert _ids(report, "interactions", "item_id") == ["b"]


ORDERS = """\
Name,Email,Status,Created at,Sku
#1,ada@shop.test,paid,2024-03-01 09:50:26 -0400,a
#1,,,,b
#2,bo@shop.test,refunded,2024-03-02 10:00:00 -0400,c
#2,,,,d
#3,bo@shop.test,,2024-03-03 10:00:00 -0400,e
,bo@shop.test,,,f
"""


def test_what_stands_on_the_first_line_of_an_order_holds_for_all_of_its_lines(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n  path: orders.csv\n  kind: purchase\n"
        "  columns: {user_id: Email, item_id: Sku, timestamp: Created at, session: Name}\n"
        "  cancelled: {column: Status, prefix: refunded}\n  per_session: [cancelled, user_id, timestamp]\n"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    rows = {row["item_id"]: row for row in _rows(report.tables, "interactions").to_pylist()}
    # Order 2 is refunded as a whole; f has no order, so its time stays unknown.
    assert sorted(rows) == ["a", "b", "e"]
    assert rows["b"]["user_id"] == "ada@shop.test"
    assert rows["b"]["timestamp"] == rows["a"]["timestamp"]
    assert _rule(report, "interactions", "user_id filled from its session")["changed"] == 2
    assert _rule(report, "interactions", "cancellation or return")["dropped"] == 2


def test_lines_of_canceled_orders_without_a_value_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS.replace("#2,,,,d", "#2,bo@shop.test,,2024-03-02,d"))
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n  path: orders.csv\n  kind: purchase\n"
        "  columns: {user_id: Email, item_id: Sku, timestamp: Created at, session: Name}\n"
        "  cancelled: {column: Status, prefix: refunded}\n"
    )
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    assert "d" in _ids(report, "interactions", "item_id")
    assert "1 of 1 canceled orders have lines without a value of Status, which stay; if it stands" in caplog.text


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
    kinds = {row["kind"]: row["quantity"] for row in _rows(report.tables, "interactions").to_pylist()}
    assert kinds == {"purchase": 1.0, "return": -1.0, "impression": None, "favorite": None}
    assert _rule(report, "interactions", "kind that no training uses yet")["changed"] == 1
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
    rows = sorted(_rows(report.tables, "interactions").to_pylist(), key=lambda row: row["timestamp"])
    names = ("rating", "dwell_seconds", "answer_id", "store", "device")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (4.5, None, None, "Lyon", None),
        (None, 12.5, "r7", None, "phone"),
        (None, None, "r8", None, "phone"),
    ]
    assert sorted(report.tables.manifest.interaction_columns) == sorted(names)
    assert _rule(report, "interactions", "negative dwell_seconds")["changed"] == 1


def test_numbers_and_vectors_of_items_and_users_are_stored_beside_the_categories(tmp_path: Path) -> None:
    report = _ingest_further(tmp_path)
    rows = {row["item_id"]: row for row in _rows(report.tables, "items").to_pylist()}
    # b's gaps are filled from its second row; c's vector has another length.
    assert {item: (row["weight"], row["image"]) for item, row in rows.items()} == {
        "a": (1200.0, [0.5, 1.0]),
        "b": (900.5, [0.25, 2.0]),
        "c": (None, None),
    }
    assert _rule(report, "items", "unreadable image")["changed"] == 1
    assert _rows(report.tables, "users").to_pylist() == [{"user_id": "u", "city": "Lyon", "orders": 3.0}]
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


def test_a_user_with_a_large_share_of_all_events_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [_line("guest", f"i{n}") for n in range(50)] + [_line(f"u{n}") for n in range(50)]
    _ingested(tmp_path, lines="".join(lines))
    assert (
        "user 'guest' has 50 of 100 interactions (50%); if this stands for unknown users, add `missing: ['guest']`"
        in caplog.text
    )
    caplog.clear()
    _ingested(tmp_path, lines="".join(lines[1:]))  # 49 events are too few to say
    assert "stands for unknown users" not in caplog.text


def test_a_user_named_by_a_word_for_unknown_users_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = [_line(user, f"i{n}") for user in ("NA", "u1", "u2", "u3", "u4", "u5") for n in range(50)]
    _ingested(tmp_path, lines="".join(events))
    assert caplog.text.count("stands for unknown users") == 1
    assert "user 'NA' has 50 of 300 interactions (17%)" in caplog.text


def test_one_row_of_one_user_works_without_items_and_users(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    tables = ingest(mapping_from_flags(str(tmp_path / "log.csv"), kind="view"), tmp_path / "out").tables
    assert tables.manifest.rows == {"interactions": 1, "items": 1, "users": 0}
    assert _rows(tables, "items").to_pylist() == [{**dict.fromkeys(ITEMS.names), "item_id": "a", "title": ""}]


def _only(tmp_path: Path, only: str) -> IngestReport:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,n\nu1,10a,2024-01-01,1\nu1,POST,2024-01-02,\n")
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.csv, kind: purchase, only: {only}}}")
    return ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")


@pytest.mark.parametrize("only", ["{item_id: '^[0-9]'}", "{n: '[1-9]'}", "{user_id: '^u', n: '.'}"])
def test_rows_that_do_not_match_only_are_not_read(tmp_path: Path, only: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        report = _only(tmp_path, only)
    tables = report.tables
    assert report.rows_read["interactions"] == 2
    assert ("left out by only", 1, 1) in [
        (rule["rule"], rule["dropped"], rule["kept"]) for rule in tables.manifest.rules
    ]
    assert re.search(r"interactions\.only keeps 1 of \d rows of log\.csv", caplog.text)
    assert _rows(tables, "interactions")["item_id"].to_pylist() == ["10a"]
    assert _rows(tables, "items")["item_id"].to_pylist() == ["10a"]


def test_a_mapping_whose_only_matches_no_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv holds no interactions that match interactions\.only; correct"):
        _only(tmp_path, "{item_id: '^x'}")


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv holds a header but no interactions; write it again"):
        _ingested(tmp_path, lines="")
    with pytest.raises(DataError, match=r"items\.csv holds a header but no items; write it again"):
        _ingested(tmp_path, items=ITEM_LINES.splitlines()[0])


def test_the_error_for_a_log_without_valid_rows_names_the_most_frequent_rule_and_an_example(tmp_path: Path) -> None:
    lines = _line(when="1/13/2024") * 2 + _line(user="")
    with pytest.raises(
        DataError, match=r"none of 3 interactions is left .* rule 'bad timestamp' dropped 2 .*'1/13/2024'"
    ) as caught:
        _ingested(tmp_path, lines=lines)
    assert str(caught.value).endswith("or set `timestamp_format` in the mapping, such as '%d/%m/%Y %H:%M'")


def test_the_error_for_a_missing_column_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.csv has no column 'name', it has 'sku', 'title'"):
        _ingested(tmp_path, items="sku,title\na,x\n")


@pytest.mark.parametrize("partitions", [0, -1, 100_000])
def test_a_number_of_partitions_outside_1_to_99999_is_refused(tmp_path: Path, partitions: int) -> None:
    with pytest.raises(ConfigError, match=f"`partitions` is {partitions}, expected 1 to 99999"):
        _ingested(tmp_path, partitions=partitions)


def test_an_output_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match="out is a file, expected a folder"):
        _ingested(tmp_path)


def test_partitions_hold_their_ids_sorted_by_user_time_and_line(tmp_path: Path) -> None:
    days = ("2024-01-03", "2024-01-01", "2024-01-03")
    lines = [_line(f"u{user}", item, day) for user in range(20) for item, day in zip("cab", days, strict=True)]
    tables = _ingested(tmp_path, partitions=4, lines="".join(lines)).tables
    for index in range(4):
        part = pq.read_table(tables.part("interactions", index))
        assert set(partition_of(part["user_id"].to_pandas(), 4)) <= {index}
        users = sorted(set(part["user_id"].to_pylist()))
        # a came first; c and b share a day, c stands earlier in the file.
        assert part["user_id"].to_pylist() == [user for user in users for _ in range(3)]
        assert part["item_id"].to_pylist() == ["a", "c", "b"] * len(users)
    assert tables.manifest.rows["interactions"] == 60


def test_an_empty_partition_has_a_file_with_all_columns(tmp_path: Path) -> None:
    tables = _ingested(tmp_path, partitions=64, lines=_line()).tables
    for table in ("interactions", "items", "users"):
        sizes = [pq.read_metadata(path).num_rows for path in tables.parts(table)]
        assert sorted(sizes) == [0] * 63 + [1]
    assert pq.read_schema(tables.part("users", 0)).names == ["user_id", "age"]
    assert pq.read_schema(tables.part("items", 0)).names == [*ITEMS.names, "size"]
    assert tables.manifest.item_columns == ("size",)


def test_the_report_lists_each_rule_and_the_folder_of_dropped_rows(tmp_path: Path) -> None:
    report = _ingested(tmp_path)
    lines = str(report).splitlines()
    assert lines[0].split() == ["table", "rule", "dropped", "changed", "kept"]
    assert lines[1].split() == ["interactions", "rows", "read", "13"]
    assert lines[11].split() == ["exact", "duplicate", "1", "-", "3"]
    assert f"dropped rows in {report.rejected}" in lines[-1]
    assert (report.rejected / "users.parquet").is_file()


def _state(root: Path) -> dict[str, int]:
    """Map every file of the tables, without the lock, to its modification time."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in files}


def _snapshots(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "snapshots").iterdir())


def test_the_same_data_gives_the_same_snapshot_and_changes_no_file(tmp_path: Path) -> None:
    first = _ingested(tmp_path)
    before = _state(tmp_path / "out")
    # The manifest, two partitions of three tables, three tables of dropped rows: 1 + 3 * 2 + 3.
    assert len(before) == 10
    assert _ingested(tmp_path).tables == first.tables
    assert _state(tmp_path / "out") == before


@pytest.mark.parametrize(
    "files",
    [
        {"lines": LINES.replace("10:00:00,2,1.5,b2", "10:00:01,2,1.5,b2")},
        {"lines": LINES.replace(",soon,", ",later,")},  # dropped rows are part of the snapshot
        {"items": ITEM_LINES.replace("Spaghetti", "spaghetti")},
        {"users": USER_LINES.replace("34", "null")},
        {"partitions": 3},
    ],
)
def test_other_data_gives_another_snapshot(tmp_path: Path, files: dict[str, Any]) -> None:
    first = _ingested(tmp_path)
    second = _ingested(tmp_path, **files)
    assert second.tables.manifest.snapshot != first.tables.manifest.snapshot
    assert read_table_set(tmp_path / "out") == second.tables


def test_shifted_text_and_null_instead_of_zero_change_the_snapshot(tmp_path: Path) -> None:
    header = ITEM_LINES.splitlines()[0]
    texts = [_ingested(tmp_path, 1, items=f"{header}\na,{a},,,\nb,{b},,,\n") for a, b in (("xy", "z"), ("x", "yz"))]
    prices = [_ingested(tmp_path, 1, lines=f"u1,a,buy,2024-01-01,1,{price},b1\n") for price in ("", "0")]
    assert len({report.tables.manifest.snapshot for report in texts + prices}) == 4


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", r"Expecting value"),
        (lambda text: text[:40], r"Unterminated string|Expecting"),
        (lambda text: "[1]", "a list instead of an object"),
        (lambda text: text.replace('"source"', '"sauce"'), "unknown field 'sauce'"),
        (lambda text: text.replace('"source": "shop.yaml",', ""), "missing 1 required positional argument: 'source'"),
        (lambda text: text.encode("utf-16"), "can't decode"),
    ],
)
def test_a_damaged_manifest_is_one_sentence_and_the_next_ingest_replaces_it(
    tmp_path: Path, damage: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = _ingested(tmp_path)
    manifest = tmp_path / "out/manifest.json"
    damaged = damage(manifest.read_text())
    manifest.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    with pytest.raises(DataError, match=rf"manifest\.json is damaged or of another .*({reason}).*run `tfrec ingest`"):
        read_table_set(tmp_path / "out")
    second = _ingested(tmp_path, lines=_line())
    assert read_table_set(tmp_path / "out") == second.tables
    assert "it is replaced" in caplog.text
    assert _snapshots(tmp_path / "out") == sorted(report.tables.manifest.snapshot for report in (first, second))


def test_a_full_disk_is_one_sentence_and_the_tables_stay(tmp_path: Path) -> None:
    good = _ingested(tmp_path)
    mapping = _shop(tmp_path / "shop", lines="".join(_line(user=f"u{n}") for n in range(5000)))
    program = (
        "import resource, sys; from pathlib import Path; "
        "from tfrec.data.ingest import ingest; from tfrec.data.mapping import read_mapping; "
        "from tfrec.errors import DataError; "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        f"try: ingest(read_mapping(Path({str(mapping)!r})), {str(tmp_path / 'out')!r}, 2)\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    # A limit on the size of a file fails a write like a full disk does.
    assert re.search(r"out can't be written \(File too large\); former tables stay in force; free space", done.stdout)
    assert read_table_set(tmp_path / "out") == good.tables
    assert not list((tmp_path / "out/snapshots").glob(".tmp-*"))


def test_only_the_current_and_the_previous_snapshot_are_kept(tmp_path: Path) -> None:
    def snapshot_of(user: str) -> str:
        return _ingested(tmp_path, lines=_line(user=user)).tables.manifest.snapshot

    first, second, third = snapshot_of("u1"), snapshot_of("u2"), snapshot_of("u3")
    assert _snapshots(tmp_path / "out") == sorted([second, third])
    assert snapshot_of("u3") == third
    assert _snapshots(tmp_path / "out") == sorted([second, third])
    assert snapshot_of("u1") == first
    assert _snapshots(tmp_path / "out") == sorted([third, first])


def test_a_failed_ingest_leaves_the_current_tables_unchanged(tmp_path: Path) -> None:
    good = _ingested(tmp_path)
    before = _state(tmp_path / "out")
    for text, files in (
        ("line 2 has 2 columns, expected 7", {"lines": "u1,a\n"}),
        ("rule 'bad timestamp' dropped 1", {"lines": _line(when="")}),
        ("has no column 'sku'", {"items": "x\n1\n"}),
        ("line 1 is not JSON", {"users": "{"}),
    ):
        with pytest.raises(DataError, match=text):
            _ingested(tmp_path, **files)
    assert _state(tmp_path / "out") == before
    assert read_table_set(tmp_path / "out") == good.tables


# The program kills itself at the n-th call of a function that writes to disk.
KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping

calls = 0
def kill_at(module, name, at):
    real = getattr(module, name)
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    setattr(module, name, call)

functions = {"write": (pyarrow.parquet, "write_table"), "rename": (Path, "rename"), "replace": (os, "replace")}
kill_at(*functions[sys.argv[3]], int(sys.argv[4]))
ingest(read_mapping(Path(sys.argv[1])), Path(sys.argv[2]), 2)
"""


@pytest.mark.parametrize(("where", "call"), [("write", 1), ("write", 4), ("write", 9), ("rename", 1), ("replace", 1)])
def test_a_killed_ingest_leaves_the_current_tables_and_the_next_ingest_deletes_its_files(
    tmp_path: Path, where: str, call: int
) -> None:
    good = _ingested(tmp_path)
    rows = _rows(good.tables, "interactions")
    mapping = _shop(tmp_path / "shop", lines=_line(user="u9"))
    command = [sys.executable, "-c", KILLED, str(mapping), str(tmp_path / "out"), where, str(call)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(_snapshots(tmp_path / "out")) == 2  # the killed ingest left a folder
    assert read_table_set(tmp_path / "out") == good.tables
    assert _rows(good.tables, "interactions") == rows

    again = ingest(read_mapping(mapping), tmp_path / "out", 2)
    assert _rows(again.tables, "interactions")["user_id"].to_pylist() == ["u9"]
    assert _snapshots(tmp_path / "out") == sorted([good.tables.manifest.snapshot, again.tables.manifest.snapshot])
    assert not list((tmp_path / "out").glob(".tmp-*"))


def test_a_snapshot_with_a_missing_file_is_written_again(tmp_path: Path) -> None:
    tables = _ingested(tmp_path).tables
    tables.part("items", 1).unlink()
    pq.write_table(pa.table({"x": [1, 2, 3]}), tables.part("users", 0))
    assert _ingested(tmp_path).tables == tables
    assert sum(pq.read_metadata(path).num_rows for path in tables.parts("items")) == 1
    assert _rows(tables, "users")["user_id"].to_pylist() == ["u1"]
    assert _snapshots(tmp_path / "out") == [tables.manifest.snapshot]


def test_an_ingest_is_refused_while_another_one_locks_the_folder(tmp_path: Path) -> None:
    _ingested(tmp_path)
    with open(tmp_path / "out/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another ingest is writing into .*; wait until it ends"):
            _ingested(tmp_path, lines=_line(user="u2"))
    _ingested(tmp_path, lines=_line(user="u2"))


def test_other_folders_beside_the_snapshots_are_kept(tmp_path: Path) -> None:
    (tmp_path / "out/snapshots/my backup").mkdir(parents=True)
    _ingested(tmp_path)
    assert "my backup" in _snapshots(tmp_path / "out")


def test_raw_tables_can_be_ingested_without_files(tmp_path: Path) -> None:
    times = pa.array(pd.to_datetime(["2024-01-02", "2024-01-01"]))
    log = pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "kind": ["view", "view"], "timestamp": times})
    raw = RawTables(log, pa.table({"item_id": ["a"], "title": ["A"]}), pa.table({"user_id": ["u"]}))
    tables = ingest_tables(raw, tmp_path, "test", 1).tables
    assert tables.manifest.source == "test"
    assert _rows(tables, "interactions")["item_id"].to_pylist() == ["b", "a"]


@pytest.mark.parametrize("name", ["age-band", "Age Group", "城市", "id"])
def test_a_further_column_that_cannot_name_a_model_input_is_refused(tmp_path: Path, name: str) -> None:
    times = pa.array(pd.to_datetime(["2024-01-02"]))
    log = pa.table({"user_id": ["u"], "item_id": ["a"], "kind": ["view"], "timestamp": times})
    items, users = {"item_id": ["a"], "title": ["A"]}, {"user_id": ["u"]}
    cure = f"{name!r} can't name an input .* map it under another name"
    with pytest.raises(ConfigError, match=f"profile column {cure}"):
        ingest_tables(RawTables(log, pa.table(items), pa.table(users | {name: ["x"]})), tmp_path, "test", 1)
    with pytest.raises(ConfigError, match=f"item column {cure}"):
        ingest_tables(RawTables(log, pa.table(items | {name: ["x"]}), pa.table(users)), tmp_path, "test", 1)


def test_ingest_does_not_import_tensorflow_and_prints_nothing(tmp_path: Path) -> None:
    mapping = _shop(tmp_path / "shop", lines=_line())
    program = (
        "import sys; from pathlib import Path; "
        "from tfrec.data.ingest import ingest; from tfrec.data.mapping import read_mapping; "
        f"ingest(read_mapping(Path({str(mapping)!r})), Path({str(tmp_path / 'out')!r})); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=Path(__file__).parents[3])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


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
    rows = _rows(tables, "interactions").select(["user_id", "item_id", "kind", "timestamp", "price"]).to_pylist()
    day = datetime.datetime(2024, 1, 31, tzinfo=datetime.UTC)
    # 1706749200 is 2024-02-01 01:00; a file named twice is read once.
    assert sorted(tuple(row.values()) for row in rows) == [
        ("u1", "a", "purchase", day, 2.5),
        ("u1", "b", "click", day + datetime.timedelta(hours=25), None),
        ("u2", "a", "purchase", day + datetime.timedelta(hours=24), 3.0),
    ]


def test_broken_rows_are_counted_and_stored_with_their_file_and_line(tmp_path: Path) -> None:
    report = _ingested(tmp_path, lines=LINES + "u9,a,buy\n")
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
        _ingested(tmp_path / name, lines=LINES + "u9,a,buy\n")
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
    rows = _rows(tables, "interactions").select(["user_id", "item_id", "kind", "quantity"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("1", "a", "purchase", 2.0),
        ("1", "b", "purchase", 1.0),
        ("2", "a", "view", None),
    ]


def test_html_and_several_paths_of_a_category_are_read_and_counted(tmp_path: Path) -> None:
    items = "sku,name,path\na,Salt &amp; pepper,Food|Food / Spices\nb,Cup,Home\n"
    mapping = "interactions: {path: log.csv, kind: view, columns: {user_id: user, item_id: item, timestamp: when}}\n"
    mapping += "items: {path: items.csv, columns: {item_id: sku, title: name, category: path}, category_paths: '|',"
    report = _ingested(tmp_path, items=items, mapping=mapping + " category_levels: '/'}\n")
    described = {row["title"]: row["category"] for row in _rows(report.tables, "items").to_pylist()}
    assert described == {"Cup": "Home", "Salt & pepper": "Food > Spices"}
    assert _rule(report, "items", "HTML in title")["changed"] == 1
    assert _rule(report, "items", "several paths of a category")["changed"] == 1
