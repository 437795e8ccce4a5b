"""Adam that touches only the rows of an embedding table that a step used.

Keras's Adam decays the moments of the whole table at every step: with 68,000 items of 64 numbers that is most
of a step's time on a CPU. Source of the idea: LazyAdam of TensorFlow Addons, no longer maintained.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec import replicas

SMALL = 4096
"""Rows of a table, at most, whose gradient travels as a whole from replica to replica."""

Gradients = list[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]]


class LazyAdam(tf.keras.optimizers.Adam):
    """Adam; a row without gradient keeps its moments and its value."""

    def __init__(self, learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule):
        super().__init__(learning_rate, jit_compile=False)

    def aggregate_gradients(self, grads_and_vars: Gradients) -> Gradients:
        """The sums over replicas. Small tables go with what is dense, in one message; a large one takes three."""
        if not replicas.are_there():
            return super().aggregate_gradients(grads_and_vars)
        pairs = list(grads_and_vars)
        small = [isinstance(g, tf.IndexedSlices) and v.shape[0] <= SMALL for g, v in pairs]
        sent = [(_whole(g, v.shape[0]) if is_small else g, v) for (g, v), is_small in zip(pairs, small, strict=True)]
        summed = super().aggregate_gradients(sent)
        return [(_rows_used(g, v) if is_small else g, v) for (g, v), is_small in zip(summed, small, strict=True)]

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """One update of one variable; rows of an IndexedSlices must be distinct, as apply_gradients makes them."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        index = self._index_dict[self._var_key(variable)]
        momentum, velocity = self._momentums[index], self._velocities[index]
        rows, values = gradient.indices, gradient.values
        step = tf.cast(self.iterations + 1, variable.dtype)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        m = self.beta_1 * tf.gather(momentum, rows) + (1 - self.beta_1) * values
        v = self.beta_2 * tf.gather(velocity, rows) + (1 - self.beta_2) * tf.square(values)
        momentum.scatter_update(tf.IndexedSlices(m, rows))
        velocity.scatter_update(tf.IndexedSlices(v, rows))
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))


def _whole(slices: tf.IndexedSlices, rows: int) -> tf.Tensor:
    """[rows, width + 1]: the sum of the slices of a table, and last how many there are of each row."""
    values = tf.reshape(slices.values, [tf.shape(slices.indices)[0], -1])
    counted = tf.concat([values, tf.ones_like(values[:, :1])], axis=1)
    return tf.math.unsorted_segment_sum(counted, slices.indices, rows)


def _rows_used(whole: tf.Tensor, table: tf.Variable) -> tf.IndexedSlices:
    """What `_whole` was made of, each row once."""
    rows = tf.where(whole[:, -1] > 0)[:, 0]
    values = tf.reshape(tf.gather(whole[:, :-1], rows), [-1, *table.shape[1:]])
    return tf.IndexedSlices(values, rows, tf.constant(table.shape.as_list()))
