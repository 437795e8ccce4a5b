"""Adam that touches only the rows of an embedding table that a step used.

Keras's Adam decays the moments of the whole table at every step: with 68,000 items of 64 numbers that is most
of a step's time on a CPU. Source of the idea: LazyAdam of TensorFlow Addons, no longer maintained.
"""

from __future__ import annotations

import tensorflow as tf


class LazyAdam(tf.keras.optimizers.Adam):
    """Adam; a row without gradient keeps its moments and its value."""

    def __init__(self, learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule):
        super().__init__(learning_rate, jit_compile=False)

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
