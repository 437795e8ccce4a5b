"""Choice among ranker, towers, popularity and blends, by users that the ranker has not seen.

A ranker with few positives to learn from may order worse than the towers that found its candidates,
or than a popular list. On the users that decide, the selected blend is at least as good as each.
What is best without a history, such as popularity, is not best after one, so each of PARTS has a
blend of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec import metrics

K = 20
SURE_ERRORS = 2.0
"""Standard errors by which a blend must be better than the ranker alone."""


PARTS = ("no event", "1 to 20 events", "more than 20 events")
"""Histories by length: each part has a blend, slopes and biases of its own."""
_FIRST_LENGTHS = (1, 21)  # of the second and the third part
NO_EVENT = 0

FEATURES = ("towers", "towers_below_best", "item_users_28", "repeat")
"""Ranking features that the scores of a blend are made from."""
EVENTS = "user_events"
"""Ranking feature that tells the part: the number of events, on a logarithmic scale."""


class Blend(NamedTuple):
    """Weights of a candidate's blended logit: of the ranker's logit and of other scores."""

    ranker: float = 1.0
    towers: float = 0.0
    """Of the towers' score."""
    towers_of_new: float = 0.0
    """Of the towers' score below that of the best new item; 0 for an item of the history, which
    often has the best score and nobody wants again."""
    popularity: float = 0.0
    """Of the logarithm of the users of the last 28 days."""

    def apply(self, logits: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Blended logits [n, heads] of `logits` [n, heads] and `scores` [n, 3], see `scores_of`."""
        return self.ranker * logits + (scores @ np.array(self[1:], scores.dtype))[:, np.newaxis]

    def __str__(self) -> str:
        parts = [f"{weight:g} x {name}" for name, weight in self._asdict().items() if weight]
        return " + ".join(parts).replace("1 x ", "")


TOWERS, POPULARITY = Blend(0.0, towers=1.0), Blend(0.0, popularity=1.0)
BLENDS = (
    Blend(),
    *(Blend(towers_of_new=weight) for weight in (0.25, 0.5, 1.0, 2.0)),
    *(Blend(popularity=weight) for weight in (0.25, 0.5, 1.0)),
    *(TOWERS, POPULARITY),
)
"""Blends to choose from; of equal ones the first."""


def parts_of(features: tf.Tensor, names: Sequence[str]) -> tf.Tensor:
    """[n] int32 index in PARTS of each candidate's history, of features [n, len(names)]."""
    events = tf.math.expm1(features[:, names.index(EVENTS)])
    return tf.add_n([tf.cast(events > first - 0.5, tf.int32) for first in _FIRST_LENGTHS])


def scores_of(features: tf.Tensor, names: Sequence[str]) -> tf.Tensor:
    """[n, 3] scores that a blend weighs, of ranking features [n, len(names)]."""
    towers, below_best, users, repeat = (features[:, names.index(name)] for name in FEATURES)
    return tf.stack([towers, tf.where(repeat > 0, 0.0, below_best), users], axis=1)


def ndcg_of_blends(
    user: np.ndarray, logits: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> dict[Blend, np.ndarray]:
    """[users] NDCG@20 of each of BLENDS, of the users with a positive among their candidates.

    `user` [n] is a number, `scores` is [n, 3]. `logits` and `labels` are [n, heads] of the heads
    that count as a positive.
    """
    is_positive = labels.max(axis=1, initial=0) > 0
    ndcg = {}
    for blend in BLENDS:
        # It rises with the probability of any positive, which float32 rounds to 1 from 17 on.
        order = np.logaddexp(0.0, blend.apply(logits, scores).astype(np.float64)).sum(axis=1)
        ndcg[blend] = user_ndcg(user, order, is_positive)
    return ndcg


def best_blend(ndcg: dict[Blend, np.ndarray]) -> Blend:
    """The blend to order by, from [users] NDCG of each.

    The ranker alone, unless it is below the towers or popularity, or another is surely better: by
    more than SURE_ERRORS standard errors. Few users would otherwise select one by luck.
    """
    ranker = Blend()
    if not len(ndcg[ranker]):
        return ranker
    means = {blend: values.mean() for blend, values in ndcg.items()}
    best = max(means, key=lambda blend: means[blend])
    if means[ranker] < max(means[TOWERS], means[POPULARITY]):
        return best
    difference = ndcg[best] - ndcg[ranker]
    error = difference.std() / np.sqrt(len(difference))
    return best if difference.mean() > SURE_ERRORS * error else ranker


def best_blend_without_history(ndcg: dict[Blend, np.ndarray]) -> Blend:
    """The blend to order by where there is no history, from [users] NDCG of each.

    Popularity, unless the best one is better by more than a standard error: a profile or the
    request's context may tell more.
    """
    if not len(ndcg[POPULARITY]):
        return POPULARITY
    best = max(ndcg, key=lambda blend: float(ndcg[blend].mean()))
    difference = ndcg[best] - ndcg[POPULARITY]
    error = difference.std() / np.sqrt(len(difference))
    return best if difference.mean() > error else POPULARITY


def user_ndcg(user: np.ndarray, scores: np.ndarray, is_positive: np.ndarray) -> np.ndarray:
    """[users] NDCG@20 of each user's candidates by falling score, of the users with a positive.

    All arrays are [n].
    """
    _, user = np.unique(user, return_inverse=True)
    order = np.lexsort((-scores, user))
    first = np.searchsorted(user[order], np.arange(user.max(initial=-1) + 1))
    rank = np.arange(len(order)) - first[user[order]]
    hits = np.zeros((len(first), K), bool)
    is_listed = rank < K
    hits[user[order][is_listed], rank[is_listed]] = is_positive[order][is_listed]
    totals = np.bincount(user, is_positive, minlength=len(first)).astype(np.int64)
    has_positive = totals > 0
    return np.asarray(metrics.ndcg(hits[has_positive], totals[has_positive], K))
