"""Scores of cold items (without interactions) from a history's events with their groups.

The model is a logistic regression over the ranking features of an item's groups (category, text,
brand ...) and the two towers' score. It is linear, so it is a sum over the history's groups:
thousands of cold items cost a request a few lookups each. The ranker then ranks the best of them.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.features import CandidateFeatures
from tfrec.ranking.item_statistics import STATISTIC_NAMES

TOWERS = "towers"
MIN_POSITIVES = 100
"""Positives that a fit needs; with fewer, cold items stay in the order of the two towers."""

_SHRINKAGE = 10.0  # of the standardized coefficients: scikit-learn's 1 / C
_ITEM_USERS = STATISTIC_NAMES.index("item_users")


class ColdCandidates(tf.Module):
    """Catalog rows of the cold items, and their scores."""

    def __init__(self, features: CandidateFeatures, rows: int):
        super().__init__(name="cold_candidates")
        self._features = features
        by_towers = [float(name == TOWERS) for name in features.names]
        self.coefficients = tf.Variable(by_towers, trainable=False, name="coefficients")
        # A list of rows whose first `_count` are in use: shorter than a mask, and a SavedModel
        # needs one length.
        self._rows = tf.Variable(tf.zeros([rows], tf.int32), trainable=False, name="cold_rows")
        self._count = tf.Variable(0, trainable=False, name="cold_count")
        self._item_scores = tf.Variable(tf.zeros([rows]), trainable=False, name="item_scores")

    def set_statistics(self, statistics: np.ndarray) -> None:
        """Set which items are cold from item statistics [rows, len(STATISTIC_NAMES)].

        The features must have the same statistics already.
        """
        cold = np.flatnonzero(statistics[1:, _ITEM_USERS] == 0) + 1
        self._rows.assign(np.pad(cold, (0, len(statistics) - len(cold))).astype(np.int32))
        self._count.assign(len(cold))
        self._item_scores.assign(self._features.score_item_groups(self.coefficients))

    def fit(self, features: np.ndarray, labels: np.ndarray) -> bool:
        """Fit to features [n, len(names)] of cold items and bool labels [n].

        False, and nothing is fitted, where there are fewer than MIN_POSITIVES positives or no
        negative.
        """
        from sklearn.linear_model import LogisticRegression

        used = [*self._features.cold_indices, self._features.names.index(TOWERS)]
        if labels.sum() < MIN_POSITIVES or labels.all():
            return False
        values = features[:, used].astype(np.float64)
        spread = values.std(axis=0)
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        model = LogisticRegression(C=1 / _SHRINKAGE, max_iter=500).fit((values - values.mean(axis=0)) * scale, labels)
        coefficients = np.zeros(len(self._features.names), np.float32)
        coefficients[used] = model.coef_[0] * scale
        self.coefficients.assign(coefficients)
        self._item_scores.assign(self._features.score_item_groups(self.coefficients))
        return True

    @property
    def rows(self) -> tf.Tensor:
        """[cold items] int32."""
        return self._rows[: self._count]

    def score(self, history: History, query_times: tf.Tensor, towers: tf.Tensor) -> tf.Tensor:
        """[batch, cold items] scores, comparable within a user; `towers` [batch, rows] scores."""
        by_history = self._features.score_history_groups(history, query_times, self.rows, self.coefficients)
        weight = self.coefficients[self._features.names.index(TOWERS)]
        return by_history + tf.gather(self._item_scores, self.rows) + weight * tf.gather(towers, self.rows, axis=1)
