"""Cleaning rules: raw tables in, the three tables of schema.py and the effect of every rule out.

A row is dropped by the first rule that it breaks, in the order of this file. An exact duplicate
equals an earlier row in every mapped column, so a shop that maps its basket or session keeps equal
lines of different baskets. An item described twice keeps its first row; later rows fill the gaps. A
user described twice keeps the first row. Text loses control characters and surrounding blanks and
is never shortened. All tables are held in memory, with at most 2 GiB of text in a column (Arrow's
strings).
"""

from __future__ import annotations

import dataclasses
import datetime
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import conform, encode_values, has_control, mark_repeats, strip_text, to_bools
from tfrec.data.clean_dated import clean_item_states, clean_reviews
from tfrec.data.cleaning_report import CleaningReport, Rule
from tfrec.data.cleaning_warnings import (
    BAD_TIME,
    DEFAULT_TIME,
    FORMAT_HINT,
    FUTURE,
    KINDS_HINT,
    UNKNOWN_KIND,
    warn_of_kinds,
    warn_of_times,
    warn_of_user,
)
from tfrec.data.raw_tables import RawTables
from tfrec.data.values.default_times import is_default_time
from tfrec.data.values.timestamps import parse_times
from tfrec.errors import ConfigError, DataError
from tfrec.schema import DAY_SECONDS, INTERACTIONS, ITEMS, KINDS, RECORDED_KINDS, TABLES, USERS, Clock

_BROKEN_ID = "control character in an id"  # a line feed would break the vocabularies
_DUPLICATE_ID = "described twice"

_CLEAN_DATED = {"item_states": clean_item_states, "reviews": clean_reviews}


@dataclasses.dataclass(frozen=True)
class CleanTables:
    """Tables with the columns of schema.py, not yet sorted, and the effect of each rule."""

    interactions: pa.Table
    items: pa.Table
    users: pa.Table
    rejected: dict[str, pa.Table]  # table -> dropped rows as text, with their rule
    read: dict[str, int]  # table -> raw rows
    rules: tuple[Rule, ...]
    dated: dict[str, pa.Table]  # tables of schema.DATED_TABLES that the shop has

    def by_name(self) -> dict[str, pa.Table]:
        """All tables by name."""
        return {"interactions": self.interactions, "items": self.items, "users": self.users, **self.dated}


def clean(raw: RawTables) -> CleanTables:
    """Apply every rule to the raw tables; DataError if no interaction is left."""
    reports = [_begin_report(raw, name) for name in (*TABLES, *raw.dated)]
    interactions = _clean_interactions(raw, reports[0])
    items = _clean_items(raw.items, interactions["item_id"], reports[1])
    users = _clean_users(raw.users, reports[2])
    dated = {
        report.table: _CLEAN_DATED[report.table](raw.dated[report.table], items["item_id"], report)
        for report in reports[3:]
    }
    return CleanTables(
        interactions,
        items,
        users,
        rejected={report.table: report.all_rejected() for report in reports},
        read={report.table: _count_read(raw, report.table) for report in reports},
        rules=tuple(rule for report in reports for rule in report.rules),
        dated=dated,
    )


def _begin_report(raw: RawTables, table: str) -> CleaningReport:
    report = CleaningReport(table)
    kept, left_out = raw.rows_of(table), raw.left_out.get(table, 0)
    if _count_broken(raw, table):
        report.add_broken(raw.broken[table], kept + left_out)
    if left_out:
        report.add_left_out(left_out, kept)
    for rule, changed in raw.changes.get(table, {}).items():
        report.add_change(rule, changed, raw.rows_of(table))
    return report


def _count_read(raw: RawTables, table: str) -> int:
    return raw.rows_of(table) + raw.left_out.get(table, 0) + _count_broken(raw, table)


def _count_broken(raw: RawTables, table: str) -> int:
    return raw.broken[table].num_rows if table in raw.broken else 0


