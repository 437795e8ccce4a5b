"""What the replicas of a model tell each other within a step, so that together they learn what one alone would.

A replica is a device of one of tf.distribute's strategies, in this process or in another. Each has an equal part of
the batch; every function here is a message in which all of them take part, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf


def are_there() -> bool:
    """Whether a strategy runs this step: there may be others, and they expect messages."""
    return tf.distribute.has_strategy()


def share(drawn: tf.Tensor) -> tf.Tensor:
    """This replica's rows of what all of them have drawn alike; every row is some replica's."""
    context = tf.distribute.get_replica_context()
    return drawn[context.replica_id_in_sync_group :: context.num_replicas_in_sync]


def gathered(own: tf.Tensor) -> tf.Tensor:
    """The rows of every replica, in the order of the replicas."""
    return tf.distribute.get_replica_context().all_gather(own, axis=0)


def own_first(values: Iterable[tf.Tensor]) -> list[tf.Tensor]:
    """Of tensors [own, ...] the rows of every replica [all, ...], this one's before the others'; with their gradient.

    Replicas may have unlike numbers of rows.
    """
    values = list(values)
    counts = gathered(tf.shape(values[0])[:1])
    before = tf.reduce_sum(counts[: tf.distribute.get_replica_context().replica_id_in_sync_group])
    return [tf.roll(gathered(value), -before, axis=0) for value in values]


def totals(*values: tf.Tensor) -> list[tf.Tensor]:
    """Sums of scalars over the replicas, as float32."""
    context, own = tf.distribute.get_replica_context(), tf.stack([tf.cast(value, tf.float32) for value in values])
    return tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, own))


def largest(value: tf.Tensor) -> tf.Tensor:
    """The largest of a scalar over the replicas."""
    return tf.reduce_max(gathered(value[tf.newaxis]))
