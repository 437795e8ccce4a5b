"""Personal frequency: how often, and how lately, a user had events with an item.

Its settings, the half-life and the weights of the kinds of events, are selected on the validation
window.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from tfrec.errors import ConfigError
from tfrec.evaluation.baselines.popularity import recent_popularity
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.schema import POSITIVE_KINDS

HALF_LIVES_DAYS = (None, 1, 7, 30, 60, 120)
"""Half-lives to choose from; None is no decay."""

_TIE_BREAK = 1e-4  # baskets added for the most popular item
_MOST_HALVINGS = 100.0  # of the weight of an old event: float32 holds no number below 2^-126


@dataclasses.dataclass(frozen=True)
class FrequencySettings:
    """Settings of `personal_frequency`."""

    half_life_days: float | None = None
    weights: Mapping[str, float] | None = None
    """Weight of an event by its kind; None: baskets of the label kinds."""

    def __str__(self) -> str:
        """The settings in words."""
        kinds = "label kinds" if self.weights is None else ", ".join(f"{k} {w:.3g}" for k, w in self.weights.items())
        return f"{kinds}; {f'half-life {self.half_life_days:g} days' if self.half_life_days else 'no decay'}"


def personal_frequency(
    holdout: Holdout, half_life_days: float | None = None, weights: Mapping[str, float] | None = None
) -> Scorer:
    """The user's events with the item, halved for every `half_life_days` of age.

    Without `weights` the events are baskets of the label kinds; with them, events of the kinds that
    they name. Recent popularity breaks ties: it adds at most a ten-thousandth of a basket, and
    fills up the list behind the user's own items. ConfigError when the half-life is not positive,
    or when the clock is an order, in which events have no age.
    """
    own = _counts(holdout, half_life_days, weights).astype(np.float32)
    recent_users = recent_popularity(holdout)
    lowest = np.minimum(_lowest(own) / 10, _TIE_BREAK).astype(np.float32)

    def score(user_rows: np.ndarray) -> np.ndarray:
        batch, recent = own[user_rows], recent_users(user_rows)
        share = (recent / np.maximum(recent.max(axis=1, keepdims=True, initial=0), 1)).astype(np.float32)
        scores = lowest[user_rows, np.newaxis] * share
        entries = np.repeat(np.arange(len(user_rows)), np.diff(batch.indptr)), batch.indices
        scores[entries] = batch.data * (1 + _TIE_BREAK * share[entries])
        return scores

    return score


def settings_to_try(holdout: Holdout) -> tuple[FrequencySettings, ...]:
    """All combinations of half-lives and weights that make a difference on a validation window.

    The weights are none (label kinds alone), 1 for every positive kind, and for each of these the
    share of its (user, item) pairs that become a label in this window.
    """
    half_lives = (None,) if holdout.clock == "order" else HALF_LIVES_DAYS
    weights = [None, *_weights_to_try(holdout)]
    return tuple(FrequencySettings(days, each) for each in weights for days in half_lives)


def label_rates(holdout: Holdout) -> dict[str, float]:
    """Kind -> share of the pairs (user, item) with an event of this kind that become a label."""
    rates: dict[str, float] = {}
    for kind in POSITIVE_KINDS:
        pairs = _kind_counts(holdout, {kind: 1.0}).sign()
        if pairs.nnz:
            rates[kind] = float(pairs.multiply(holdout.labels).sum() / pairs.nnz)
    return rates


def _weights_to_try(holdout: Holdout) -> list[Mapping[str, float]]:
    rates = label_rates(holdout)
    if not set(rates) - set(holdout.label_kinds) and len(rates) < 2:
        return []
    every = dict.fromkeys(rates, 1.0)
    return [every, rates] if len(rates) > 1 and any(rates.values()) else [every]


def _counts(holdout: Holdout, half_life_days: float | None, weights: Mapping[str, float] | None) -> sp.csr_matrix:
    """[users, items] decayed events."""
    if half_life_days is not None:
        if holdout.clock == "order":
            raise ConfigError(f"`half_life_days` is {half_life_days} but the data has only an order; set it to None")
        if not half_life_days > 0:
            raise ConfigError(
                f"`half_life_days` is {half_life_days}; use a positive number of days, or None for no decay"
            )
    if weights is not None:
        return _kind_counts(holdout, weights, half_life_days)
    if half_life_days is None:
        return holdout.history
    is_own = holdout.event_user < len(holdout.user_ids)
    users, items = holdout.event_user[is_own], holdout.event_item[is_own]
    values = _decay(holdout, users, holdout.event_timestamp[is_own], half_life_days)
    return sp.csr_matrix((values, (users, items)), holdout.history.shape)


def _kind_counts(holdout: Holdout, weights: Mapping[str, float], half_life_days: float | None = None) -> sp.csr_matrix:
    """[users, items] decayed events of all kinds with a weight, times this weight."""
    events = holdout.own_events
    values = np.array([weights.get(kind, 0.0) for kind in events.kind], np.float64)
    if half_life_days is not None:
        values *= _decay(holdout, events.user, events.timestamp, half_life_days)
    kept = values > 0
    return sp.csr_matrix((values[kept], (events.user[kept], events.item[kept])), holdout.history.shape)


def _decay(holdout: Holdout, users: np.ndarray, timestamps: np.ndarray, half_life_days: float) -> np.ndarray:
    """[events] float64 weights of events by their age at their users' query times."""
    age_days = holdout.age_days(users, timestamps)
    return np.asarray(0.5 ** np.minimum(age_days / half_life_days, _MOST_HALVINGS))


def _lowest(counts: sp.csr_matrix) -> np.ndarray:
    """[users] lowest value of each user; infinity for a user without one."""
    lowest = np.full(counts.shape[0], math.inf)
    has_any = np.flatnonzero(np.diff(counts.indptr))
    if len(has_any):
        lowest[has_any] = np.minimum.reduceat(counts.data, counts.indptr[has_any])
    return lowest
