"""Exact top-k over the whole catalog by one matrix product.

TFRS's BruteForce is not used: its `query_with_exclusions` needs a fixed number of exclusions and
returns excluded items when fewer than k others remain.
"""

from __future__ import annotations

import tensorflow as tf


class Index(tf.Module):
    """Item embeddings by catalog row; row 0 (no item) is never an answer."""

    def __init__(self, embeddings: tf.Tensor, k: int):
        super().__init__()
        self.embeddings = tf.Variable(embeddings, trainable=False, name="candidates")
        self._scale = tf.Variable(
            tf.math.reciprocal_no_nan(tf.norm(embeddings[:, :-1], axis=1)), trainable=False, name="scale"
        )
        self.k = k

    def nearest(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`top_k` by cosine to the items `rows` [batch], without the items themselves."""
        vectors = tf.gather(self.embeddings, rows) * tf.gather(self._scale, rows)[:, tf.newaxis]
        without_bias = tf.concat([vectors[:, :-1], tf.zeros_like(vectors[:, :1])], axis=1)
        scores = tf.matmul(without_bias, self.embeddings, transpose_b=True) * self._scale
        is_unknown = (rows == 0)[:, tf.newaxis]
        return self.top_k(tf.where(is_unknown, float("-inf"), scores), rows[:, tf.newaxis])

    def top_k(self, scores: tf.Tensor, excluded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sorted scores [batch, k] float32, highest first, and their rows [batch, k] int64.

        `scores` is [batch, rows]; `excluded` [batch, any] int64 rows that are left out. Positions
        without an item have -inf and row 0.
        """
        excluded = tf.pad(excluded, [[0, 0], [0, 1]])  # row 0 for everyone
        shape = tf.shape(excluded, out_type=tf.int64)
        batch = tf.repeat(tf.range(shape[0]), shape[1])
        indices = tf.stack([batch, tf.reshape(excluded, [-1])], axis=1)
        scores = tf.tensor_scatter_nd_update(scores, indices, tf.fill(tf.shape(batch), float("-inf")))
        top_scores, rows = tf.math.top_k(scores, tf.minimum(self.k, tf.shape(scores)[1]))
        missing = [[0, 0], [0, self.k - tf.shape(top_scores)[1]]]
        top_scores = tf.ensure_shape(tf.pad(top_scores, missing, constant_values=float("-inf")), [None, self.k])
        rows = tf.ensure_shape(tf.pad(rows, missing), [None, self.k])
        return top_scores, tf.where(tf.math.is_inf(top_scores), tf.zeros([], tf.int64), tf.cast(rows, tf.int64))
