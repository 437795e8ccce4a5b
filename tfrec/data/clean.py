"""The rules of clean data: raw tables in, the three tables of schema.py out, with what every rule did.

A row falls to the first rule it breaks, in the order of this file. An exact duplicate equals an earlier row
in every mapped column: a shop that maps its basket or session keeps equal lines of different baskets. An item
described twice keeps its first row, whose gaps the later ones fill; a user described twice keeps the first.
Text loses control characters and surrounding blanks, its length is left alone. Everything happens in memory,
with at most 2 GiB of text a column (Arrow's strings).
"""

from __future__ import annotations

import dataclasses
import datetime
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import bools, codes, conformed, flags, has_control, repeated, tidy
from tfrec.data.cleaning_report import Ledger, Rule
from tfrec.data.raw_tables import RawTables
from tfrec.data.timestamps import parse_times
from tfrec.errors import ConfigError, DataError
from tfrec.schema import DAY_SECONDS, EVENT_KINDS, INTERACTIONS, ITEMS, USERS, Clock

_BAD_TIME = "bad timestamp"
_BROKEN_ID = "control character in an id"  # a line feed would break the vocabularies
_EXAMPLE_CHARACTERS = 160


@dataclasses.dataclass(frozen=True)
class CleanTables:
    """Tables as schema.py has them, not yet sorted or partitioned, and what became of the raw rows."""

    interactions: pa.Table
    items: pa.Table
    users: pa.Table
    rejected: dict[str, pa.Table]  # table -> dropped rows as text, with their rule
    read: dict[str, int]  # table -> raw rows
    rules: tuple[Rule, ...]


def clean(raw: RawTables) -> CleanTables:
    """The raw tables after every rule; DataError when no interaction is left."""
    ledgers = [Ledger("interactions"), Ledger("items"), Ledger("users")]
    interactions = _interactions(raw, ledgers[0])
    items = _items(raw.items, interactions["item_id"], ledgers[1])
    users = _users(raw.users, ledgers[2])
    return CleanTables(
        interactions,
        items,
        users,
        {ledger.table: ledger.rejected for ledger in ledgers},
        {"interactions": raw.interactions.num_rows, "items": raw.items.num_rows, "users": raw.users.num_rows},
        tuple(rule for ledger in ledgers for rule in ledger.rules),
    )


def _interactions(raw: RawTables, ledger: Ledger) -> pa.Table:
    rows = tidy(raw.interactions, leave=("timestamp",))
    moments = _moments(rows["timestamp"], raw)
    is_kept = ledger.drop(rows, _interaction_hits(rows, moments, raw.clock))
    if not is_kept.any():
        raise _nothing_left(ledger)
    rows, moments = rows.filter(pa.array(is_kept)), moments[is_kept]
    if raw.clock == "order":
        moments = _event_numbers(rows["user_id"], moments) * 1000
    times = pa.array(moments.astype("int64")).cast(pa.timestamp("ms", tz="UTC"))
    known = [name for name in rows.column_names if name in INTERACTIONS.names and name != "timestamp"]
    return conformed(rows.select(known).append_column("timestamp", times), INTERACTIONS)


def _interaction_hits(rows: pa.Table, moments: np.ndarray, clock: Clock) -> dict[str, np.ndarray]:
    tomorrow = 1000 * (datetime.datetime.now(datetime.UTC).timestamp() + DAY_SECONDS)
    latest = np.inf if clock == "order" else tomorrow
    is_search = pc.equal(rows["kind"], "search").fill_null(False)
    return {
        "missing user_id": bools(rows["user_id"].is_null()),
        "missing item_id": bools(pc.and_not(rows["item_id"].is_null(), is_search)),
        _BROKEN_ID: has_control(rows["user_id"]) | has_control(rows["item_id"]),
        "unknown kind": ~bools(pc.is_in(rows["kind"], pa.array(EVENT_KINDS))),
        _BAD_TIME: np.isnan(moments),
        "timestamp in the future": moments > latest,
        "cancellation or return": flags(rows, "cancelled"),
        "quantity not positive": _at_most_zero(rows),
        "exact duplicate": repeated(rows, rows.column_names),
    }


def _at_most_zero(rows: pa.Table) -> np.ndarray:
    if "quantity" not in rows.column_names:
        return np.zeros(rows.num_rows, bool)
    return bools(pc.less_equal(rows["quantity"], 0))


