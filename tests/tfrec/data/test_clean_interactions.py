"""Cleaning rules of interactions."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tfrec.data.shop_files import (
    MAPPING,
    RULES,
    ids_of,
    ingested,
    line_of,
    rows_of,
    rule_of,
)
from tfrec.data.ingest import IngestReport, ingest
from tfrec.data.mapping import mapping_from_flags, read_mapping
from tfrec.errors import DataError
from tfrec.schema import INTERACTIONS


def test_each_rule_drops_its_line_and_the_report_lists_the_rules_in_order(tmp_path: Path) -> None:
    report = ingested(tmp_path)
    # 13 lines, each of 10 rules drops one; line 1, its copy in basket b2 and the search stay.
    assert report.rows_read == {"interactions": 13, "items": 1, "users": 1}
    rules = [rule for rule in report.tables.manifest.rules if rule["table"] == "interactions"]
    assert [rule["rule"] for rule in rules] == RULES
    assert [rule["dropped"] for rule in rules] == [1] * 10
    assert [rule["kept"] for rule in rules] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert report.tables.manifest.rows["interactions"] == 3


def test_dropped_rows_are_stored_unchanged_with_their_rule(tmp_path: Path) -> None:
    report = ingested(tmp_path)
    rejected = pq.read_table(report.rejected / "interactions.parquet").to_pydict()
    assert rejected["rule"] == RULES
    assert rejected["row"] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert rejected["user_id"] == [None, "u1", "u\x011", *["u1"] * 7]
    assert rejected["kind"][3] == "lick"
    assert rejected["timestamp"][4] == "soon"
    assert rejected["session"][7] == "Cb1"
    assert rejected["quantity"][8] == "0"


def test_kept_rows_have_the_schemas_columns_and_are_sorted_by_time(tmp_path: Path) -> None:
    tables = ingested(tmp_path, partitions=1).tables
    rows = rows_of(tables, "interactions")
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
    lines = "".join(line_of(when=(now + datetime.timedelta(hours=hour)).isoformat()) for hour in hours)
    report = ingested(tmp_path, lines=lines)
    assert rule_of(report, "interactions", "timestamp in the future")["dropped"] == 1


def test_a_log_of_1976_and_bad_or_future_timestamps_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ingested(tmp_path, lines=line_of(when="200000000") + line_of(when="soon") + line_of(when="2199-01-01"))
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
    report = ingested(tmp_path, lines=line_of() + line_of(when=when))
    assert rule_of(report, "interactions", "timestamp before 1990")["dropped"] == 1
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
    assert rule_of(report, "interactions", "timestamp before 1990")["dropped"] == 1


def test_the_error_for_future_timestamps_alone_names_the_format(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'timestamp in the future' dropped 1 .* or set `timestamp_format` in the map"):
        ingested(tmp_path, lines=line_of(when="2199-01-01"))


def test_local_times_of_several_zones_are_read(tmp_path: Path) -> None:
    for city in ("berlin", "tokyo"):
        (tmp_path / f"{city}.csv").write_text(f"user_id,item_id,timestamp\n{city},a,2024-01-01 10:00\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  - {path: berlin.csv, kind: view, timezone: Europe/Berlin}\n"
        "  - {path: tokyo.csv, kind: view, timezone: Asia/Tokyo}\n"
    )
    rows = rows_of(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out").tables, "interactions").to_pylist()
    # Berlin is an hour ahead of UTC in winter, Tokyo nine.
    assert {row["user_id"]: row["timestamp"].hour for row in rows} == {"berlin": 9, "tokyo": 1}


def test_equal_lines_are_duplicates_only_within_a_basket(tmp_path: Path) -> None:
    report = ingested(tmp_path, lines=line_of() * 3 + line_of(basket="b2"))
    assert rule_of(report, "interactions", "exact duplicate")["dropped"] == 2
    assert sorted(rows_of(report.tables, "interactions")["session"].to_pylist()) == ["b1", "b2"]


def test_a_value_that_is_no_number_is_unknown_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Quantities 1, two and inf; prices 1.5, 1e39, beyond float32, and —, a word for none.
    lines = line_of() + line_of(item="b").replace("1,1.5", "two,1e39") + line_of(item="c").replace("1,1.5", "inf,—")
    report = ingested(tmp_path, lines=lines)
    rows = sorted(rows_of(report.tables, "interactions").to_pylist(), key=lambda row: row["item_id"])
    assert [(row["quantity"], row["price"]) for row in rows] == [(1.0, 1.5), (None, None), (None, None)]
    rules = ("unreadable quantity", "unreadable price", "missing word as price")
    assert [rule_of(report, "interactions", rule)["changed"] for rule in rules] == [2, 1, 1]
    assert "quantity: 2 values (66.7%) are no number and count as unknown, for example 'two'" in caplog.text
    assert "price: 1 values (50.0%) are no number and count as unknown, for example '1e39'" in caplog.text


@pytest.mark.parametrize("quantity", ["-1 pc", "-2 kg", "−0.5l", "-3"])
def test_a_return_in_any_unit_is_dropped(tmp_path: Path, quantity: str) -> None:
    report = ingested(tmp_path, lines=line_of() + line_of(item="b").replace(",1,1.5", f",{quantity},1.5"))
    assert rule_of(report, "interactions", "quantity not positive")["dropped"] == 1


def test_a_fractional_position_is_unknown(tmp_path: Path) -> None:
    mapping = MAPPING.replace("session: basket", "position: n").replace("quantity: n, ", "")
    report = ingested(tmp_path, lines=line_of() + line_of(item="b").replace("1,1.5", "1.5,1.5"), mapping=mapping)
    positions = {row["item_id"]: row["position"] for row in rows_of(report.tables, "interactions").to_pylist()}
    assert positions == {"a": 1, "b": None}


def test_a_column_without_any_number_is_refused(tmp_path: Path) -> None:
    lines = "".join(line_of(item=f"i{n}").replace("1,1.5", f"1,size {n}") for n in range(10))
    with pytest.raises(DataError, match=r"interactions\.price holds no number in 10 rows, for example 'size 0'; map"):
        ingested(tmp_path, lines=lines)


def test_a_negative_price_is_unknown(tmp_path: Path) -> None:
    items = "sku,name,aisle,shelf,size\na,Pan,,,-1\nb,Pot,,,2\n"
    mapping = MAPPING.replace("category: [aisle, shelf]", "price: size").replace("  extra: [size]\n", "")
    report = ingested(tmp_path, lines=line_of() + line_of(item="b").replace("1.5", "-5"), items=items, mapping=mapping)
    assert {r["item_id"]: r["price"] for r in rows_of(report.tables, "interactions").to_pylist()} == {
        "a": 1.5,
        "b": None,
    }
    assert {r["item_id"]: r["price"] for r in rows_of(report.tables, "items").to_pylist()} == {"a": None, "b": 2.0}
    assert [rule_of(report, table, "negative price")["changed"] for table in ("interactions", "items")] == [1, 1]


def test_an_order_becomes_the_seconds_of_1970(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,n\nu1,c,30\nu1,a,10\nu1,b,20\nu2,a,7\nu2,b,7\nu1,d,\n")
    tables = ingest(mapping_from_flags(str(tmp_path / "log.csv"), kind="view", order="n"), tmp_path / "out", 1).tables
    rows = [
        (r["user_id"], r["item_id"], r["timestamp"].timestamp()) for r in rows_of(tables, "interactions").to_pylist()
    ]
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
    rows = [
        (r["user_id"], r["item_id"], r["timestamp"].timestamp()) for r in rows_of(tables, "interactions").to_pylist()
    ]
    assert sorted(rows) == [("u1", "a", 1), ("u1", "c", 0), ("u2", "a", 0)]


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
    rows = sorted(rows_of(report.tables, "interactions").to_pylist(), key=lambda row: row["item_id"])
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
    kinds = {row["item_id"]: row["kind"] for row in rows_of(report.tables, "interactions").to_pylist()}
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
    assert ids_of(report, "interactions", "item_id") == kept


def test_the_prefix_of_a_canceled_row_is_matched_without_case_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,no\nu,a,2024-01-01, C536381\nu,b,2024-01-01,c536382\nu,c,2024-01-01,536383\n"
    )
    cancelled = "{column: no, prefix: C}"
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.csv, kind: purchase, cancelled: {cancelled}}}")
    assert ids_of(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out"), "interactions", "item_id") == ["c"]


@pytest.mark.parametrize("cancelled", ["{column: canceled_at}", "{column: canceled_at, prefix: '2'}"])
def test_a_canceled_row_has_a_timestamp_of_parquet(tmp_path: Path, cancelled: str) -> None:
    canceled = pa.array([datetime.datetime(2024, 1, 2), None], pa.timestamp("us"))
    rows = {"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": ["2024-01-01"] * 2, "canceled_at": canceled}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    (tmp_path / "shop.yaml").write_text(f"interactions: {{path: log.parquet, kind: purchase, cancelled: {cancelled}}}")
    report = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out")
    assert ids_of(report, "interactions", "item_id") == ["b"]


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
    rows = {row["item_id"]: row for row in rows_of(report.tables, "interactions").to_pylist()}
    # Order 2 is refunded as a whole; f has no order, so its time stays unknown.
    assert sorted(rows) == ["a", "b", "e"]
    assert rows["b"]["user_id"] == "ada@shop.test"
    assert rows["b"]["timestamp"] == rows["a"]["timestamp"]
    assert rule_of(report, "interactions", "user_id filled from its session")["changed"] == 2
    assert rule_of(report, "interactions", "cancellation or return")["dropped"] == 2


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
    assert "d" in ids_of(report, "interactions", "item_id")
    assert "1 of 1 canceled orders have lines without a value of Status, which stay; if it stands" in caplog.text


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
    assert rows_of(tables, "interactions")["item_id"].to_pylist() == ["10a"]
    assert rows_of(tables, "items")["item_id"].to_pylist() == ["10a"]


def test_a_mapping_whose_only_matches_no_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv holds no interactions that match interactions\.only; correct"):
        _only(tmp_path, "{item_id: '^x'}")
