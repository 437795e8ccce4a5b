"""Per-user metrics of rankings by slice and by group, collected batch by batch."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy.sparse as sp

from tfrec import metrics
from tfrec.evaluation.bootstrap import SHARES, intervals
from tfrec.evaluation.groups import Partition
from tfrec.evaluation.scores import SliceScores

KS = (5, 10, 20, 100)
METRICS_AT_K = {
    "ndcg": metrics.ndcg,
    "recall": metrics.recall,
    "map": metrics.average_precision,
    "precision": metrics.precision,
    "f1": metrics.f1,
}
PER_USER = (
    *(f"{name}@{k}" for name in METRICS_AT_K for k in KS),
    *(f"hit_rate@{k}" for k in KS),
    *("mrr", "novelty@20", "popularity@20"),
)
DIVERSITY = "diversity@20"
"""The last per-user metric; measured if the texts of the items are known."""
OTHER_BOUNDS = {"novelty@20": (0.0, math.inf), DIVERSITY: (0.0, 2.0)}
"""Bounds of the metrics that are no shares."""
METRICS = (*PER_USER, "coverage@20", "gini@20")
GROUP_METRICS = ("ndcg@20", "recall@20")

LIST_LENGTH = 20  # items of a recommendation list


@dataclasses.dataclass(frozen=True)
class ItemTexts:
    """Text vectors of one exported model, so that diversity is comparable between models."""

    vectors: np.ndarray  # [texts, dim] float32 of length 1
    row: np.ndarray  # [items] int64, row of the item's text in `vectors`

    def of(self, columns: np.ndarray) -> ItemTexts:
        """Texts of some of the items, in the order of `columns`."""
        return ItemTexts(self.vectors, self.row[columns])


@dataclasses.dataclass(frozen=True)
class RankedItems:
    """Properties of the items that a ranking orders."""

    items: int
    buyers: np.ndarray  # [items] users with the item before the window
    all_users: int
    texts: ItemTexts | None

    def list_metrics(self, top: np.ndarray) -> np.ndarray:
        """[batch, metrics] novelty, popularity and, with texts, diversity of the lists."""
        columns = [metric(top, self.buyers, self.all_users) for metric in (metrics.novelty, metrics.popularity)]
        if self.texts is not None:
            columns.append(metrics.diversity(top, self.texts.vectors, self.texts.row))
        return np.stack(columns, axis=1)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The ranking of a batch of users."""

    scores: np.ndarray  # [batch, items] float32
    top: np.ndarray  # [batch, 100] columns, best first
    list_metrics: np.ndarray  # [batch, metrics] as of RankedItems.list_metrics


def rank(scores: np.ndarray, items: RankedItems) -> Ranking:
    """The ranking of scores [batch, items]."""
    top = metrics.top_k(scores, max(KS))
    return Ranking(scores, top, items.list_metrics(top[:, :LIST_LENGTH]))


