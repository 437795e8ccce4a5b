"""Variety in an answer: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

Each place goes to the item that is relevant and unlike what stands before it. Relevance is the
item's place in the plain answer, from 1 for the first down to 0, not its score: chances of the
ranker, scores of a search and the towers' order behind the candidates have no scale in common. It
knows nothing of where similarities come from.
"""

from __future__ import annotations

import tensorflow as tf

EMPTY = -1e30  # the worth of an empty place: behind every item, before what is taken


def mmr_order(similarity: tf.Tensor, is_item: tf.Tensor, diversity: tf.Tensor) -> tf.Tensor:
    """[batch, k] int32: the place in the plain answer of what comes first, second and so on in the
    varied one.

    `similarity` [batch, k, k] in [-1, 1] of the plain answer's items, `is_item` [batch, k] bool,
    false for the empty places at its end. `diversity` [batch] in [0, 1] is the weight of being
    unlike: 0 keeps the plain order.
    """
    k = int(is_item.shape[1])
    weight = diversity[:, tf.newaxis]
    items = tf.reduce_sum(tf.cast(is_item, tf.float32), axis=1, keepdims=True)
    relevance = 1.0 - tf.range(k, dtype=tf.float32) / tf.maximum(items, 1.0)
    worth = tf.where(is_item, (1.0 - weight) * relevance, EMPTY)
    nearest = -tf.ones_like(worth)

    def choose(
        place: tf.Tensor, worth: tf.Tensor, nearest: tf.Tensor, order: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
        best = tf.argmax(worth - weight * nearest, axis=1, output_type=tf.int32)
        worth = tf.where(tf.one_hot(best, k, True, False), float("-inf"), worth)
        nearest = tf.maximum(nearest, tf.gather(similarity, best, batch_dims=1))
        return place + 1, worth, nearest, order.write(place, best)

    start = (tf.zeros([], tf.int32), worth, nearest, tf.TensorArray(tf.int32, k, element_shape=[None]))
    *_, order = tf.while_loop(lambda place, *_: place < k, choose, start)
    return tf.transpose(order.stack())
