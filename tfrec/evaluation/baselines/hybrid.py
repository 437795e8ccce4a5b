"""Baselines made of baselines: habit with co-purchase, and LightGBM over what the others say.

Functions from scorers to a scorer; a fit looks at the window of a holdout, so it wants an earlier one than is judged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec.evaluation.baselines.collaborative import need
from tfrec.evaluation.holdout import Holdout, Scorer

CANDIDATES = 150  # of each scorer, for each user
_SEED = 7


def hybrid(habit: Scorer, other: Scorer, share: float = 0.3) -> Scorer:
    """Two scorers, each divided by its highest score for the user; the second one counts for `share`."""
    return lambda user_rows: _scaled(habit(user_rows)) + share * _scaled(other(user_rows))


def with_fallback(score: Scorer, fallback: Scorer, holdout: Holdout) -> Scorer:
    """The scorer, but users without history get the fallback's scores."""
    is_empty = np.diff(holdout.history.indptr) == 0

    def filled(user_rows: np.ndarray) -> np.ndarray:
        scores = np.array(score(user_rows), np.float32)
        empty = is_empty[user_rows]
        if empty.any():
            scores[empty] = fallback(user_rows[empty])
        return scores

    return filled


def boosted(past: Mapping[str, Scorer], past_holdout: Holdout, now: Mapping[str, Scorer]) -> Scorer:
    """LightGBM over the scores of named scorers, fitted on the choices of an earlier window.

    `past` and `now` hold the same baselines, each fitted before its own window. An item is a candidate of a user when
    it is among the first CANDIDATES of any scorer; all others rank below every candidate, by the first scorer.
    """
    need("lightgbm")
    import lightgbm

    rows, features, labels = np.arange(len(past_holdout.user_ids)), [], []
    for part in np.array_split(rows, max(len(rows) // 256, 1)):
        users, items, values = _candidates(past, part)
        features.append(values)
        labels.append(np.asarray(past_holdout.labels[part][users, items]).ravel())
    settings = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 63, "min_data_in_leaf": 100}
    settings |= {"seed": _SEED, "deterministic": True, "verbosity": -1}
    model = lightgbm.train(settings, lightgbm.Dataset(np.concatenate(features), np.concatenate(labels)), 300)

    def score(user_rows: np.ndarray) -> np.ndarray:
        users, items, values = _candidates(now, user_rows)
        scores = _scaled(next(iter(now.values()))(user_rows)) - 2
        scores[users, items] = model.predict(values)
        return np.asarray(scores, np.float32)

    return score


def _candidates(scorers: Mapping[str, Scorer], user_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the candidates, (user of the batch, item), and their features [candidates, 2 * scorers].

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
    """Each user's scores divided by the highest; all zero where none is positive."""
    return scores / np.maximum(scores.max(axis=1, keepdims=True, initial=0), 1e-9)
