"""Baselines that combine other baselines: a weighted sum, and LightGBM over their scores.

Functions from scorers to a scorer. Fitting uses the labels of a window, which must be earlier than
the evaluated one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec.evaluation.baselines.collaborative import require
from tfrec.evaluation.holdout import Holdout, Scorer

CANDIDATES = 150  # of each scorer, for each user
_SEED = 7


def hybrid(repeat: Scorer, other: Scorer, share: float = 0.3) -> Scorer:
    """Sum of two scorers, each divided by the user's highest score, the second times `share`."""
    return lambda user_rows: _scaled(repeat(user_rows)) + share * _scaled(other(user_rows))


def with_fallback(score: Scorer, fallback: Scorer, holdout: Holdout) -> Scorer:
    """The scorer with the fallback's scores for users without history."""
    is_empty = np.diff(holdout.history.indptr) == 0

    def filled(user_rows: np.ndarray) -> np.ndarray:
        scores = np.array(score(user_rows), np.float32)
        empty = is_empty[user_rows]
        if empty.any():
            scores[empty] = fallback(user_rows[empty])
        return scores

    return filled


def boosted(earlier: Mapping[str, Scorer], earlier_holdout: Holdout, current: Mapping[str, Scorer]) -> Scorer:
    """LightGBM over the scores of named scorers, fitted on the labels of an earlier window.

    `earlier` and `current` hold the same baselines, each fitted before its own window. An item is a
    candidate of a user when it is among the first CANDIDATES of any scorer. All other items rank
    below the candidates, by the first scorer.
    """
    require("lightgbm")
    import lightgbm

    rows, features, labels = np.arange(len(earlier_holdout.user_ids)), [], []
    for part in np.array_split(rows, max(len(rows) // 256, 1)):
        users, items, values = _candidates(earlier, part)
        features.append(values)
        labels.append(np.asarray(earlier_holdout.labels[part][users, items]).ravel())
    settings = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 63, "min_data_in_leaf": 100}
    settings |= {"seed": _SEED, "deterministic": True, "verbosity": -1}
    model = lightgbm.train(settings, lightgbm.Dataset(np.concatenate(features), np.concatenate(labels)), 300)

    def score(user_rows: np.ndarray) -> np.ndarray:
        users, items, values = _candidates(current, user_rows)
        scores = _scaled(next(iter(current.values()))(user_rows)) - 2
        scores[users, items] = model.predict(values)
        return np.asarray(scores, np.float32)

    return score


def _candidates(scorers: Mapping[str, Scorer], user_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices (row of the batch, item) and features [candidates, 2 * scorers] of candidates.

    The features are each scorer's score, and the same divided by the user's highest.
    """
    scores = [np.asarray(score(user_rows), np.float32) for score in scorers.values()]
    is_candidate = np.zeros(scores[0].shape, bool)
    for each in scores:
        count = min(CANDIDATES, each.shape[1])
        np.put_along_axis(is_candidate, np.argpartition(each, -count, axis=1)[:, -count:], True, axis=1)
    users, items = np.nonzero(is_candidate)
    values = [each[users, items] for each in scores] + [_scaled(each)[users, items] for each in scores]
    return users, items, np.stack(values, axis=1)


def _scaled(scores: np.ndarray) -> np.ndarray:
    """Scores of each user divided by the highest; not divided by less than 1e-9."""
    return scores / np.maximum(scores.max(axis=1, keepdims=True, initial=0), 1e-9)
