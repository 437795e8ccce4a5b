"""States of items over time, summed over the stores: what was known of each item from when on.

A state holds in one store or in all. Between two changes of any of them an item has one row of
STATE_COLUMNS:

    price                  mean over the states that have one; 0 unknown
    price_change           log of its ratio to the mean of the item's prices until then; 0 unknown
    in_stock               share of the states, from -1 (out of stock) to 1; 0 unknown
    promotion_stores       states of one store with a promotion
    promotion_everywhere   states of all stores with a promotion

A row depends on states that begin at its own second or before it alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.config import ExamplesConfig

STATE_COLUMNS = ("price", "price_change", "in_stock", "promotion_stores", "promotion_everywhere")
"""Columns of a row; one a word of `examples.promotions` follows, `promotion_<word>`."""

_SUMMED = ("price", "priced", "in_stock", "stocked", "promotion_stores", "promotion_everywhere")
_OPEN = 2**53
"""Second of an end that is unknown; a float64 holds it too."""


@dataclasses.dataclass(frozen=True)
class ItemStates:
    """States of items, a row each, and the words of promotions that get a column each."""

    rows: pa.Table  # of schema.ITEM_STATES
    since: int | None  # second from which on states are needed; None: all
    promotions: tuple[str, ...] = ()

    def of_items(self, item_ids: pa.Array) -> tuple[np.ndarray, dict[str, pa.Array]]:
        """Changes of each of the items [items]: offsets [items + 1], and columns [changes].

        The columns are `from` (int64 seconds, rising within an item), STATE_COLUMNS and one a word
        of promotions (float32).
        """
        names = [f"promotion_{word}" for word in self.promotions]
        rows = _decode(self.rows, item_ids, self.promotions)
        rows = rows[rows.until > (self.since or 0)]
        table = _with_prices(_changes(rows, [*_SUMMED, *names]))
        offsets = np.searchsorted(table.row, np.arange(len(item_ids) + 1))
        columns = {name: pa.array(table[name].to_numpy(np.float32)) for name in (*STATE_COLUMNS, *names)}
        return offsets, {"from": pa.array(table["from"].to_numpy(np.int64)), **columns}


def state_features(config: ExamplesConfig) -> tuple[str, ...]:
    """Names of the features of a catalog example that hold an item's states."""
    words = [f"promotion_{word}" for word in config.promotions]
    return tuple(f"state_{name}" for name in ("from", *STATE_COLUMNS, *words)) if config.item_states else ()


def read_states(path: Path, since: int | None, promotions: tuple[str, ...] = ()) -> ItemStates:
    """Read the states of a partition that hold at second `since` or later; None: all.

    Complete Journey has 21 million; Arrow leaves out the others while it reads.
    """
    begin = pa.scalar((since or 0) * 1000, pa.timestamp("ms", "UTC"))
    filters = None if since is None else (pc.field("until") > begin) | pc.field("until").is_null()
    rows = pq.read_table(path, filters=filters, read_dictionary=["item_id", "promotion", "store"])
    return ItemStates(rows, since, promotions)


def _decode(states: pa.Table, item_ids: pa.Array, promotions: Sequence[str]) -> pd.DataFrame:
    """A row a state: its item's number, from and until in seconds, and what it adds to the sums."""
    item = states["item_id"].combine_chunks().dictionary_encode()
    number = pc.index_in(item.dictionary.cast(item_ids.type), value_set=item_ids).fill_null(-1)
    price = states["price"].fill_null(0).to_numpy().astype(np.float64)
    price = np.where(np.isfinite(price), price, 0.0)
    in_stock = states["in_stock"].cast(pa.int8())
    is_promoted, by_word = _promotions(states["promotion"].combine_chunks(), promotions)
    store = states["store"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    times = {name: states[name].cast(pa.int64()) for name in ("from", "until")}
    rows = pd.DataFrame(
        {
            "row": number.to_numpy()[item.indices.to_numpy()],
            "store": store,
            # Rounded up: query times are whole seconds, and no state may be known before it begins.
            # Dates such as 1900-01-01 stand for "always": states.py has no seconds before 1970.
            "from": np.maximum(-(-times["from"].to_numpy() // 1000), 0),
            "until": -(-times["until"].fill_null(_OPEN * 1000).to_numpy() // 1000),
            "price": price,
            "priced": (price > 0).astype(np.float64),
            "in_stock": 2.0 * in_stock.fill_null(0).to_numpy() - in_stock.is_valid().to_numpy(),
            "stocked": in_stock.is_valid().to_numpy().astype(np.float64),
            "promotion_stores": (is_promoted & (store >= 0)).astype(np.float64),
            "promotion_everywhere": (is_promoted & (store < 0)).astype(np.float64),
            **by_word,
        }
    )
    rows = rows[rows.row >= 0]
    if (rows.until == _OPEN).any():  # an open state ends with the next one of its item and store
        rows = rows.sort_values(["row", "store", "from"], kind="stable")
        following = rows.groupby(["row", "store"])["from"].shift(-1).fillna(_OPEN).astype(np.int64)
        rows["until"] = np.minimum(rows.until, following.where(rows.until == _OPEN, _OPEN))
    return rows[rows.until > rows["from"]]


def _promotions(column: pa.DictionaryArray, words: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """[rows] bool whether there is a promotion, and for each word [rows] 1.0 where it names it."""
    column = column.dictionary_encode()
    index = column.indices.fill_null(-1).to_numpy()
    by_word = {}
    for word in words:
        matches = pc.match_substring(column.dictionary, word, ignore_case=True).to_numpy(zero_copy_only=False)
        by_word[f"promotion_{word}"] = np.append(matches, False)[index].astype(np.float64)
    return index >= 0, by_word


def _changes(rows: pd.DataFrame, summed: Sequence[str]) -> pd.DataFrame:
    """Sums over the states that hold from each change on: row, from and `summed`, sorted."""
    ends = rows[rows.until < _OPEN]
    deltas = pd.concat([rows, ends.assign(**{"from": ends.until, **{name: -ends[name] for name in summed}})])
    deltas = deltas.groupby(["row", "from"])[list(summed)].sum()
    return deltas.groupby(level="row").cumsum().reset_index()


def _with_prices(table: pd.DataFrame) -> pd.DataFrame:
    """The table of sums as `state_columns`: means of price and stock, and the price's change."""
    is_priced = table.priced > 0.5
    price = (table.price / table.priced.where(is_priced, 1)).where(is_priced, 0.0)
    by_row = pd.DataFrame({"price": price, "count": is_priced.astype(float)}).groupby(table.row).cumsum()
    mean = (by_row.price / by_row["count"].where(by_row["count"] > 0, 1)).where(is_priced, 1.0)
    return table.assign(
        price=price,
        price_change=np.log(price.where(is_priced, 1.0) / mean),
        in_stock=(table.in_stock / table.stocked.where(table.stocked > 0.5, 1)).round(6),
    )
