"""Scores by slice over the whole catalogue, nothing sampled.

It takes a scorer of any kind and a holdout; it knows nothing of towers or of files. The slices:

    all         every user with a label; nothing masked
    novel       relevant: items the user never chose before; what the user chose before is masked
    cold        relevant: items without any event before the window; every unmasked item competes
    cold_among  the same, ranked among the cold items alone
    new_users   users without any event before the window; nothing masked

Groups of items (departments, ages) and of users (activity) are looked at beside them, in the list that the user is
shown: nothing masked, the first 20 of the whole catalogue. Relevant in a group of items is what the user chose of it.
"""

from __future__ import annotations

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
from tfrec.evaluation.holdout import Holdout, Scorer, count_users, holdout_from_events, read_holdout
from tfrec.evaluation.per_user import (
    GROUP_METRICS,
    METRICS,
    PER_USER,
    GroupTally,
    Lists,
    Ranking,
    Tally,
    mean_over_users,
    rank,
)
from tfrec.evaluation.scores import Evaluation, Protocol, Scores, SliceScores, Texts
from tfrec.evaluation.verdict import decide

__all__ = [  # an evaluation from one place
    "METRICS",
    "Evaluation",
    "Holdout",
    "Scores",
    "Texts",
    "chosen_by_tenth",
    "decide",
    "evaluate",
    "holdout_from_events",
    "protocol_of",
    "read_holdout",
]

SLICES = {"all": "open", "novel": "unseen", "cold": "unseen", "cold_among": "cold", "new_users": "open"}
"""Slice -> its ranking: nothing masked, the user's history masked, or the cold items alone."""

NO_GROUPS = Groups()
TENTHS = 10

_SEED = 7


def evaluate(
    name: str,
    score: Scorer,
    holdout: Holdout,
    batch: int = 256,
    by_user: tuple[str, ...] = ("ndcg@20",),
    groups: Groups = NO_GROUPS,
    texts: Texts | None = None,
    rows: np.ndarray | None = None,
) -> Scores:
    """The scores of one model on every slice, over all users with a label in the window, and some user by user.

    `rows` are the users that count, by default all of them. A user for whom the model gives a NaN has NaN metrics,
    and so has every mean over that user; a slice without users is all NaN. ModelError when the scores are not
    [batch, items].
    """
    rows = np.arange(len(holdout.user_ids)) if rows is None else rows
    order = _shuffled(holdout.item_ids)
    cold = np.flatnonzero(holdout.is_cold[order])
    history, lists = holdout.history[:, order], _lists(holdout, order, cold, texts)
    relevant = _relevant(holdout, order, cold)
    tallies = {slice_: Tally(relevant[slice_], lists[key]) for slice_, key in SLICES.items()}
    of_groups = {
        key: GroupTally(tallies["all"].relevant, Partition(partition.names, partition.place[order]))
        for key, partition in groups.of_items.items()
    }
    seconds = 0.0
    for start in range(0, len(rows), batch):
        users = rows[start : start + batch]
        began = time.perf_counter()
        scores = _scores(name, score, users, len(order))
        seconds += time.perf_counter() - began
        shuffled = np.take(scores, order, axis=1)
        is_broken = np.isnan(shuffled.max(axis=1, initial=-np.inf))
        shuffled[is_broken] = 0
        for key, ranking in _rankings(shuffled, history[users], cold, lists):
            for slice_, tally in tallies.items():
                if SLICES[slice_] == key:
                    tally.add(users, ranking, is_broken)
            for group in of_groups.values() if key == "open" else ():
                group.add(users, ranking, is_broken)
    of_all = tallies["all"]
    return Scores(
        name,
        {slice_: tally.result(by_user) for slice_, tally in tallies.items()},
        seconds,
        {key: tally.result() for key, tally in of_groups.items()}
        | {key: _by_activity(of_all, partition, rows) for key, partition in groups.of_users.items()},
        _shares(_tenth(lists["open"].buyers), of_all.shown()),
    )