class PerUserMetrics:
    """Collects the per-user metrics of one slice, batch by batch."""

    def __init__(self, relevant: sp.csr_matrix, items: RankedItems) -> None:
        self.relevant, self._items = relevant, items.items
        self._names = PER_USER if items.texts is None else (*PER_USER, DIVERSITY)
        self._values: list[np.ndarray] = [np.empty((0, len(self._names)))]
        self._lists: list[np.ndarray] = [np.empty(0, np.int64)]
        self._rows: list[np.ndarray] = [np.empty(0, np.int64)]

    def add(self, rows: np.ndarray, ranking: Ranking, is_nan: np.ndarray) -> None:
        """Add the users of `rows` with a relevant item; metrics are NaN where `is_nan` [batch]."""
        relevant = self.relevant[rows]
        totals = np.diff(relevant.indptr)
        kept = np.flatnonzero(totals)
        if len(kept):
            values = self._measure(ranking, kept, relevant[kept], totals[kept])
            self._values.append(np.where(is_nan[kept, None], math.nan, values))
            self._lists.append(ranking.top[kept, :LIST_LENGTH].ravel())
            self._rows.append(rows[kept])

    def result(self, per_user: tuple[str, ...]) -> SliceScores:
        """Means over users with intervals; of the metrics `per_user` each user's value too."""
        values, listed = self.values(), self.listed()
        users = len(values)
        if users == 0:
            return SliceScores(0, math.nan, dict.fromkeys((*METRICS, *self._names[len(PER_USER) :]), math.nan))
        means = dict(zip(self._names, values.mean(axis=0).tolist(), strict=True))
        of_all = {"coverage@20": metrics.coverage(listed, self._items), "gini@20": metrics.gini(listed, self._items)}
        bounds = np.array([OTHER_BOUNDS.get(name, SHARES) for name in self._names])
        ends = dict(zip(self._names, intervals(values, bounds).tolist(), strict=True)) if users > 1 else {}
        return SliceScores(
            users,
            _standard_error(values[:, PER_USER.index("ndcg@20")]),
            {name: (means | of_all)[name] for name in (*METRICS, *self._names[len(PER_USER) :])},
            {name: (low, high) for name, (low, high) in ends.items()},
            {name: values[:, self._names.index(name)].astype(np.float32) for name in per_user},
            np.concatenate(self._rows),
        )

    def values(self) -> np.ndarray:
        """[users, metrics] in the order of PER_USER, then diversity."""
        return np.concatenate(self._values)

    def listed(self) -> np.ndarray:
        """Columns of the first 20 of all users' lists, concatenated."""
        return np.concatenate(self._lists)

    def _measure(self, ranking: Ranking, kept: np.ndarray, relevant: sp.csr_matrix, totals: np.ndarray) -> np.ndarray:
        """[batch, metrics] in the order of PER_USER, then diversity."""
        hits = metrics.hits(ranking.top[kept], relevant)
        columns = (
            *(function(hits, totals, k) for function in METRICS_AT_K.values() for k in KS),
            *(metrics.hit_rate(hits, k) for k in KS),
            metrics.reciprocal_rank([ranking.scores[row] for row in kept], relevant),
        )
        return np.concatenate([np.stack(columns, axis=1), ranking.list_metrics[kept]], axis=1)


class GroupMetrics:
    """Collects the metrics of each group of items; relevant are the user's labels in the group."""

    def __init__(self, relevant: sp.csr_matrix, partition: Partition) -> None:
        self._relevant, self._partition = relevant, partition
        items, groups = len(partition.group), len(partition.names)
        self._in_group = sp.csr_matrix((np.ones(items), (np.arange(items), partition.group)), (items, groups))
        self._values: list[np.ndarray] = [np.empty((0, groups, len(GROUP_METRICS)))]
        self._totals: list[np.ndarray] = [np.empty((0, groups), np.int64)]
        self._rows: list[np.ndarray] = [np.empty(0, np.int64)]

    def add(self, rows: np.ndarray, ranking: Ranking, is_nan: np.ndarray) -> None:
        """Add the users of `rows`; metrics are NaN where `is_nan` [batch]."""
        relevant = self._relevant[rows]
        totals = (relevant @ self._in_group).toarray().astype(np.int64)  # [batch, groups]
        top = ranking.top[:, :LIST_LENGTH]
        hits = metrics.hits(top, relevant)[:, np.newaxis] & (  # [batch, groups, 20]
            self._partition.group[top][:, np.newaxis] == np.arange(totals.shape[1])[:, np.newaxis]
        )
        flat = hits.reshape(-1, top.shape[1]), np.maximum(totals, 1).ravel()
        values = np.stack([metrics.ndcg(*flat, LIST_LENGTH), metrics.recall(*flat, LIST_LENGTH)], axis=1)
        values = values.reshape(*totals.shape, len(GROUP_METRICS))
        self._values.append(np.where(is_nan[:, None, None], math.nan, values))
        self._totals.append(totals)
        self._rows.append(rows)

    def result(self) -> dict[str, SliceScores]:
        """Scores of each group over the users with a label in it."""
        values, has_label = np.concatenate(self._values), np.concatenate(self._totals) > 0
        rows = np.concatenate(self._rows)
        return {
            name: mean_over_users(values[has_label[:, group], group], rows[has_label[:, group]])
            for group, name in enumerate(self._partition.names)
        }


def mean_over_users(values: np.ndarray, rows: np.ndarray) -> SliceScores:
    """Scores of a group from its users' values [users, metrics] in the order of GROUP_METRICS.

    `rows` are [users] rows of the holdout.
    """
    means = values.mean(axis=0) if len(values) else np.full(len(GROUP_METRICS), math.nan)
    ndcg = values[:, GROUP_METRICS.index("ndcg@20")]
    return SliceScores(
        len(values),
        _standard_error(ndcg),
        dict(zip(GROUP_METRICS, means.tolist(), strict=True)),
        per_user={"ndcg@20": ndcg.astype(np.float32)},
        user_rows=rows,
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
