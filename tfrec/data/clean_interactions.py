"""Cleaning rules of interactions: missing ids, times, kinds, cancellations and duplicates."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import conform, encode_values, has_control, mark_repeats, strip_text, to_bools
from tfrec.data.clean_descriptions import BROKEN_ID, check_column_names, drop_negatives
from tfrec.data.cleaning_report import CleaningReport
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
from tfrec.errors import DataError
from tfrec.schema import DAY_SECONDS, INTERACTIONS, KINDS, RECORDED_KINDS, Clock


def clean_interactions(raw: RawTables, report: CleaningReport) -> pa.Table:
    """Interactions of known kinds and times; DataError if none is left."""
    check_column_names(raw.interactions, "context column", "store")
    rows = strip_text(raw.interactions, skip=("timestamp",))
    times = _read_times(rows["timestamp"], raw)
    is_kept = report.drop(rows, _check_interactions(rows, times, raw.clock))
    if not is_kept.any():
        raise _no_rows_error(report)
    warn_of_kinds(report)
    rows, times = drop_negatives(rows.filter(pa.array(is_kept)), report), times[is_kept]
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
        BROKEN_ID: has_control(rows["user_id"]) | has_control(rows["item_id"]),
        UNKNOWN_KIND: ~to_bools(pc.is_in(rows["kind"], pa.array(KINDS))),
        BAD_TIME: np.isnan(times),
        FUTURE: times > latest,
        **({DEFAULT_TIME: is_default_time(times, latest)} if clock == "utc" else {}),
        "cancellation or return": _is_canceled(rows),
        "quantity not positive": _has_no_quantity(rows),
        "exact duplicate": mark_repeats(rows, rows.column_names),
    }


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


def _no_rows_error(report: CleaningReport) -> DataError:
    worst = max(report.rules, key=lambda rule: rule.dropped)
    return DataError(
        f"none of {report.rejected.num_rows:,} interactions is left after cleaning; rule {worst.rule!r} dropped "
        f"{worst.dropped:,} (for example {report.example(worst.rule)}); correct the mapping or the data"
        + (f", or {FORMAT_HINT}" if worst.rule in (BAD_TIME, FUTURE, DEFAULT_TIME) else "")
        + (f", or {KINDS_HINT}" if worst.rule == UNKNOWN_KIND else "")
    )
