"""Items that nobody chose yet: which of them a shopper would choose, by what the history holds of their groups.

A logistic regression over the evidence of an item's groups (category, text, brand ...) and the two towers' score. Being
linear it is a sum over the history's groups, so that thousands of new items cost a request a few lookups each; the
ranker then looks at the best of them more closely. It knows nothing of how it is taught.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.features import Evidence
from tfrec.ranking.item_statistics import NAMES

TOWERS = "towers"
LEAST_CHOICES = 100
"""Choices of new items below which they are left in the order of the two towers."""

_SHRINKAGE = 10.0  # of the standardised coefficients: scikit-learn's 1 / C
_EVER = NAMES.index("item_shoppers")


class Newcomers(tf.Module):
    """The rows of the catalogue that nobody chose yet, and their scores."""

    def __init__(self, evidence: Evidence, rows: int):
        super().__init__(name="newcomers")
        self._evidence = evidence
        of_towers = [float(name == TOWERS) for name in evidence.names]
        self._coefficients = tf.Variable(of_towers, trainable=False, name="coefficients")
        # Rows of which the first `_count` count: a list is shorter than a mask, and the loader wants one length.
        self._rows = tf.Variable(tf.zeros([rows], tf.int32), trainable=False, name="new_rows")
        self._count = tf.Variable(0, trainable=False, name="new_count")
        self._of_items = tf.Variable(tf.zeros([rows]), trainable=False, name="of_items")

    def learn(self, statistics: np.ndarray) -> None:
        """Takes the item statistics [rows, len(popularity.NAMES)] of another time, which the evidence has taken."""
        new = np.flatnonzero(statistics[1:, _EVER] == 0) + 1
        self._rows.assign(np.pad(new, (0, len(statistics) - len(new))).astype(np.int32))
        self._count.assign(len(new))
        self._of_items.assign(self._evidence.of_items(self._coefficients))

    def teach(self, features: np.ndarray, is_chosen: np.ndarray) -> bool:
        """Fits to evidence [n, len(names)] of new items and whether each was chosen [n]; whether that was enough."""
        from sklearn.linear_model import LogisticRegression

        used = [*self._evidence.of_new, self._evidence.names.index(TOWERS)]
        if is_chosen.sum() < LEAST_CHOICES or is_chosen.all():
            return False
        found = features[:, used].astype(np.float64)
        spread = found.std(axis=0)
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        fitted = LogisticRegression(C=1 / _SHRINKAGE, max_iter=500).fit((found - found.mean(axis=0)) * scale, is_chosen)
        coefficients = np.zeros(len(self._evidence.names), np.float32)
        coefficients[used] = fitted.coef_[0] * scale
        self._coefficients.assign(coefficients)
        self._of_items.assign(self._evidence.of_items(self._coefficients))
        return True

    @property
    def rows(self) -> tf.Tensor:
        """[new items] int32."""
        return self._rows[: self._count]

    def scores(self, history: History, query_times: tf.Tensor, towers: tf.Tensor) -> tf.Tensor:
        """[batch, new items] of the two towers' scores [batch, rows] and the histories; comparable within a shopper."""
        of_history = self._evidence.of_history(history, query_times, self.rows, self._coefficients)
        weight = self._coefficients[self._evidence.names.index(TOWERS)]
        return of_history + tf.gather(self._of_items, self.rows) + weight * tf.gather(towers, self.rows, axis=1)
