"""Scores by slice over the whole catalogue, nothing sampled.

It takes a scorer of any kind and a holdout; it knows nothing of towers or of files. The slices:

    all         every user with a label; nothing masked
    novel       relevant: items the user never chose before; what the user chose before is masked
    cold        relevant: items without any event before the window; every unmasked item competes
    cold_among  the same, ranked among the cold items alone
    new_users   users without any event before the window; nothing masked
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tfrec import metrics
from tfrec.baselines import count_users
from tfrec.errors import ModelError
from tfrec.holdout import Holdout, Scorer, holdout_from_events, read_holdout
from tfrec.scores import Evaluation, Protocol, Scores, SliceScores
from tfrec.verdict import decide

__all__ = [  # an evaluation from one place
    "Evaluation",
    "Holdout",
    "Scores",
    "decide",
    "evaluate",
    "holdout_from_events",
    "protocol_of",
    "read_holdout",
]

SLICES = {"all": "open", "novel": "unseen", "cold": "unseen", "cold_among": "cold", "new_users": "open"}
"""Slice -> its ranking: nothing masked, the user's history masked, or the cold items alone."""

KS = (5, 10, 20, 100)
AT_EACH_K = {"ndcg": metrics.ndcg, "recall": metrics.recall, "map": metrics.average_precision}
PER_USER = (
    *(f"{name}@{k}" for name in AT_EACH_K for k in KS),
    *(f"hit_rate@{k}" for k in KS),
    *("mrr", "novelty@20", "popularity@20"),
)
METRICS = (*PER_USER, "coverage@20", "gini@20")

_SEED = 7


def evaluate(
    name: str, score: Scorer, holdout: Holdout, batch: int = 256, by_user: tuple[str, ...] = ("ndcg@20",)
) -> Scores:
    """The scores of one model on every slice, over all users with a label in the window, and some user by user.

    A user for whom the model gives a NaN has NaN metrics, and so has every mean over that user; a slice
    without users is all NaN. ModelError when the scores are not [batch, items].
    """
    order = _shuffled(holdout.item_ids)
    cold = np.flatnonzero(holdout.is_cold[order])
    history, tallies = holdout.history[:, order], _tallies(holdout, order, cold)
    seconds = 0.0
    for start in range(0, len(holdout.user_ids), batch):
        rows = np.arange(start, min(start + batch, len(holdout.user_ids)))
        began = time.perf_counter()
        scores = _scores(name, score, rows, len(order))
        seconds += time.perf_counter() - began
        shuffled = np.take(scores, order, axis=1)
        is_broken = np.isnan(shuffled).any(axis=1)
        shuffled[is_broken] = 0
        rankings = _rankings(shuffled, history[rows], cold)
        for slice_, tally in tallies.items():
            tally.add(rows, rankings[SLICES[slice_]], is_broken)
    return Scores(name, {slice_: tally.result(by_user) for slice_, tally in tallies.items()}, seconds)


def protocol_of(holdout: Holdout) -> Protocol:
    """The conditions under which `evaluate` measures on this holdout."""
    return Protocol(
        window=holdout.window,
        window_start=holdout.window_start,
        clock=holdout.clock,
        label_kinds=holdout.label_kinds,
        candidates=holdout.candidates,
        users=len(holdout.user_ids),
        new_users=int(holdout.is_new.sum()),
        items=len(holdout.item_ids),
        cold_items=int(holdout.is_cold.sum()),
        ties=f"in lists by one random order of the items (seed {_SEED}), in mrr by the mean rank",
        masks="what the user chose before the window, in novel, cold and cold_among",
        data=_fingerprint(holdout),
    )


def _fingerprint(holdout: Holdout) -> str:
    """Tells apart two holdouts in which a user, a candidate, a label or a history differs."""
    digest = hashlib.sha256()
    for ids in (holdout.user_ids, holdout.item_ids):
        digest.update("\0".join(ids).encode())
    for matrix in (holdout.labels, holdout.history):
        for part in (matrix.indptr, matrix.indices, matrix.data):
            digest.update(np.asarray(part, np.float64).tobytes())
    return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class _Ranking:
    scores: np.ndarray  # [batch, items] float32
    top: np.ndarray  # [batch, 100] columns, best first


