"""Baselines that need no training: functions from a holdout to a scorer.

A scorer maps rows of the holdout's users [batch] to new scores [batch, items] float32. It keeps
sparse counts and makes one batch dense at a time. A user without history gets recent popularity
from all but `random_ranking` and `popularity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.sparse as sp

from tfrec import metrics
from tfrec.errors import ConfigError
from tfrec.evaluation.holdout import Holdout, Scorer, count_users
from tfrec.schema import DAY_SECONDS

RECENT_DAYS = 28
HALF_LIVES_DAYS = (None, 30, 60, 120)
"""Grid of `tune_half_life`; None is no decay."""

_TIE_BREAK = 1e-4  # baskets added for the most popular item


def baselines(holdout: Holdout, half_life_days: float | None = None) -> dict[str, Scorer]:
    """Scorers of all baselines by name, weakest first. `tune_half_life` gives `half_life_days`."""
    return {
        "random": random_ranking(holdout),
        "popularity": popularity(holdout),
        "recent_popularity": recent_popularity(holdout),
        "personal_frequency": personal_frequency(holdout, half_life_days),
    }


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
    return _non_personalized(_recent_users(holdout, days))


def personal_frequency(holdout: Holdout, half_life_days: float | None = None) -> Scorer:
    """The user's baskets with the item, halved for every `half_life_days` of age.

    Recent popularity breaks ties: it adds at most a ten-thousandth of a basket, and fills up the
    list. Raises ConfigError when the half-life is not positive, or when the clock is an order, in
    which events have no age.
    """
    counts = holdout.history if half_life_days is None else _decayed(holdout, half_life_days)
    recent = _recent_users(holdout, RECENT_DAYS)
    tie_break = (_TIE_BREAK * recent / max(recent.max(initial=0), 1)).astype(np.float32)
    return lambda user_rows: counts[user_rows].toarray() + tie_break


def tune_half_life(
    holdout: Holdout, half_lives: Sequence[float | None] = HALF_LIVES_DAYS, users: int = 500
) -> float | None:
    """Half-life in days with the best mean NDCG@20 over a fixed sample of the window's users.

    None, no decay, when the clock is an order or the window has no users.
    """
    if holdout.clock == "order" or len(holdout.user_ids) == 0:
        return None
    rows = np.random.default_rng(0).permutation(len(holdout.user_ids))[:users]
    return max(half_lives, key=lambda days: _mean_ndcg(personal_frequency(holdout, days), holdout, rows))


def _count_baskets(holdout: Holdout) -> np.ndarray:
    return np.bincount(holdout.event_item, minlength=len(holdout.item_ids)).astype(np.float32)


def _recent_users(holdout: Holdout, days: int) -> np.ndarray:
    """[items] users of the last `days`; of all time if events have no age or none is so recent."""
    if holdout.clock == "order":
        return count_users(holdout)
    recent = count_users(holdout, holdout.window_start - days * DAY_SECONDS)
    return recent if recent.any() else count_users(holdout)


def _non_personalized(scores: np.ndarray) -> Scorer:
    return lambda user_rows: np.tile(scores, (len(user_rows), 1))


def _decayed(holdout: Holdout, half_life_days: float) -> sp.csr_matrix:
    """[users, items] float32 baskets, each times 0.5 ** (age before the window / half-life)."""
    if holdout.clock == "order":
        raise ConfigError(f"`half_life_days` is {half_life_days} but the data has only an order; set it to None")
    if not half_life_days > 0:
        raise ConfigError(f"`half_life_days` is {half_life_days}; use a positive number of days, or None for no decay")
    is_holdout_user = holdout.event_user < len(holdout.user_ids)
    age_days = (holdout.window_start - holdout.event_timestamp[is_holdout_user]) / DAY_SECONDS
    weights = (0.5 ** (age_days / half_life_days)).astype(np.float32)
    return sp.csr_matrix(
        (weights, (holdout.event_user[is_holdout_user], holdout.event_item[is_holdout_user])), holdout.history.shape
    )


def _mean_ndcg(score: Scorer, holdout: Holdout, rows: np.ndarray, k: int = 20, batch: int = 256) -> float:
    values = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        values.append(metrics.ndcg_of_scores(score(part), holdout.labels[part], k))
    return float(np.concatenate(values).mean())
