"""Messages between the replicas of a step, so that together they train what one model would.

A replica is a device of one of tf.distribute's strategies, in this process or in another. Each has
an equal part of the batch. All replicas must call the functions here in the same order.
"""

from __future__ import annotations

import tensorflow as tf

_BASE = 2**22  # a float32 holds every whole number up to 2**24


def is_replicated() -> bool:
    """True when a strategy runs this step: other replicas may exist and wait for messages."""
    return tf.distribute.has_strategy()


def gather_rows(table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
    """tf.gather, without reading the whole copy of a variable that has one for each replica."""
    if not is_replicated():
        return tf.gather(table, rows)
    try:
        own = table.handle
    except ValueError:  # between steps no copy belongs to a replica
        return tf.gather(table, rows)
    copies = tf.distribute.get_strategy().experimental_local_results(table)
    return tf.gather(next((copy for copy in copies if copy.handle is own), table), rows)


def take_share(drawn: tf.Tensor) -> tf.Tensor:
    """This replica's rows of a draw that is the same for all; each row belongs to one replica."""
    context = tf.distribute.get_replica_context()
    return drawn[context.replica_id_in_sync_group :: context.num_replicas_in_sync]


def all_gather(own: tf.Tensor) -> tf.Tensor:
    """Rows of all replicas, in the order of the replicas."""
    return tf.distribute.get_replica_context().all_gather(own, axis=0)


def gather_all_rows(values: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows [n, width] of all replicas and their int64 numbers [n], in the order of the replicas.

    Replicas may have different numbers of rows. The int64 numbers are sent as floats, since one
    message more costs more than its bytes.
    """
    width = values.shape[1]
    together = all_gather(tf.concat([values, _as_floats(numbers)], axis=1))
    return together[:, :width], _from_floats(together[:, width:])


def gather_own_first(values: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`gather_all_rows` with this replica's rows first, and differentiable in the values."""
    own = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
    signed = tf.concat([values, tf.fill([tf.shape(values)[0], 1], own)], axis=1)
    together, numbers = gather_all_rows(signed, numbers)
    before = tf.math.count_nonzero(together[:, -1] < own, dtype=tf.int32)
    return tf.roll(together[:, :-1], -before, axis=0), tf.roll(numbers, -before, axis=0)


def sum_all(*values: tf.Tensor) -> list[tf.Tensor]:
    """Sums of scalars over all replicas, as float32."""
    context, own = tf.distribute.get_replica_context(), tf.stack([tf.cast(value, tf.float32) for value in values])
    return tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, own))


def max_all(value: tf.Tensor) -> tf.Tensor:
    """Largest value of an int64 scalar over all replicas."""
    context = tf.distribute.get_replica_context()
    position = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
    each = context.all_reduce(tf.distribute.ReduceOp.SUM, position[:, tf.newaxis] * _as_floats(value))
    return tf.reduce_max(_from_floats(each))


def _as_floats(numbers: tf.Tensor) -> tf.Tensor:
    """[..., 2] float32 that represent int64 [...] exactly, up to 2**45."""
    return tf.cast(tf.stack([numbers // _BASE, numbers % _BASE], axis=-1), tf.float32)


def _from_floats(pairs: tf.Tensor) -> tf.Tensor:
    pairs = tf.cast(pairs, tf.int64)
    return pairs[..., 0] * _BASE + pairs[..., 1]