def _clean_interactions(raw: RawTables, report: CleaningReport) -> pa.Table:
    _check_column_names(raw.interactions, "context column", "store")
    rows = strip_text(raw.interactions, skip=("timestamp",))
    times = _read_times(rows["timestamp"], raw)
    is_kept = report.drop(rows, _check_interactions(rows, times, raw.clock))
    if not is_kept.any():
        raise _no_rows_error(report)
    warn_of_kinds(report)
    rows, times = _drop_negatives(rows.filter(pa.array(is_kept)), report), times[is_kept]
    if raw.clock == "order":
        times = _number_events(rows["user_id"], times) * 1000
    else:
        warn_of_times(times, report)
    warn_of_user(rows["user_id"])
    _count_recorded(rows["kind"], report)
    timestamps = pa.array(times.astype("int64")).cast(pa.timestamp("ms", tz="UTC"))
    known = [name for name in rows.column_names if name not in ("timestamp", "cancelled")]
    return conform(rows.select(known).append_column("timestamp", timestamps), INTERACTIONS)


def _check_interactions(rows: pa.Table, times: np.ndarray, clock: Clock) -> dict[str, np.ndarray]:
    tomorrow = 1000 * (datetime.datetime.now(datetime.UTC).timestamp() + DAY_SECONDS)
    latest = np.inf if clock == "order" else tomorrow
    is_search = pc.equal(rows["kind"], "search").fill_null(False)
    return {
        "missing user_id": to_bools(rows["user_id"].is_null()),
        "missing item_id": to_bools(pc.and_not(rows["item_id"].is_null(), is_search)),
        _BROKEN_ID: has_control(rows["user_id"]) | has_control(rows["item_id"]),
        UNKNOWN_KIND: ~to_bools(pc.is_in(rows["kind"], pa.array(KINDS))),
        BAD_TIME: np.isnan(times),
        FUTURE: times > latest,
        **({DEFAULT_TIME: is_default_time(times, latest)} if clock == "utc" else {}),
        "cancellation or return": _is_canceled(rows),
        "quantity not positive": _has_no_quantity(rows),
        "exact duplicate": mark_repeats(rows, rows.column_names),
    }


def _drop_negatives(rows: pa.Table, report: CleaningReport) -> pa.Table:
    """Make negative prices, such as coupons and -1 for none, and negative dwell times unknown."""
    for name in (name for name in ("price", "dwell_seconds") if name in rows.column_names):
        is_negative = pc.less(rows[name], 0)
        if count := pc.sum(is_negative).as_py():
            report.add_change(f"negative {name}", count, rows.num_rows)
        values = pc.if_else(is_negative, None, rows[name])
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def _is_canceled(rows: pa.Table) -> np.ndarray:
    if "cancelled" not in rows.column_names:
        return np.zeros(rows.num_rows, bool)
    return to_bools(rows["cancelled"])


def _has_no_quantity(rows: pa.Table) -> np.ndarray:
    if "quantity" not in rows.column_names:
        return np.zeros(rows.num_rows, bool)
    is_return = pc.equal(rows["kind"], "return")
    return to_bools(pc.and_not(pc.less_equal(rows["quantity"], 0), pc.fill_null(is_return, False)))


def _read_times(column: pa.ChunkedArray, raw: RawTables) -> np.ndarray:
    """[rows] float64 milliseconds since 1970, or ranks (clock "order"); NaN where unreadable."""
    if raw.clock == "order":
        numbers = pd.to_numeric(column.cast(pa.string()).to_pandas(), errors="coerce").astype("float64")
        return np.where(np.isfinite(numbers), numbers, np.nan)
    times = parse_times(column, raw.timestamp_format, raw.timezone)
    return np.where(np.isnat(times), np.nan, times.astype("int64").astype("float64"))


def _count_recorded(kinds: pa.ChunkedArray, report: CleaningReport) -> None:
    """Count the events that no training uses yet; DataError if there are no others."""
    count = pc.sum(pc.is_in(kinds, pa.array(RECORDED_KINDS))).as_py()
    if count:
        report.add_change("kind that no training uses yet", count, len(kinds))
    if count == len(kinds):
        raise DataError(
            f"all {count:,} interactions are of kinds that no training uses yet ({', '.join(RECORDED_KINDS)}); add "
            "views, clicks or purchases"
        )


