"""Baselines that need no training: functions from a holdout to a scorer.

A scorer maps rows of the holdout's users [batch] to new scores [batch, items] float32. It keeps
sparse counts and makes one batch dense at a time.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np

from tfrec.errors import ConfigError
from tfrec.evaluation.holdout import Holdout, Scorer, count_users
from tfrec.schema import DAY_SECONDS

RECENT_DAYS = 28

_DAYS_CACHED = 512  # of query days that are counted once for all users


def random_ranking(holdout: Holdout, seed: int = 7) -> Scorer:
    """Uniform random scores; those of a user do not depend on the batch."""
    items = len(holdout.item_ids)

    def score(user_rows: np.ndarray) -> np.ndarray:
        draws = [np.random.default_rng((seed, int(row))).random(items, np.float32) for row in user_rows]
        return np.stack(draws) if draws else np.empty((0, items), np.float32)

    return score


def popularity(holdout: Holdout, count: Literal["users", "baskets"] = "users") -> Scorer:
    """Number of distinct users, or of baskets, with the item before the window.

    Under leave-last-out it counts all events that are not held out, later ones than a user's too.

    Baskets favor items that the same user buys repeatedly: stronger where repeats count, weaker on
    new items.
    """
    if count not in ("users", "baskets"):
        raise ConfigError(f"`count` is {count!r}; use users or baskets")
    return _non_personalized(count_users(holdout) if count == "users" else _count_baskets(holdout))


def recent_popularity(holdout: Holdout, days: int = RECENT_DAYS) -> Scorer:
    """Number of distinct users with the item in the last `days` before the window.

    Of all time where events have no age or none is so recent. Without windows, before the midnight
    (UTC) that precedes each user's own query.
    """
    if holdout.clock == "order":
        return _non_personalized(count_users(holdout))
    if not holdout.has_windows:
        return _recent_users_by_day(holdout, days)
    recent = count_users(holdout, holdout.window_start - days * DAY_SECONDS)
    return _non_personalized(recent if recent.any() else count_users(holdout))


def _recent_users_by_day(holdout: Holdout, days: int) -> Scorer:
    """Users of the last `days` before the day of each query; of all days before it if none is."""
    query_days = holdout.query_times // DAY_SECONDS

    @functools.lru_cache(maxsize=_DAYS_CACHED)
    def users_before(day: int) -> np.ndarray:
        end = day * DAY_SECONDS
        recent = count_users(holdout, end - days * DAY_SECONDS, end)
        return recent if recent.any() else count_users(holdout, None, end)

    def score(user_rows: np.ndarray) -> np.ndarray:
        columns = [users_before(int(day)) for day in query_days[user_rows]]
        return np.stack(columns) if columns else np.empty((0, len(holdout.item_ids)), np.float32)

    return score


def _count_baskets(holdout: Holdout) -> np.ndarray:
    return np.bincount(holdout.event_item, minlength=len(holdout.item_ids)).astype(np.float32)


def _non_personalized(scores: np.ndarray) -> Scorer:
    return lambda user_rows: np.tile(scores, (len(user_rows), 1))