class _Tally:
    """Gathers one slice's per-user metrics, batch by batch."""

    def __init__(self, relevant: sp.csr_matrix, buyers: np.ndarray, all_users: int) -> None:
        self._relevant, self._buyers, self._all_users = relevant, buyers, all_users
        self._values: list[np.ndarray] = [np.empty((0, len(PER_USER)))]
        self._lists: list[np.ndarray] = []

    def add(self, rows: np.ndarray, ranking: _Ranking, is_broken: np.ndarray) -> None:
        """Measures the users of `rows` who have something relevant in this slice; NaN where `is_broken`."""
        relevant = self._relevant[rows]
        totals = np.diff(relevant.indptr)
        kept = totals > 0
        if kept.any():
            values = self._measure(ranking.scores[kept], ranking.top[kept], relevant[kept], totals[kept])
            self._values.append(np.where(is_broken[kept, None], math.nan, values))
            self._lists.append(ranking.top[kept, :20].ravel())

    def result(self, by_user: tuple[str, ...]) -> SliceScores:
        """Means over users; of the metrics `by_user` each user's own value too."""
        values = np.concatenate(self._values)
        users = len(values)
        if users == 0:
            return SliceScores(0, math.nan, dict.fromkeys(METRICS, math.nan))
        means = dict(zip(PER_USER, values.mean(axis=0).tolist(), strict=True))
        lists, items = np.concatenate(self._lists), len(self._buyers)
        means |= {"coverage@20": metrics.coverage(lists, items), "gini@20": metrics.gini(lists, items)}
        of_ndcg = values[:, PER_USER.index("ndcg@20")]
        error = of_ndcg.std(ddof=1) / math.sqrt(users) if users > 1 else math.nan
        return SliceScores(
            users, float(error), means, {name: values[:, PER_USER.index(name)].astype(np.float32) for name in by_user}
        )

    def _measure(self, scores: np.ndarray, top: np.ndarray, relevant: sp.csr_matrix, totals: np.ndarray) -> np.ndarray:
        """[batch, metrics] in the order of PER_USER."""
        hits = metrics.hits(top, relevant)
        columns = (
            *(function(hits, totals, k) for function in AT_EACH_K.values() for k in KS),
            *(metrics.hit_rate(hits, k) for k in KS),
            metrics.reciprocal_rank(scores, relevant),
            metrics.novelty(top[:, :20], self._buyers, self._all_users),
            metrics.popularity(top[:, :20], self._buyers, self._all_users),
        )
        return np.stack(columns, axis=1)


def _shuffled(item_ids: np.ndarray) -> np.ndarray:
    """[items] columns in an order that depends on the ids alone, so that ties carry no information."""
    return np.argsort(item_ids)[np.random.default_rng(_SEED).permutation(len(item_ids))]


def _tallies(holdout: Holdout, order: np.ndarray, cold: np.ndarray) -> dict[str, _Tally]:
    """A tally for each slice, its items in the shuffled order."""
    labels, buyers = holdout.labels[:, order], count_users(holdout)[order]
    cold_labels = labels.multiply(holdout.is_cold[order]).tocsr()
    relevant = {
        "all": labels,
        "novel": labels - labels.multiply(holdout.history[:, order].sign()),
        "cold": cold_labels,
        "cold_among": labels[:, cold],
        "new_users": labels.multiply(holdout.is_new[:, None]).tocsr(),
    }
    for matrix in relevant.values():
        matrix.eliminate_zeros()
    all_users = len(pd.unique(holdout.event_user))
    return {
        slice_: _Tally(relevant[slice_], buyers[cold] if slice_ == "cold_among" else buyers, all_users)
        for slice_ in SLICES
    }


def _scores(name: str, score: Scorer, rows: np.ndarray, items: int) -> np.ndarray:
    scores = np.asarray(score(rows), np.float32)
    if scores.shape != (len(rows), items):
        raise ModelError(f"{name} gave scores of shape {scores.shape}; expected [users, items] = {(len(rows), items)}")
    return scores


def _rankings(scores: np.ndarray, history: sp.csr_matrix, cold: np.ndarray) -> dict[str, _Ranking]:
    """The three rankings that SLICES names."""
    unseen = scores.copy()
    unseen[np.repeat(np.arange(len(scores)), np.diff(history.indptr)), history.indices] = -np.inf
    return {"open": _rank(scores), "unseen": _rank(unseen), "cold": _rank(unseen[:, cold])}


def _rank(scores: np.ndarray) -> _Ranking:
    return _Ranking(scores, metrics.top_k(scores, 100))
