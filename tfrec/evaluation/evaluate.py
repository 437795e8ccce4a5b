"""Scores of a model by slice over the whole catalog, nothing sampled.

The slices:

    all         every user with a label; nothing masked
    novel       relevant: labels that are not in the user's history; the history is masked
    cold        relevant: items without any event before the window; every unmasked item competes
    cold_among  the same, ranked among the cold items alone
    new_users   users without any event before the window; nothing masked
    cart labels and so on: one slice for each kind of label, where there are several; relevant are
                the labels of this kind, nothing masked

Groups of items (departments, ages) and of users (activity) are measured on the first 20 items of
the whole catalog, nothing masked. Relevant in a group of items are the user's labels in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tfrec import metrics
from tfrec.errors import ModelError
from tfrec.evaluation.groups import Groups, Partition
from tfrec.evaluation.holdout import Holdout, Scorer, count_users
from tfrec.evaluation.per_user import (
    GROUP_METRICS,
    LIST_LENGTH,
    PER_USER,
    GroupMetrics,
    ItemTexts,
    PerUserMetrics,
    RankedItems,
    Ranking,
    mean_over_users,
    rank,
)
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, of_kind

SLICES = {"all": "open", "novel": "unseen", "cold": "unseen", "cold_among": "cold", "new_users": "open"}
"""Slice -> its ranking: nothing masked, the user's history masked, or the cold items alone."""

TENTHS = 10

_SEED = 7


@dataclasses.dataclass(frozen=True)
class Extras:
    """Measurements in addition to the means of the slices."""

    per_user: tuple[str, ...] = ("ndcg@20",)
    """Metrics that are returned as each user's own value too."""
    groups: Groups = dataclasses.field(default_factory=Groups)
    texts: ItemTexts | None = None


DEFAULT_EXTRAS = Extras()


def evaluate(
    name: str,
    score: Scorer,
    holdout: Holdout,
    extras: Extras = DEFAULT_EXTRAS,
    *,
    rows: np.ndarray | None = None,
    batch: int = 256,
) -> Scores:
    """Scores of one model on every slice, over the users `rows` of the holdout (None: all).

    A user for whom the model gives a NaN has NaN metrics, and so has every mean over that user. All
    metrics of a slice without users are NaN. ModelError when the scores are not [batch, items].
    """
    rows = np.arange(len(holdout.user_ids)) if rows is None else rows
    measures = _Measures(holdout, extras)
    seconds = 0.0
    for start in range(0, len(rows), batch):
        users = rows[start : start + batch]
        began = time.perf_counter()
        scores = _scores(name, score, users, len(holdout.item_ids))
        seconds += time.perf_counter() - began
        measures.add(users, scores)
    return measures.result(name, rows, seconds)


class _Measures:
    """Per-user metrics of all slices and groups, with the items in one shuffled order."""

    def __init__(self, holdout: Holdout, extras: Extras) -> None:
        self._order = order = _shuffled(holdout.item_ids)
        self._cold = np.flatnonzero(holdout.is_cold[order])
        self._history = holdout.history[:, order]
        self._items = _ranked_items(holdout, order, self._cold, extras.texts)
        self._extras = extras
        relevant = _relevant(holdout, order, self._cold)
        self._rankings_of = SLICES | {of_kind(kind): "open" for kind in holdout.labels_of_kind}
        self._slices = {
            name: PerUserMetrics(relevant[name], self._items[key]) for name, key in self._rankings_of.items()
        }
        self._groups = {
            key: GroupMetrics(relevant["all"], Partition(partition.names, partition.group[order]))
            for key, partition in extras.groups.of_items.items()
        }

    def add(self, users: np.ndarray, scores: np.ndarray) -> None:
        """Add a batch of users with their scores [batch, items] in the order of the catalog."""
        shuffled = np.take(scores, self._order, axis=1)
        is_nan = np.isnan(shuffled.max(axis=1, initial=-np.inf))
        shuffled[is_nan] = 0
        for key, ranking in self._rankings(shuffled, self._history[users]):
            for name, slice_ in self._slices.items():
                if self._rankings_of[name] == key:
                    slice_.add(users, ranking, is_nan)
            for group in self._groups.values() if key == "open" else ():
                group.add(users, ranking, is_nan)

    def result(self, name: str, rows: np.ndarray, seconds: float) -> Scores:
        """Scores over the users that were added, `rows` in this order."""
        of_all = self._slices["all"]
        by_activity = {key: _by_user_group(of_all, part, rows) for key, part in self._extras.groups.of_users.items()}
        return Scores(
            name,
            {key: slice_.result(self._extras.per_user) for key, slice_ in self._slices.items()},
            seconds,
            {key: group.result() for key, group in self._groups.items()} | by_activity,
            _shares(_tenths(self._items["open"].buyers), of_all.listed()),
            self._lists(of_all.listed()),
        )

    def _lists(self, listed: np.ndarray) -> np.ndarray:
        """[users, 20] columns of the catalog from those of the shuffled order."""
        width = max(min(LIST_LENGTH, len(self._order)), 1)
        return np.where(listed == metrics.MASKED, metrics.MASKED, self._order[listed]).reshape(-1, width)

    def _rankings(self, scores: np.ndarray, history: sp.csr_matrix) -> Iterator[tuple[str, Ranking]]:
        """The three rankings of SLICES."""
        yield "open", rank(scores, self._items["open"])
        unseen = scores.copy()
        unseen[np.repeat(np.arange(len(scores)), np.diff(history.indptr)), history.indices] = -np.inf
        yield "unseen", rank(unseen, self._items["unseen"])
        yield "cold", rank(unseen[:, self._cold], self._items["cold"])


