"""Cleaning rules of items and users, each described in one row."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import conform, has_control, mark_repeats, strip_text, to_bools
from tfrec.data.cleaning_report import CleaningReport
from tfrec.errors import ConfigError
from tfrec.schema import ITEMS, USERS

BROKEN_ID = "control character in an id"
"""Rule for ids with a line feed, which would break the vocabularies."""

_DUPLICATE_ID = "described twice"


def clean_items(raw: pa.Table, sold: pa.ChunkedArray, report: CleaningReport) -> pa.Table:
    """Items in one row each, also those that were sold and never described."""
    check_column_names(raw, "item column", "pack_size")
    rows = strip_text(raw)
    kept = rows.filter(pa.array(report.drop(rows, _check_descriptions(rows, "item_id"))))
    kept = drop_negatives(_fill_gaps(kept, rows, report), report)
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


def clean_users(raw: pa.Table, report: CleaningReport) -> pa.Table:
    """Users in their first rows."""
    check_column_names(raw, "profile column", "age_band")
    rows = strip_text(raw)
    return conform(rows.filter(pa.array(report.drop(rows, _check_descriptions(rows, "user_id")))), USERS)


def check_column_names(raw: pa.Table, role: str, example: str) -> None:
    """Raise ConfigError for a column whose name can't name an input of a served model."""
    for name in raw.column_names:
        if name == "id" or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ConfigError(
                f"{role} {name!r} can't name an input of a served model, which takes Latin letters, digits and "
                f"_, but not 'id'; map it under another name: `columns: {{{example}: {name}}}`"
            )


def drop_negatives(rows: pa.Table, report: CleaningReport) -> pa.Table:
    """Make negative prices, such as coupons and -1 for none, and negative dwell times unknown."""
    for name in (name for name in ("price", "dwell_seconds") if name in rows.column_names):
        is_negative = pc.less(rows[name], 0)
        if count := pc.sum(is_negative).as_py():
            report.add_change(f"negative {name}", count, rows.num_rows)
        values = pc.if_else(is_negative, None, rows[name])
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


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


def _check_descriptions(rows: pa.Table, key: str) -> dict[str, np.ndarray]:
    return {
        f"missing {key}": to_bools(rows[key].is_null()),
        BROKEN_ID: has_control(rows[key]),
        _DUPLICATE_ID: mark_repeats(rows, [key]),
    }
