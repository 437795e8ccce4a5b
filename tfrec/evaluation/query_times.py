"""Times at which held-out users are given recommendations.

With windows of global time that is the window's start for all users. Under leave-last-out it is
each user's own held-out basket.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.config import Clock, SplitMethod, has_windows
from tfrec.errors import DataError
from tfrec.schema import DAY_SECONDS

AFTER_HISTORY = 0
"""Query time that a model of the order clock takes as just after the history."""


def window_start(before: pd.DataFrame, during: pd.DataFrame, clock: Clock, split: SplitMethod) -> int:
    """Midnight (UTC) before the first label, but after the last event before it, in seconds.

    The files do not hold the border. Without windows, the first label's timestamp. Raises DataError
    for an event of `before` that is later than the window's first, or without windows not before
    the held-out events of its own user.
    """
    last = int(before.timestamp.max()) if len(before) else 0
    first = int(during.timestamp.min()) if len(during) else last + 1
    if not has_windows(clock, split):
        _check_order_by_user(before, during)
        return first
    if last > first:
        raise DataError(
            f"an event before the window is at second {last}, later than the window's first at {first}; "
            "split by time again, or set clock='order' if timestamps are only an order"
        )
    return min(first, max(first // DAY_SECONDS * DAY_SECONDS, last + 1))


def query_times(during: pd.DataFrame, user_ids: np.ndarray, start: int, clock: Clock, split: SplitMethod) -> np.ndarray:
    """[users] int64 seconds: the window's `start`, or the first held-out event of each user.

    AFTER_HISTORY with the order clock. Each user has an event in `during`.
    """
    if clock == "order":
        return np.full(len(user_ids), AFTER_HISTORY, np.int64)
    if split == "time":
        return np.full(len(user_ids), start, np.int64)
    return during.groupby("user_id").timestamp.min().reindex(user_ids).to_numpy(np.int64)


def _check_order_by_user(before: pd.DataFrame, during: pd.DataFrame) -> None:
    first, last = (during.groupby("user_id").timestamp.min(), before.groupby("user_id").timestamp.max())
    late = last.index[(last >= first.reindex(last.index)).to_numpy()]
    if len(late):
        raise DataError(
            f"user {late[0]!r} has an earlier event at second {last[late[0]]}, not before the held-out one at "
            f"{first[late[0]]} ({len(late)} such users); make the examples again with examples.split.method "
            "leave_last_out"
        )
