"""State of items at the query time: price, stock and promotions, never those of later states."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.examples.catalog import StateTable

SECOND_BITS = 34
"""Bits of a key that hold the second, until the year 2514; the catalog row has the others."""


class StateFeatures(tf.Module):
    """Features [batch, candidates, len(names)] float32, 0 where no state of the item is known."""

    def __init__(self, states: StateTable | None):
        super().__init__(name="state_features")
        columns = states.values if states is not None else {}
        self.names = tuple(f"state_{column}" for column in columns)
        values = np.stack(list(columns.values()), axis=1) if columns else np.zeros((0, 0), np.float32)
        keys = states.row << SECOND_BITS | states.start if states is not None else np.zeros(0, np.int64)
        self._all_keys, self._all_values = keys, values
        self._keys = tf.Variable(keys, trainable=False, name="state_keys", shape=[None])
        self._values = tf.Variable(values, trainable=False, name="state_values", shape=[None, len(columns)])

    def restore(self) -> None:
        """Bring back what `drop_before` has dropped."""
        self._keys.assign(self._all_keys)
        self._values.assign(self._all_values)

    def drop_before(self, now: int) -> None:
        """Drop the changes that another change of the item has replaced by second `now`."""
        keys = self._keys.numpy()
        row, start = keys >> SECOND_BITS, keys % (1 << SECOND_BITS)
        is_replaced = np.append((row[1:] == row[:-1]) & (start[1:] <= now), False)[: len(keys)]
        self._keys.assign(keys[~is_replaced])
        self._values.assign(self._values.numpy()[~is_replaced])

    def compute(self, query_times: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Values of the last change of each of `rows` [batch, candidates] by `query_times` [batch].

        Both are int64, times in seconds. A change at the query time itself counts.
        """
        seconds = tf.clip_by_value(query_times, 0, (1 << SECOND_BITS) - 1)[:, tf.newaxis]
        sought = tf.reshape(tf.bitwise.bitwise_or(tf.bitwise.left_shift(rows, SECOND_BITS), seconds), [-1])
        # A first key below all others stands for "no state".
        keys = tf.pad(self._keys, [[1, 0]], constant_values=-1)
        last = tf.searchsorted(keys, sought, side="right") - 1
        is_known = tf.bitwise.right_shift(tf.gather(keys, last), SECOND_BITS) == tf.reshape(rows, [-1])
        values = tf.gather(tf.pad(self._values, [[1, 0], [0, 0]]), last)
        known = tf.where(is_known[:, tf.newaxis], values, 0.0)
        shape = tf.shape(rows)
        return tf.reshape(known, [shape[0], shape[1], len(self.names)])
