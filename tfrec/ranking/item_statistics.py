"""Statistics of an item's interactions before a time: how many, how recent, how regular."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.schema import DAY_SECONDS

RECENT_DAYS = (7, 28, 90)
STATISTIC_NAMES = (
    "item_users",
    *(f"item_users_{days}" for days in RECENT_DAYS),
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
    """Compute [rows, len(STATISTIC_NAMES)] float32 from the events before second `now`.

    `events` has the columns user, row (in [0, rows)) and timestamp (seconds). The columns are:
    distinct users of all time and of the last days; the log ratio of this week to this month and of
    this month to this quarter; the share of interactions by users who came back to the item; the
    median of such users' mean gap in days; days since the first and since the last interaction.
    """
    baskets = events[events.timestamp < now].drop_duplicates(["user", "row", "timestamp"])
    pairs = baskets.groupby(["user", "row"], as_index=False).timestamp.agg(["count", "min", "max"])
    recent = [_count(pairs.row[pairs["max"] >= now - days * DAY_SECONDS], rows) for days in RECENT_DAYS]
    repeated = pairs[pairs["count"] > 1]
    gaps = (repeated["max"] - repeated["min"]) / (repeated["count"] - 1) / DAY_SECONDS
    columns = (
        _count(pairs.row, rows),
        *recent,
        np.log1p(recent[0] * 4) - np.log1p(recent[1]),
        np.log1p(recent[1] * 3) - np.log1p(recent[2]),
        np.bincount(repeated.row, repeated["count"], rows) / np.maximum(_count(baskets.row, rows), 1),
        _by_row(gaps.groupby(repeated.row).median(), rows),
        _by_row((now - pairs.groupby("row")["min"].min()) / DAY_SECONDS, rows),
        _by_row((now - pairs.groupby("row")["max"].max()) / DAY_SECONDS, rows),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _count(row: pd.Series, rows: int) -> np.ndarray:
    return np.bincount(row, minlength=rows).astype(np.float64)


def _by_row(values: pd.Series, rows: int) -> np.ndarray:
    """[rows] values at their index, NEVER_DAYS elsewhere."""
    return values.reindex(range(rows), fill_value=NEVER_DAYS).to_numpy()
