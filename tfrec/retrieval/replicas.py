"""What the replicas of a model tell each other within a step, so that together they learn what one alone would.

A replica is a device of one of tf.distribute's strategies, in this process or in another. Each has an equal part of
the batch; every function here is a message in which all of them take part, in the same order.
"""

from __future__ import annotations

import tensorflow as tf

_PIECE = 2**22  # a float32 holds every whole number up to 2**24


def are_there() -> bool:
    """Whether a strategy runs this step: there may be others, and they expect messages."""
    return tf.distribute.has_strategy()


def rows_of(table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
    """As tf.gather, which of a variable with a copy for each replica would read the whole copy first."""
    if not are_there():
        return tf.gather(table, rows)
    try:
        own = table.handle
    except ValueError:  # between steps: no copy is this replica's
        return tf.gather(table, rows)
    copies = tf.distribute.get_strategy().experimental_local_results(table)
    return tf.gather(next((copy for copy in copies if copy.handle is own), table), rows)


def share(drawn: tf.Tensor) -> tf.Tensor:
    """This replica's rows of what all of them have drawn alike; every row is some replica's."""
    context = tf.distribute.get_replica_context()
    return drawn[context.replica_id_in_sync_group :: context.num_replicas_in_sync]


def gathered(own: tf.Tensor) -> tf.Tensor:
    """The rows of every replica, in the order of the replicas."""
    return tf.distribute.get_replica_context().all_gather(own, axis=0)


def rows_of_all(values: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The rows [n, width] of every replica, and the int64 [n] that goes with each, in the order of the replicas.

    Replicas may have unlike numbers of rows. A message costs more than the bytes in it, so numbers travel as floats.
    """
    width = values.shape[1]
    together = gathered(tf.concat([values, _as_floats(numbers)], axis=1))
    return together[:, :width], _from_floats(together[:, width:])


def own_first(values: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `rows_of_all`, with this replica's rows before the others', and with the gradient of the values."""
    own = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
    signed = tf.concat([values, tf.fill([tf.shape(values)[0], 1], own)], axis=1)
    together, numbers = rows_of_all(signed, numbers)
    before = tf.math.count_nonzero(together[:, -1] < own, dtype=tf.int32)
    return tf.roll(together[:, :-1], -before, axis=0), tf.roll(numbers, -before, axis=0)


def totals(*values: tf.Tensor) -> list[tf.Tensor]:
    """Sums of scalars over the replicas, as float32."""
    context, own = tf.distribute.get_replica_context(), tf.stack([tf.cast(value, tf.float32) for value in values])
    return tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, own))


def largest(value: tf.Tensor) -> tf.Tensor:
    """The largest of an int64 scalar over the replicas."""
    context = tf.distribute.get_replica_context()
    place = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
    each = context.all_reduce(tf.distribute.ReduceOp.SUM, place[:, tf.newaxis] * _as_floats(value))
    return tf.reduce_max(_from_floats(each))


def _as_floats(numbers: tf.Tensor) -> tf.Tensor:
    """[..., 2] float32 that hold int64 [...] exactly, up to 2**45."""
    return tf.cast(tf.stack([numbers // _PIECE, numbers % _PIECE], axis=-1), tf.float32)


def _from_floats(pairs: tf.Tensor) -> tf.Tensor:
    pairs = tf.cast(pairs, tf.int64)
    return pairs[..., 0] * _PIECE + pairs[..., 1]
