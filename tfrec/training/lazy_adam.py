"""Adam that updates only the rows of an embedding table that a step used.

Keras's Adam decays the moments of the whole table at every step: with 68,000 items of 64 dimensions
that is most of a step's time on a CPU. Source of the idea: LazyAdam of TensorFlow Addons, no longer
maintained.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfrec.retrieval import replicas

SMALL = 4096
"""Most rows of a table whose gradient is sent to other replicas as a dense tensor."""

Gradients = list[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]]


class LazyAdam(tf.keras.optimizers.Adam):
    """Adam; a row without gradient keeps its moments and its value."""

    def __init__(self, learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule):
        super().__init__(learning_rate, jit_compile=False)

    def aggregate_gradients(self, grads_and_vars: Gradients) -> Gradients:
        """Sum over replicas: one message for all but large tables, one for each of those."""
        if not replicas.is_replicated():
            return super().aggregate_gradients(grads_and_vars)
        pairs = list(grads_and_vars)
        is_large = [isinstance(g, tf.IndexedSlices) and v.shape[0] > SMALL for g, v in pairs]
        dense = [(_dense(g, v), v) for (g, v), large in zip(pairs, is_large, strict=True) if not large]
        summed = iter(super().aggregate_gradients(dense) if any(g is not None for g, _ in dense) else dense)
        return [
            (_gathered(g, v) if large else _sparse(next(summed)[0], g, v), v)
            for (g, v), large in zip(pairs, is_large, strict=True)
        ]

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Update one variable; apply_gradients has made the rows of an IndexedSlices distinct."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        index = self._index_dict[self._var_key(variable)]
        momentum, velocity = self._momentums[index], self._velocities[index]
        rows, values = gradient.indices, gradient.values
        step = tf.cast(self.iterations + 1, variable.dtype)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        m = self.beta_1 * replicas.gather_rows(momentum, rows) + (1 - self.beta_1) * values
        v = self.beta_2 * replicas.gather_rows(velocity, rows) + (1 - self.beta_2) * tf.square(values)
        momentum.scatter_update(tf.IndexedSlices(m, rows))
        velocity.scatter_update(tf.IndexedSlices(v, rows))
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))


def _gathered(slices: tf.IndexedSlices, table: tf.Variable) -> tf.IndexedSlices:
    """Slices of all replicas, one after another."""
    values, rows = replicas.gather_all_rows(tf.cast(_flat(slices), tf.float32), tf.cast(slices.indices, tf.int64))
    return _slices(tf.cast(values, slices.dtype), rows, table)


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None, table: tf.Variable) -> tf.Tensor | None:
    """[rows, width + 1] sum of the slices of each table row, and their number; others unchanged."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    values = _flat(gradient)
    counted = tf.concat([values, tf.ones_like(values[:, :1])], axis=1)
    return tf.math.unsorted_segment_sum(counted, gradient.indices, table.shape[0])


def _sparse(
    summed: tf.Tensor | None, gradient: tf.Tensor | tf.IndexedSlices | None, table: tf.Variable
) -> tf.Tensor | tf.IndexedSlices | None:
    """Inverse of `_dense` after the sum over replicas: IndexedSlices with each used row once."""
    if not isinstance(gradient, tf.IndexedSlices) or summed is None:
        return summed
    rows = tf.where(summed[:, -1] > 0)[:, 0]
    return _slices(tf.gather(summed[:, :-1], rows), rows, table)


def _flat(slices: tf.IndexedSlices) -> tf.Tensor:
    """Values of slices as [slices, width]."""
    return tf.reshape(slices.values, [tf.shape(slices.indices)[0], math.prod(slices.values.shape[1:])])


def _slices(values: tf.Tensor, rows: tf.Tensor, table: tf.Variable) -> tf.IndexedSlices:
    shape = table.shape.as_list()
    return tf.IndexedSlices(tf.reshape(values, [-1, *shape[1:]]), rows, tf.constant(shape))
