"""A few held-out users by the titles of their items: history, recommendations and labels."""

from __future__ import annotations

import numpy as np

from tfrec import metrics
from tfrec.evaluation.details import SampleItem, SampleUser
from tfrec.evaluation.holdout import Holdout, Scorer

USERS, LIST_LENGTH = 20, 10

_SEED = 7


def sample_users(holdout: Holdout, score: Scorer, titles: np.ndarray) -> tuple[SampleUser, ...]:
    """Up to 20 random users with at most 10 items in each list; `titles` is [items] str.

    An item of the history or of the recommendations is marked if it is a label, a label if it is
    recommended.
    """
    users = len(holdout.user_ids)
    rows = np.sort(np.random.default_rng(_SEED).permutation(users)[:USERS])
    if not len(rows):
        return ()
    scores = score(rows)
    lists = metrics.top_k(np.where(np.isnan(scores), -np.inf, scores), LIST_LENGTH)
    return tuple(_sample_user(holdout, row, top, titles) for row, top in zip(rows, lists, strict=True))


def _sample_user(holdout: Holdout, row: int, top: np.ndarray, titles: np.ndarray) -> SampleUser:
    top = top[top != metrics.MASKED]
    labels = holdout.labels[row].indices

    def items(columns: np.ndarray, marked: np.ndarray) -> tuple[SampleItem, ...]:
        return tuple(
            SampleItem(str(holdout.item_ids[column]), str(titles[column]), bool(is_marked))
            for column, is_marked in zip(columns, np.isin(columns, marked), strict=True)
        )

    # Recommended labels come first: the page shows only some of many labels.
    is_hit = np.isin(labels, top)
    hits_first = np.concatenate([labels[is_hit], labels[~is_hit]])[:LIST_LENGTH]
    return SampleUser(
        str(holdout.user_ids[row]),
        items(_latest(holdout, row), labels),
        items(top, labels),
        items(hits_first, top),
        len(labels),
    )


def _latest(holdout: Holdout, row: int) -> np.ndarray:
    """Columns of the items of the user's last events of any kind, the latest first."""
    events = holdout.own_events
    own = np.flatnonzero(events.user == row)
    items = events.item[own[np.argsort(-events.timestamp[own], kind="stable")]]
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)][:LIST_LENGTH]