def chosen_by_tenth(holdout: Holdout) -> tuple[float, ...]:
    """Shares of all labels by tenth of the items, the most popular first: what `Scores.exposure` is beside."""
    order = _shuffled(holdout.item_ids)
    return _shares(_tenth(count_users(holdout)[order]), holdout.labels[:, order].indices)


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


def _by_activity(tally: Tally, partition: Partition, rows: np.ndarray) -> dict[str, SliceScores]:
    """The scores of each group of the users; each of them has something relevant in the tally."""
    values = tally.values()[:, [PER_USER.index(metric) for metric in GROUP_METRICS]]
    return {name: mean_over_users(values[partition.place[rows] == group]) for group, name in enumerate(partition.names)}


def _tenth(buyers: np.ndarray) -> np.ndarray:
    """[items] int64 in which tenth of the items by buyers each is, 0 the most popular; alike ones by column."""
    place = np.empty(len(buyers), np.int64)
    place[np.argsort(-buyers, kind="stable")] = np.arange(len(buyers))
    return place * TENTHS // max(len(buyers), 1)


def _shares(tenth: np.ndarray, columns: np.ndarray) -> tuple[float, ...]:
    """Of the columns, places left empty aside, how many are in each tenth; NaN where there is none."""
    counts = np.bincount(tenth[columns[columns != metrics.MASKED]], minlength=TENTHS)
    return tuple((counts / counts.sum()).tolist()) if counts.sum() else (math.nan,) * TENTHS


def _shuffled(item_ids: np.ndarray) -> np.ndarray:
    """[items] columns in an order that depends on the ids alone, so that ties carry no information."""
    return np.argsort(item_ids)[np.random.default_rng(_SEED).permutation(len(item_ids))]


def _lists(holdout: Holdout, order: np.ndarray, cold: np.ndarray, texts: Texts | None) -> dict[str, Lists]:
    """What is known of the items of each ranking, in the shuffled order."""
    buyers, all_users = count_users(holdout)[order], len(pd.unique(holdout.event_user))
    shuffled = texts and Texts(texts.vectors, texts.row[order])
    of_cold = shuffled and Texts(shuffled.vectors, shuffled.row[cold])
    whole = Lists(len(order), buyers, all_users, shuffled)
    return {"open": whole, "unseen": whole, "cold": Lists(len(cold), buyers[cold], all_users, of_cold)}


def _relevant(holdout: Holdout, order: np.ndarray, cold: np.ndarray) -> dict[str, sp.csr_matrix]:
    """Slice -> [users, items] what counts in it, the items in the shuffled order."""
    labels = holdout.labels[:, order]
    relevant = {
        "all": labels,
        "novel": metrics.not_in_history(labels, holdout.history[:, order]),
        "cold": labels.multiply(holdout.is_cold[order]).tocsr(),
        "cold_among": labels[:, cold],
        "new_users": labels.multiply(holdout.is_new[:, None]).tocsr(),
    }
    for matrix in relevant.values():
        matrix.eliminate_zeros()
    return relevant


def _scores(name: str, score: Scorer, rows: np.ndarray, items: int) -> np.ndarray:
    scores = np.asarray(score(rows), np.float32)
    if scores.shape != (len(rows), items):
        raise ModelError(f"{name} gave scores of shape {scores.shape}; expected [users, items] = {(len(rows), items)}")
    return scores


def _rankings(
    scores: np.ndarray, history: sp.csr_matrix, cold: np.ndarray, lists: dict[str, Lists]
) -> Iterator[tuple[str, Ranking]]:
    """The three rankings that SLICES names, one after the other: `scores` is masked in between."""
    yield "open", rank(scores, lists["open"])
    scores[np.repeat(np.arange(len(scores)), np.diff(history.indptr)), history.indices] = -np.inf
    yield "unseen", rank(scores, lists["unseen"])
    yield "cold", rank(scores[:, cold], lists["cold"])
