"""Item-kNN on the last click: items of users who had the user's last item too.

It is what a shop shows without any model to a user of a single click.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from tfrec.evaluation.baselines.collaborative import interactions
from tfrec.evaluation.baselines.popularity import recent_popularity
from tfrec.evaluation.holdout import Holdout, Scorer

_TIE_BREAK = 1e-4  # cosine added for the most popular item


def last_click_knn(holdout: Holdout, last_item: np.ndarray) -> Scorer:
    """Cosine of each item to the user's last item, over all other users before the window.

    `last_item` is [users] int64, a column of item_ids, or -1 for a user without one, who gets
    recent popularity. Recent popularity also breaks ties and fills up the list. The user's own
    history is left out, so the score holds nothing but the last item.
    """
    matrix = interactions(holdout)
    by_item = sp.csr_matrix(matrix.T)
    lengths = np.maximum(np.sqrt(np.diff(by_item.indptr)), 1).astype(np.float32)
    recent_users = recent_popularity(holdout)

    def score(user_rows: np.ndarray) -> np.ndarray:
        last, own, recent = last_item[user_rows], matrix[user_rows], recent_users(user_rows)
        tie_break = _TIE_BREAK * recent / np.maximum(recent.max(axis=1, keepdims=True, initial=0), 1)
        is_known = last >= 0
        had_last = np.asarray(own[np.arange(len(last)), np.maximum(last, 0)]).ravel() * is_known
        shared = (by_item[np.maximum(last, 0)] @ matrix).multiply(is_known[:, np.newaxis])
        users = (shared - own.multiply(had_last[:, np.newaxis])).toarray()
        return np.asarray(users / lengths / lengths[np.maximum(last, 0), np.newaxis] + tie_break, np.float32)

    return score
