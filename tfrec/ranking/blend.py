"""Choice among the ranker, the towers and blends of both, by users that the ranker has not seen.

A ranker with few positives to learn from may order worse than the towers that found its candidates.
On the users that decide, the chosen blend is at least as good as both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from tfrec import metrics

K = 20


class Blend(NamedTuple):
    """The logit of a candidate is `ranker` times the ranker's plus `towers` times the towers'."""

    ranker: float = 1.0
    towers: float = 0.0

    def apply(self, logits: np.ndarray, towers: np.ndarray) -> np.ndarray:
        """Blended logits [n, heads] of the ranker's `logits` [n, heads] and `towers` [n]."""
        return self.ranker * logits + self.towers * towers[:, np.newaxis]

    def __str__(self) -> str:
        if not self.ranker:
            return "the towers alone"
        return f"the ranker and {self.towers:g} of the towers" if self.towers else "the ranker"


TOWERS = Blend(0.0, 1.0)
BLENDS = (Blend(), *(Blend(1.0, share) for share in (0.25, 0.5, 1.0, 2.0)), TOWERS)
"""Blends to choose from; of equal ones the first."""


def blend_scores(user: np.ndarray, logits: np.ndarray, towers: np.ndarray, labels: np.ndarray) -> dict[Blend, float]:
    """Mean NDCG@20 of each of BLENDS, over users with a positive among their candidates.

    `user` [n] is a number, `logits` and `labels` are [n, heads] of the heads that count as a
    positive. NaN without such users.
    """
    is_positive = labels.max(axis=1, initial=0) > 0
    scores = {}
    for blend in BLENDS:
        probability = 1.0 - np.prod(1.0 - expit(blend.apply(logits, towers)), axis=1)
        scores[blend] = mean_ndcg(user, probability, is_positive)
    return scores


def mean_ndcg(user: np.ndarray, scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Mean NDCG@20 of each user's candidates by falling score, over users with a positive.

    All arrays are [n]. NaN without such users.
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
    return float(metrics.ndcg(hits[has_positive], totals[has_positive], K).mean()) if has_positive.any() else np.nan