def label_shares(holdout: Holdout) -> tuple[float, ...]:
    """Shares of all labels by tenth of the items, the most popular first, as `Scores.exposure`."""
    return _shares(popularity_tenths(holdout), holdout.labels.indices)


def popularity_tenths(holdout: Holdout) -> np.ndarray:
    """[items] int64 tenth of each item by its users before the window, 0 the most popular."""
    order = _shuffled(holdout.item_ids)
    tenths = np.empty(len(order), np.int64)
    tenths[order] = _tenths(count_users(holdout)[order])
    return tenths


def protocol_of(holdout: Holdout) -> Protocol:
    """Conditions under which `evaluate` measures on this holdout."""
    return Protocol(
        window=holdout.window,
        window_start=holdout.window_start,
        clock=holdout.clock,
        split=holdout.split,
        label_kinds=holdout.label_kinds,
        candidates=holdout.candidates,
        users=len(holdout.user_ids),
        new_users=int(holdout.is_new.sum()),
        items=len(holdout.item_ids),
        cold_items=int(holdout.is_cold.sum()),
        ties=f"in lists by one random order of the items (seed {_SEED}), in mrr by the mean rank",
        masks="the user's history, in novel, cold and cold_among",
        data=_fingerprint(holdout),
    )


def _fingerprint(holdout: Holdout) -> str:
    """Hash of users, candidates, labels and histories."""
    digest = hashlib.sha256()
    for ids in (holdout.user_ids, holdout.item_ids):
        digest.update("\0".join(ids).encode())
    for matrix in (holdout.labels, holdout.history):
        for part in (matrix.indptr, matrix.indices, matrix.data):
            digest.update(np.asarray(part, np.float64).tobytes())
    return digest.hexdigest()[:16]


def _scores(name: str, score: Scorer, rows: np.ndarray, items: int) -> np.ndarray:
    scores = np.asarray(score(rows), np.float32)
    if scores.shape != (len(rows), items):
        raise ModelError(f"{name} gave scores of shape {scores.shape}; expected [users, items] = {(len(rows), items)}")
    return scores


def _shuffled(item_ids: np.ndarray) -> np.ndarray:
    """[items] columns in an order by the ids alone, so that ties carry no information."""
    return np.argsort(item_ids)[np.random.default_rng(_SEED).permutation(len(item_ids))]


def _ranked_items(
    holdout: Holdout, order: np.ndarray, cold: np.ndarray, texts: ItemTexts | None
) -> dict[str, RankedItems]:
    """Ranking -> its items, in the shuffled order."""
    buyers, all_users = count_users(holdout)[order], len(pd.unique(holdout.event_user))
    shuffled = texts and texts.of(order)
    whole = RankedItems(len(order), buyers, all_users, shuffled)
    cold_items = RankedItems(len(cold), buyers[cold], all_users, shuffled and shuffled.of(cold))
    return {"open": whole, "unseen": whole, "cold": cold_items}


def _relevant(holdout: Holdout, order: np.ndarray, cold: np.ndarray) -> dict[str, sp.csr_matrix]:
    """Slice -> [users, items] its relevant items, in the shuffled order."""
    labels = holdout.labels[:, order]
    relevant = {
        "all": labels,
        "novel": metrics.not_in_history(labels, holdout.history[:, order]),
        "cold": labels.multiply(holdout.is_cold[order]).tocsr(),
        "cold_among": labels[:, cold],
        "new_users": labels.multiply(holdout.is_new[:, None]).tocsr(),
        **{of_kind(kind): part[:, order] for kind, part in holdout.labels_of_kind.items()},
    }
    for matrix in relevant.values():
        matrix.eliminate_zeros()
    return relevant


def _by_user_group(all_users: PerUserMetrics, partition: Partition, rows: np.ndarray) -> dict[str, SliceScores]:
    """Scores of each group of the users `rows`; each of them has a label."""
    values = all_users.values()[:, [PER_USER.index(metric) for metric in GROUP_METRICS]]
    groups = partition.group[rows]
    return {
        name: mean_over_users(values[groups == group], rows[groups == group])
        for group, name in enumerate(partition.names)
    }


def _tenths(buyers: np.ndarray) -> np.ndarray:
    """[items] int64 tenth of each item by buyers, 0 the most popular; equal items by column."""
    position = np.empty(len(buyers), np.int64)
    position[np.argsort(-buyers, kind="stable")] = np.arange(len(buyers))
    return position * TENTHS // max(len(buyers), 1)


def _shares(tenth: np.ndarray, columns: np.ndarray) -> tuple[float, ...]:
    """Share of the columns in each tenth, MASKED ones left out; NaN where there is no column."""
    counts = np.bincount(tenth[columns[columns != metrics.MASKED]], minlength=TENTHS)
    return tuple((counts / counts.sum()).tolist()) if counts.sum() else (math.nan,) * TENTHS
