"""Cleaning rules of the tables beside the three: states of items over time, and reviews."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import check_distinct, has_control, mark_repeats, strip_text, to_bools
from tfrec.data.clean_descriptions import BROKEN_ID, drop_negatives
from tfrec.data.cleaning_report import CleaningReport
from tfrec.data.raw_tables import DatedTable
from tfrec.data.values.default_times import read_open_ends
from tfrec.data.values.timestamps import parse_times
from tfrec.schema import ITEM_STATES, REVIEWS

_TIME = pa.timestamp("ms", "UTC")


def clean_item_states(raw: DatedTable, item_ids: pa.ChunkedArray, report: CleaningReport) -> pa.Table:
    """Item states that begin at a known time and end after it; without an end, they last."""
    rows, unread = _read_times(strip_text(raw.rows, skip=("from", "until")), raw, ("from", "until"), report)
    is_reversed = pc.less_equal(rows["until"], rows["from"]) if "until" in rows.column_names else None
    return _clean(
        rows,
        ITEM_STATES,
        {
            "bad timestamp": to_bools(rows["from"].is_null()) | unread,
            "until not after from": to_bools(is_reversed) if is_reversed is not None else np.zeros(len(rows), bool),
        },
        item_ids,
        report,
    )


def clean_reviews(raw: DatedTable, item_ids: pa.ChunkedArray, report: CleaningReport) -> pa.Table:
    """Reviews with stars or text; the user and the time may be unknown."""
    rows, unread = _read_times(strip_text(raw.rows, skip=("timestamp",)), raw, ("timestamp",), report)
    said = [to_bools(rows[name].is_valid()) for name in ("stars", "text") if name in rows.column_names]
    is_empty = ~np.any(said, axis=0) if said else np.ones(len(rows), bool)
    return _clean(rows, REVIEWS, {"bad timestamp": unread, "neither stars nor text": is_empty}, item_ids, report)


def _clean(
    rows: pa.Table,
    schema: pa.Schema,
    violations: dict[str, np.ndarray],
    item_ids: pa.ChunkedArray,
    report: CleaningReport,
) -> pa.Table:
    all_violations = {
        "missing item_id": to_bools(rows["item_id"].is_null()),
        BROKEN_ID: has_control(rows["item_id"]),
        **violations,
        "exact duplicate": mark_repeats(rows, rows.column_names),
    }
    is_kept = report.drop(rows, all_violations)
    kept = rows if is_kept.all() else rows.filter(pa.array(is_kept))
    kept = drop_negatives(kept, report)
    known = pc.unique(item_ids)
    is_known = check_distinct(kept["item_id"], lambda distinct: pc.is_in(distinct, known))
    if not is_known.all():
        report.add_change("item of no other table", int((~is_known).sum()), kept.num_rows)
    columns = {name: kept[name] for name in kept.column_names}
    nulls = {field.name: pa.nulls(len(kept), field.type) for field in schema if field.name not in columns}
    table = pa.table({name: (columns | nulls)[name] for name in schema.names})
    return table.cast(pa.schema([_keep_dictionary(field, table.schema.field(field.name).type) for field in schema]))


def _keep_dictionary(field: pa.Field, kind: pa.DataType) -> pa.Field:
    """The field, as a dictionary where the column is one: it is decoded when it is written."""
    return pa.field(field.name, kind if pa.types.is_dictionary(kind) else field.type, field.nullable)


def _read_times(
    rows: pa.Table, raw: DatedTable, names: Sequence[str], report: CleaningReport
) -> tuple[pa.Table, np.ndarray]:
    """Parse the columns of times; mark the rows [rows] bool with text that is no time."""
    unread = np.zeros(rows.num_rows, bool)
    for name in (name for name in names if name in rows.column_names):
        column = rows[name]
        if column.type == _TIME:
            continue
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
        times, is_open = read_open_ends(name, column, parse_times(column, raw.timestamp_format, raw.timezone))
        if is_open.any():
            rule = "default timestamp" if name == "timestamp" else f"{name} without a limit"
            report.add_change(rule, int(is_open.sum()), rows.num_rows)
        unread |= np.isnat(times) & to_bools(column.is_valid()) & ~is_open
        parsed = pa.chunked_array([pa.array(times)]).cast(_TIME)
        rows = rows.set_column(rows.column_names.index(name), name, parsed)
    return rows, unread
