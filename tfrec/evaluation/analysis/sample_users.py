"""A few held-out users by the titles of their items: what they chose, what is recommended, what they chose then."""

from __future__ import annotations

import numpy as np

from tfrec import metrics
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.scores import Listed, Shopper

USERS, SHOWN = 20, 10

_SEED = 7


def shoppers(holdout: Holdout, score: Scorer, titles: np.ndarray) -> tuple[Shopper, ...]:
    """Up to 20 users drawn at random; `titles` [items] str. Of each list the first 10, a history from its end.

    A recommended item is marked where the user chose it in the window, one that was chosen then where it is
    recommended among the first 10, one of the history where it was chosen again.
    """
    users = len(holdout.user_ids)
    rows = np.sort(np.random.default_rng(_SEED).permutation(users)[:USERS])
    if not len(rows):
        return ()
    scores = score(rows)
    lists = metrics.top_k(np.where(np.isnan(scores), -np.inf, scores), SHOWN)
    return tuple(_shopper(holdout, row, best, titles) for row, best in zip(rows, lists, strict=True))


def _shopper(holdout: Holdout, row: int, best: np.ndarray, titles: np.ndarray) -> Shopper:
    best = best[best != metrics.MASKED]
    chosen = holdout.labels[row].indices

    def listed(columns: np.ndarray, marked: np.ndarray) -> tuple[Listed, ...]:
        return tuple(
            Listed(str(holdout.item_ids[column]), str(titles[column]), bool(is_marked))
            for column, is_marked in zip(columns, np.isin(columns, marked), strict=True)
        )

    # What was recommended comes first: of many choices the page shows only some.
    found_first = np.concatenate([chosen[np.isin(chosen, best)], chosen[~np.isin(chosen, best)]])[:SHOWN]
    return Shopper(
        str(holdout.user_ids[row]),
        listed(_latest(holdout, row), chosen),
        listed(best, chosen),
        listed(found_first, best),
        len(chosen),
    )


def _latest(holdout: Holdout, row: int) -> np.ndarray:
    """Columns of the user's last distinct items, the latest first."""
    own = np.flatnonzero(holdout.event_user == row)
    items = holdout.event_item[own[np.argsort(-holdout.event_timestamp[own], kind="stable")]]
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)][:SHOWN]
