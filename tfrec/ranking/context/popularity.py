"""Popularity by context: how much of what is bought in a store, on a device ... is this item.

Context columns are columns of the interactions that are known at a request
(`examples.context_columns`). Their values are numbered by preprocessing.py, 0 for unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.schema import DAY_SECONDS

RECENT_DAYS = 90
PRIOR_USERS = 200.0
"""Pairs of user and item by which a context's shares are drawn to those of the whole shop."""
PER_MILLE = 1000.0
NAMES = ("share", "lift")


class ContextFeatures(tf.Module):
    """Features [batch, candidates, len(names)] float32 of the context columns `columns`.

    `share` is the item's share of the pairs of user and item in the context in the last
    RECENT_DAYS, per mille. `lift` is the logarithm of its ratio to the share in the whole shop, 0
    where the context is unknown or has no events.
    """

    def __init__(self, rows: int, columns: Sequence[str]):
        super().__init__(name="context_features")
        self.columns = tuple(columns)
        self.names = tuple(f"context_{column}_{name}" for column in self.columns for name in NAMES)
        self._rows = rows
        self._shop = tf.Variable(tf.zeros([rows]), trainable=False, name="shop_share")
        self._pairs = [_growing(np.empty(0, np.int64), f"pairs_by_{column}") for column in self.columns]
        self._users = [_growing(np.empty(0, np.float32), f"users_by_{column}") for column in self.columns]
        self._total = [_growing(np.zeros(1, np.float32), f"total_by_{column}") for column in self.columns]

    def set_events(self, events: pd.DataFrame, now: int) -> None:
        """Count the users of each item by context in `events` before second `now`.

        The columns of `events` are user, row, timestamp (seconds) and the context columns (numbers
        of their values).
        """
        if not self.columns:
            return
        recent = events[(events.timestamp >= now - RECENT_DAYS * DAY_SECONDS) & (events.timestamp < now)]
        everywhere = np.bincount(recent.drop_duplicates(["user", "row"]).row, minlength=self._rows)
        self._shop.assign(everywhere / max(everywhere.sum(), 1))
        for column, pairs, users, total in zip(self.columns, self._pairs, self._users, self._total, strict=True):
            known = recent[recent[column] > 0].drop_duplicates(["user", "row", column])
            keys, counts = np.unique(known[column] * self._rows + known.row, return_counts=True)
            pairs.assign(keys)
            users.assign(counts.astype(np.float32))
            total.assign(np.bincount(known[column], minlength=1).astype(np.float32))

    def compute(self, values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Features of `rows` [batch, candidates] in the contexts `values` [batch, columns]."""
        shop = tf.gather(self._shop, rows)
        tables = zip(tf.unstack(values, axis=1), self._pairs, self._users, self._total, strict=True)
        features = [self._of_column(shop, rows, *table) for table in tables]
        return tf.concat(features, axis=-1)

    def _of_column(
        self,
        shop: tf.Tensor,
        rows: tf.Tensor,
        value: tf.Tensor,
        pairs: tf.Variable,
        users: tf.Variable,
        total: tf.Variable,
    ) -> tf.Tensor:
        size = tf.shape(total, tf.int64)[0]
        # A value without an event, such as a store that has just opened, counts as unknown.
        value = tf.where(value < size, value, 0)[:, tf.newaxis]
        pairs_in_context = tf.gather(total, value)
        count = _look_up(pairs, users, value * self._rows + rows)
        is_known = tf.logical_and(value > 0, pairs_in_context > 0)
        share = tf.where(is_known, count / tf.maximum(pairs_in_context, 1.0), shop)
        smoothed = (count + PRIOR_USERS * shop) / (pairs_in_context + PRIOR_USERS)
        lift = tf.where(tf.logical_and(is_known, shop > 0), tf.math.log(smoothed / tf.maximum(shop, 1e-12)), 0.0)
        return tf.stack([PER_MILLE * share, lift], axis=-1)


def _look_up(keys: tf.Tensor, values: tf.Tensor, sought: tf.Tensor) -> tf.Tensor:
    """Value of each of `sought` [batch, n] among the rising `keys` [any]; 0 where it is none."""
    flat = tf.reshape(sought, [-1])
    padded = tf.concat([keys, [keys.dtype.max]], axis=0)
    index = tf.searchsorted(padded, flat)
    value = tf.where(tf.gather(padded, index) == flat, tf.gather(tf.pad(values, [[0, 1]]), index), 0.0)
    return tf.reshape(value, tf.shape(sought))


def _growing(array: np.ndarray, name: str) -> tf.Variable:
    """A variable whose length changes with what is assigned."""
    return tf.Variable(array, trainable=False, name=name, shape=[None])
