"""Baselines that need no training: functions from a holdout to a scorer.

A scorer maps rows of the holdout's users [batch] to new scores [batch, items] float32. It keeps
sparse counts and makes one batch dense at a time.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from tfrec.errors import ConfigError
from tfrec.evaluation.holdout import Holdout, Scorer, count_users
from tfrec.schema import DAY_SECONDS

RECENT_DAYS = 28


def random_ranking(holdout: Holdout, seed: int = 7) -> Scorer:
    """Uniform random scores; those of a user do not depend on the batch."""
    items = len(holdout.item_ids)

    def score(user_rows: np.ndarray) -> np.ndarray:
        draws = [np.random.default_rng((seed, int(row))).random(items, np.float32) for row in user_rows]
        return np.stack(draws) if draws else np.empty((0, items), np.float32)

    return score


def popularity(holdout: Holdout, count: Literal["users", "baskets"] = "users") -> Scorer:
    """Number of distinct users, or of baskets, with the item before the window.

    Baskets favor items that the same user buys repeatedly: stronger where repeats count, weaker on
    new items.
    """
    if count not in ("users", "baskets"):
        raise ConfigError(f"`count` is {count!r}; use users or baskets")
    return _non_personalized(count_users(holdout) if count == "users" else _count_baskets(holdout))


def recent_popularity(holdout: Holdout, days: int = RECENT_DAYS) -> Scorer:
    """Number of distinct users with the item in the last `days` before the window."""
    return _non_personalized(recent_users(holdout, days))


def recent_users(holdout: Holdout, days: int) -> np.ndarray:
    """[items] users of the last `days`; of all time if events have no age or none is so recent."""
    if holdout.clock == "order":
        return count_users(holdout)
    recent = count_users(holdout, holdout.window_start - days * DAY_SECONDS)
    return recent if recent.any() else count_users(holdout)


def _count_baskets(holdout: Holdout) -> np.ndarray:
    return np.bincount(holdout.event_item, minlength=len(holdout.item_ids)).astype(np.float32)


def _non_personalized(scores: np.ndarray) -> Scorer:
    return lambda user_rows: np.tile(scores, (len(user_rows), 1))
