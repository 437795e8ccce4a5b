"""Diversity of an answer: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

Each position gets the item that is relevant and unlike the items before it. Relevance is the item's
position in the undiversified answer, from 1 for the first down to 0, not its score: the ranker's
probabilities, the scores of a search and the towers' order of other items have no common scale.
"""

from __future__ import annotations

import tensorflow as tf

EMPTY = -1e30  # value of an empty position: after every item, before the items that are taken


def mmr_order(similarity: tf.Tensor, is_item: tf.Tensor, diversity: tf.Tensor) -> tf.Tensor:
    """[batch, k] int32 positions of the input in the order of the diversified answer.

    `similarity` [batch, k, k] in [-1, 1] between the items, best first. `is_item` [batch, k] bool
    is false for empty positions at the end. `diversity` [batch] in [0, 1] is the weight of being
    unlike; 0 keeps the order.
    """
    k = int(is_item.shape[1])
    weight = diversity[:, tf.newaxis]
    items = tf.reduce_sum(tf.cast(is_item, tf.float32), axis=1, keepdims=True)
    relevance = 1.0 - tf.range(k, dtype=tf.float32) / tf.maximum(items, 1.0)
    value = tf.where(is_item, (1.0 - weight) * relevance, EMPTY)
    nearest = -tf.ones_like(value)

    def take_best(
        position: tf.Tensor, value: tf.Tensor, nearest: tf.Tensor, order: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
        best = tf.argmax(value - weight * nearest, axis=1, output_type=tf.int32)
        value = tf.where(tf.one_hot(best, k, True, False), float("-inf"), value)
        nearest = tf.maximum(nearest, tf.gather(similarity, best, batch_dims=1))
        return position + 1, value, nearest, order.write(position, best)

    start = (tf.zeros([], tf.int32), value, nearest, tf.TensorArray(tf.int32, k, element_shape=[None]))
    *_, order = tf.while_loop(lambda position, *_: position < k, take_best, start)
    return tf.transpose(order.stack())