def _number_events(user_ids: pa.ChunkedArray, ranks: np.ndarray) -> np.ndarray:
    """[rows] 0 for a user's first event, 1 for the next; equal ranks get equal numbers."""
    return pd.Series(ranks).groupby(encode_values(user_ids)).rank(method="dense").to_numpy() - 1


def _clean_items(raw: pa.Table, sold: pa.ChunkedArray, report: CleaningReport) -> pa.Table:
    _check_column_names(raw, "item column", "pack_size")
    rows = strip_text(raw)
    kept = rows.filter(pa.array(report.drop(rows, _check_descriptions(rows, "item_id"))))
    kept = _drop_negatives(_fill_gaps(kept, rows, report), report)
    kept = conform(kept, ITEMS)
    untitled = kept["title"].null_count
    title = pc.fill_null(kept["title"], "")
    kept = kept.set_column(kept.column_names.index("title"), ITEMS.field("title"), title)
    report.add_change("item without a title", untitled, kept.num_rows)
    distinct = pc.unique(sold.drop_null())
    stubs = distinct.filter(pc.invert(pc.is_in(distinct, kept["item_id"].combine_chunks())))
    report.add_change("sold but never described", len(stubs), kept.num_rows + len(stubs))
    stub_rows = pa.table({"item_id": stubs, "title": pa.array([""] * len(stubs), pa.string())})
    return pa.concat_tables([kept, conform(stub_rows, kept.schema)])


def _fill_gaps(kept: pa.Table, rows: pa.Table, report: CleaningReport) -> pa.Table:
    """Fill the nulls in the first row of each item from the item's later rows."""
    is_repeat = pc.equal(report.rejected["rule"], _DUPLICATE_ID)
    duplicate_ids = pa.array(sorted(set(report.rejected.filter(is_repeat)["item_id"].to_pylist())), pa.string())
    is_duplicate = pc.is_in(kept["item_id"], duplicate_ids)
    descriptions = rows.filter(pc.is_in(rows["item_id"], duplicate_ids)).to_pandas()
    merged = descriptions.groupby("item_id", sort=False).first().reset_index()  # first known values
    merged = conform(pa.Table.from_pandas(merged, preserve_index=False), kept.schema)
    first = kept.filter(is_duplicate)
    gaps = [pc.and_(first[name].is_null(), merged[name].is_valid()) for name in kept.column_names]
    filled = int(np.any([to_bools(gap) for gap in gaps], axis=0).sum()) if len(first) else 0
    report.add_change("gaps filled from the later rows", filled, kept.num_rows)
    return pa.concat_tables([kept.filter(pc.invert(is_duplicate)), merged])


def _clean_users(raw: pa.Table, report: CleaningReport) -> pa.Table:
    _check_column_names(raw, "profile column", "age_band")
    rows = strip_text(raw)
    return conform(rows.filter(pa.array(report.drop(rows, _check_descriptions(rows, "user_id")))), USERS)


def _check_column_names(raw: pa.Table, role: str, example: str) -> None:
    """Raise ConfigError for a column whose name can't name an input of a served model."""
    for name in raw.column_names:
        if name == "id" or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ConfigError(
                f"{role} {name!r} can't name an input of a served model, which takes Latin letters, digits and "
                f"_, but not 'id'; map it under another name: `columns: {{{example}: {name}}}`"
            )


def _check_descriptions(rows: pa.Table, key: str) -> dict[str, np.ndarray]:
    return {
        f"missing {key}": to_bools(rows[key].is_null()),
        _BROKEN_ID: has_control(rows[key]),
        _DUPLICATE_ID: mark_repeats(rows, [key]),
    }


def _no_rows_error(report: CleaningReport) -> DataError:
    worst = max(report.rules, key=lambda rule: rule.dropped)
    return DataError(
        f"none of {report.rejected.num_rows:,} interactions is left after cleaning; rule {worst.rule!r} dropped "
        f"{worst.dropped:,} (for example {report.example(worst.rule)}); correct the mapping or the data"
        + (f", or {FORMAT_HINT}" if worst.rule in (BAD_TIME, FUTURE, DEFAULT_TIME) else "")
        + (f", or {KINDS_HINT}" if worst.rule == UNKNOWN_KIND else "")
    )
