"""Filter of a request: excluded items, allowed and denied categories.

A category is named by its path from the widest level down, as in the shop's catalog ("Food >
Pasta"), and includes all below it. Names are looked up inside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrec.schema import CATEGORY_SEPARATOR

_SEPARATOR = CATEGORY_SEPARATOR.encode()


class Filters(tf.Module):
    """Catalog rows by category; row 0 (no item) is never allowed."""

    def __init__(self, category_paths: np.ndarray):
        """`category_paths` [rows] bytes objects, whole paths, b"" where it is unknown."""
        super().__init__(name="filters")
        # In this order a category and all below it are one interval of positions. Position 0 has no
        # category.
        paths = sorted({tuple(path.split(_SEPARATOR)) for path in category_paths if path})
        position = {_SEPARATOR.join(path): number for number, path in enumerate(paths, start=1)}
        self._positions = len(paths) + 1
        self._position_of_row = _constant([position.get(path, 0) for path in category_paths])
        intervals: dict[bytes, tuple[int, int]] = {b"": (0, 0)}
        for number, path in enumerate(paths, start=1):
            for depth in range(1, len(path) + 1):
                name = _SEPARATOR.join(path[:depth])
                intervals[name] = (intervals.get(name, (number, 0))[0], number + 1)
        names = tf.constant(list(intervals))
        self._intervals = _constant(list(intervals.values()))
        numbers = tf.range(len(intervals), dtype=tf.int32)
        self._number = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, numbers), default_value=0)

    def allowed(self, excluded: tf.Tensor, allow: tf.Tensor, deny: tf.Tensor) -> tf.Tensor:
        """[batch, rows] bool: items that pass the filter.

        `excluded` [batch, any] int64 catalog rows. `allow` and `deny` [batch, any] are names of
        categories, padded by "". Without a name in `allow` every category is allowed. An unknown
        name allows, or denies, nothing.
        """
        shape = tf.stack([tf.shape(excluded)[0], tf.shape(self._position_of_row)[0]])
        has_names = tf.reduce_any(tf.concat([allow, deny], axis=1) != "")
        passes = tf.cond(has_names, lambda: self._passes(allow, deny), lambda: tf.ones(shape, tf.bool))
        excluded = tf.pad(excluded, [[0, 0], [0, 1]])  # row 0 for everyone
        users = tf.repeat(tf.range(shape[0]), tf.shape(excluded)[1])
        indices = tf.stack([users, tf.cast(tf.reshape(excluded, [-1]), tf.int32)], axis=1)
        return tf.tensor_scatter_nd_update(passes, indices, tf.zeros_like(users, tf.bool))

    def _passes(self, allow: tf.Tensor, deny: tf.Tensor) -> tf.Tensor:
        is_open = tf.reduce_all(allow == "", axis=1, keepdims=True)
        passes = tf.logical_and(tf.logical_or(self._below(allow), is_open), tf.logical_not(self._below(deny)))
        return tf.gather(passes, self._position_of_row, axis=1)

    def _below(self, names: tf.Tensor) -> tf.Tensor:
        """[batch, positions] bool: any of the names [batch, any] is at or above the position."""
        intervals = tf.gather(self._intervals, self._number.lookup(names))
        shape = tf.shape(names)
        users = tf.repeat(tf.range(shape[0]), shape[1])
        opened, closed = (
            tf.scatter_nd(
                tf.stack([users, tf.reshape(intervals[..., end], [-1])], axis=1),
                tf.ones_like(users),
                tf.stack([shape[0], self._positions + 1]),
            )
            for end in (0, 1)
        )
        return tf.cumsum(opened - closed, axis=1)[:, :-1] > 0


def _constant(numbers: Sequence[int] | Sequence[tuple[int, int]]) -> tf.Variable:
    return tf.Variable(numbers, trainable=False, dtype=tf.int32)
