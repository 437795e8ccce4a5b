"""What an item's past says of it: how often, how lately and how regularly it was chosen, as numbers by catalogue row.

Counted up to a moment, so that the ranker learns from what was known before a window and a served model knows all.
It knows nothing of models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.schema import DAY_SECONDS

RECENT_DAYS = (7, 28, 90)
NAMES = (
    "item_shoppers",
    *(f"item_shoppers_{days}" for days in RECENT_DAYS),
    "item_trend_7",
    "item_trend_28",
    "item_repeats",
    "item_gap_days",
    "item_age_days",
    "item_idle_days",
)
"""Columns of `item_statistics`, in order."""

NEVER_DAYS = 1000.0  # stands for "no such event"


def item_statistics(events: pd.DataFrame, rows: int, now: int) -> np.ndarray:
    """[rows, len(NAMES)] float32 of events with the columns user, row (in [0, rows)) and timestamp, before `now`.

    Distinct shoppers of all time and of the last days; the log of this week's share of the month's and of this month's
    of the quarter's; the share of choices by somebody who chose the item more than once; the median of such a
    shopper's mean gap; days since its first and last choice. Seconds and days.
    """
    baskets = events[events.timestamp < now].drop_duplicates(["user", "row", "timestamp"])
    pairs = baskets.groupby(["user", "row"], as_index=False).timestamp.agg(["count", "min", "max"])
    shoppers = _count(pairs.row, rows)
    recent = [_count(pairs.row[pairs["max"] >= now - days * DAY_SECONDS], rows) for days in RECENT_DAYS]
    again = pairs[pairs["count"] > 1]
    gaps = (again["max"] - again["min"]) / (again["count"] - 1) / DAY_SECONDS
    chosen = _count(baskets.row, rows)
    repeats = np.bincount(again.row, again["count"], rows) / np.maximum(chosen, 1)
    columns = (
        shoppers,
        *recent,
        np.log1p(recent[0] * 4) - np.log1p(recent[1]),
        np.log1p(recent[1] * 3) - np.log1p(recent[2]),
        repeats,
        _by_row(gaps.groupby(again.row).median(), rows),
        _by_row((now - pairs.groupby("row")["min"].min()) / DAY_SECONDS, rows),
        _by_row((now - pairs.groupby("row")["max"].max()) / DAY_SECONDS, rows),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _count(row: pd.Series, rows: int) -> np.ndarray:
    return np.bincount(row, minlength=rows).astype(np.float64)


def _by_row(values: pd.Series, rows: int) -> np.ndarray:
    """[rows] the values at their index, NEVER_DAYS elsewhere."""
    return values.reindex(range(rows), fill_value=NEVER_DAYS).to_numpy()
