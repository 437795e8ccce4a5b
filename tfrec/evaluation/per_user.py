"""Per-user metrics of rankings, gathered batch by batch: of a slice, of groups of items, of groups of users.

It knows what is relevant and what was ranked; it knows nothing of models, or of why something is masked.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy.sparse as sp

from tfrec import metrics
from tfrec.evaluation.bootstrap import intervals
from tfrec.evaluation.groups import Partition
from tfrec.evaluation.scores import SliceScores, Texts

KS = (5, 10, 20, 100)
AT_EACH_K = {"ndcg": metrics.ndcg, "recall": metrics.recall, "map": metrics.average_precision}
PER_USER = (
    *(f"{name}@{k}" for name in AT_EACH_K for k in KS),
    *(f"hit_rate@{k}" for k in KS),
    *("mrr", "novelty@20", "popularity@20"),
)
DIVERSITY = "diversity@20"
"""Per user too, the last one; measured where the texts of the items are given."""
METRICS = (*PER_USER, "coverage@20", "gini@20")
GROUP_METRICS = ("ndcg@20", "recall@20")

SHOWN = 20  # items of a list


@dataclasses.dataclass(frozen=True)
class Lists:
    """What is known of the items that a ranking is about."""

    items: int
    buyers: np.ndarray  # [items] users who chose each before the window
    all_users: int
    texts: Texts | None

    def measure(self, top: np.ndarray) -> np.ndarray:
        """[batch, metrics] what a list is, whatever is relevant: novelty, popularity and, by texts, diversity."""
        columns = [metric(top, self.buyers, self.all_users) for metric in (metrics.novelty, metrics.popularity)]
        if self.texts is not None:
            columns.append(metrics.diversity(top, self.texts.vectors, self.texts.row))
        return np.stack(columns, axis=1)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What a batch of users would be shown."""

    scores: np.ndarray  # [batch, items] float32
    top: np.ndarray  # [batch, 100] columns, best first
    of_list: np.ndarray  # [batch, metrics] as Lists.measure has them


class Tally:
    """Gathers one slice's per-user metrics, batch by batch."""

    def __init__(self, relevant: sp.csr_matrix, lists: Lists) -> None:
        self.relevant, self._items = relevant, lists.items
        self._names = PER_USER if lists.texts is None else (*PER_USER, DIVERSITY)
        self._values: list[np.ndarray] = [np.empty((0, len(self._names)))]
        self._lists: list[np.ndarray] = [np.empty(0, np.int64)]

    def add(self, rows: np.ndarray, ranking: Ranking, is_broken: np.ndarray) -> None:
        """Measures the users of `rows` who have something relevant in this slice; NaN where `is_broken`."""
        relevant = self.relevant[rows]
        totals = np.diff(relevant.indptr)
        kept = np.flatnonzero(totals)
        if len(kept):
            values = self._measure(ranking, kept, relevant[kept], totals[kept])
            self._values.append(np.where(is_broken[kept, None], math.nan, values))
            self._lists.append(ranking.top[kept, :SHOWN].ravel())

    def result(self, by_user: tuple[str, ...]) -> SliceScores:
        """Means over users with their intervals; of the metrics `by_user` each user's own value too."""
        values, shown = self.values(), self.shown()
        users = len(values)
        if users == 0:
            return SliceScores(0, math.nan, dict.fromkeys((*METRICS, *self._names[len(PER_USER) :]), math.nan))
        means = dict(zip(self._names, values.mean(axis=0).tolist(), strict=True))
        of_all = {"coverage@20": metrics.coverage(shown, self._items), "gini@20": metrics.gini(shown, self._items)}
        ends = dict(zip(self._names, intervals(values).tolist(), strict=True)) if users > 1 else {}
        return SliceScores(
            users,
            _standard_error(values[:, PER_USER.index("ndcg@20")]),
            {name: (means | of_all)[name] for name in (*METRICS, *self._names[len(PER_USER) :])},
            {name: (low, high) for name, (low, high) in ends.items()},
            {name: values[:, self._names.index(name)].astype(np.float32) for name in by_user},
        )

    def values(self) -> np.ndarray:
        """[users, metrics] in the order of PER_USER, then diversity."""
        return np.concatenate(self._values)

    def shown(self) -> np.ndarray:
        """The first 20 of all users' lists, one after the other."""
        return np.concatenate(self._lists)

    def _measure(self, ranking: Ranking, kept: np.ndarray, relevant: sp.csr_matrix, totals: np.ndarray) -> np.ndarray:
        """[batch, metrics] in the order of PER_USER, then diversity."""
        hits = metrics.hits(ranking.top[kept], relevant)
        columns = (
            *(function(hits, totals, k) for function in AT_EACH_K.values() for k in KS),
            *(metrics.hit_rate(hits, k) for k in KS),
            metrics.reciprocal_rank([ranking.scores[row] for row in kept], relevant),
        )
        return np.concatenate([np.stack(columns, axis=1), ranking.of_list[kept]], axis=1)


class GroupTally:
    """Gathers the metrics of each group of a partition of the items: relevant is what the user chose of it."""

    def __init__(self, relevant: sp.csr_matrix, partition: Partition) -> None:
        self._relevant, self._partition = relevant, partition
        items, groups = len(partition.place), len(partition.names)
        self._of_group = sp.csr_matrix((np.ones(items), (np.arange(items), partition.place)), (items, groups))
        self._values: list[np.ndarray] = [np.empty((0, groups, len(GROUP_METRICS)))]
        self._totals: list[np.ndarray] = [np.empty((0, groups), np.int64)]

    def add(self, rows: np.ndarray, ranking: Ranking, is_broken: np.ndarray) -> None:
        """Measures the users of `rows`; NaN where `is_broken`."""
        relevant = self._relevant[rows]
        totals = (relevant @ self._of_group).toarray().astype(np.int64)
        top = ranking.top[:, :SHOWN]
        hits = metrics.hits(top, relevant)[:, np.newaxis] & (
            self._partition.place[top][:, np.newaxis] == np.arange(totals.shape[1])[:, np.newaxis]
        )
        flat = hits.reshape(-1, top.shape[1]), np.maximum(totals, 1).ravel()
        values = np.stack([metrics.ndcg(*flat, SHOWN), metrics.recall(*flat, SHOWN)], axis=1)
        values = values.reshape(*totals.shape, len(GROUP_METRICS))
        self._values.append(np.where(is_broken[:, None, None], math.nan, values))
        self._totals.append(totals)

    def result(self) -> dict[str, SliceScores]:
        """The scores of each group over the users who chose something of it."""
        values, chose = np.concatenate(self._values), np.concatenate(self._totals) > 0
        return {
            name: mean_over_users(values[chose[:, group], group]) for group, name in enumerate(self._partition.names)
        }


def mean_over_users(values: np.ndarray) -> SliceScores:
    """The scores of a group's users, of their values [users, metrics] in the order of GROUP_METRICS."""
    means = values.mean(axis=0) if len(values) else np.full(len(GROUP_METRICS), math.nan)
    of_ndcg = values[:, GROUP_METRICS.index("ndcg@20")]
    return SliceScores(
        len(values),
        _standard_error(of_ndcg),
        dict(zip(GROUP_METRICS, means.tolist(), strict=True)),
        per_user={"ndcg@20": of_ndcg.astype(np.float32)},
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def rank(scores: np.ndarray, lists: Lists) -> Ranking:
    """The ranking of scores [batch, items]."""
    top = metrics.top_k(scores, max(KS))
    return Ranking(scores, top, lists.measure(top[:, :SHOWN]))