def _moments(column: pa.ChunkedArray, raw: RawTables) -> np.ndarray:
    """[rows] float64 milliseconds since 1970, or ranks under the clock "order"; NaN where unreadable."""
    if raw.clock == "order":
        numbers = pd.to_numeric(column.cast(pa.string()).to_pandas(), errors="coerce").astype("float64")
        return np.where(np.isfinite(numbers), numbers, np.nan)
    times = parse_times(column, raw.timestamp_format)
    return np.where(np.isnat(times), np.nan, times.astype("int64").astype("float64"))


def _event_numbers(user_ids: pa.ChunkedArray, ranks: np.ndarray) -> np.ndarray:
    """[rows] 0 for a user's first event, 1 for the next; equal ranks are one moment."""
    return pd.Series(ranks).groupby(codes(user_ids)).rank(method="dense").to_numpy() - 1


def _items(raw: pa.Table, sold: pa.ChunkedArray, ledger: Ledger) -> pa.Table:
    _check_further(raw, "item column", "pack_size")
    rows = tidy(raw)
    kept = rows.filter(pa.array(ledger.drop(rows, _described_hits(rows, "item_id"))))
    kept = _filled(kept, rows, ledger)
    kept = conformed(kept, ITEMS)
    untitled = kept["title"].null_count
    title = pc.fill_null(kept["title"], "")
    kept = kept.set_column(kept.column_names.index("title"), ITEMS.field("title"), title)
    ledger.change("item without a title", untitled, kept.num_rows)
    distinct = pc.unique(sold.drop_null())
    stubs = distinct.filter(pc.invert(pc.is_in(distinct, kept["item_id"].combine_chunks())))
    ledger.change("sold but never described", len(stubs), kept.num_rows + len(stubs))
    stub_rows = pa.table({"item_id": stubs, "title": pa.array([""] * len(stubs), pa.string())})
    return pa.concat_tables([kept, conformed(stub_rows, kept.schema)])


def _filled(kept: pa.Table, rows: pa.Table, ledger: Ledger) -> pa.Table:
    """The first row of each item, its gaps filled from the item's later rows."""
    again = set(ledger.rejected.filter(pc.equal(ledger.rejected["rule"], "described twice"))["item_id"].to_pylist())
    is_again = pc.is_in(kept["item_id"], pa.array(sorted(again), pa.string()))
    described = rows.filter(pc.is_in(rows["item_id"], pa.array(sorted(again), pa.string()))).to_pandas()
    best = pa.Table.from_pandas(described.groupby("item_id", sort=False).first().reset_index(), preserve_index=False)
    best = conformed(best, kept.schema)
    first = kept.filter(is_again)
    gaps = [pc.and_(first[name].is_null(), best[name].is_valid()) for name in kept.column_names]
    filled = int(np.any([bools(gap) for gap in gaps], axis=0).sum()) if len(first) else 0
    ledger.change("gaps filled from the later rows", filled, kept.num_rows)
    return pa.concat_tables([kept.filter(pc.invert(is_again)), best])


def _users(raw: pa.Table, ledger: Ledger) -> pa.Table:
    _check_further(raw, "profile column", "age_band")
    rows = tidy(raw)
    return conformed(rows.filter(pa.array(ledger.drop(rows, _described_hits(rows, "user_id")))), USERS)


def _check_further(raw: pa.Table, what: str, example: str) -> None:
    """ConfigError for a column whose name no input of a served model can have."""
    for name in raw.column_names:
        if name == "id" or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ConfigError(
                f"{what} {name!r} can't name an input of a served model, which takes Latin letters, digits and "
                f"_, but not 'id'; map it under another name: `columns: {{{example}: {name}}}`"
            )


def _described_hits(rows: pa.Table, key: str) -> dict[str, np.ndarray]:
    return {
        f"missing {key}": bools(rows[key].is_null()),
        _BROKEN_ID: has_control(rows[key]),
        "described twice": repeated(rows, [key]),
    }


def _nothing_left(ledger: Ledger) -> DataError:
    worst = max(ledger.rules, key=lambda rule: rule.dropped)
    dropped = ledger.rejected.filter(pc.equal(ledger.rejected["rule"], worst.rule)).slice(0, 1).to_pylist()[0]
    example = ", ".join(f"{name}={value!r}" for name, value in dropped.items() if name != "rule")
    return DataError(
        f"no interaction of {ledger.rejected.num_rows:,} is left after the rules, {worst.dropped:,} fell to "
        f"{worst.rule!r} (for example {example[:_EXAMPLE_CHARACTERS]}); correct the mapping or the data"
        + (", or tell the mapping `timestamp_format`, such as '%d/%m/%Y %H:%M'" if worst.rule == _BAD_TIME else "")
    )
