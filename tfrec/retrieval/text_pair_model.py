"""Contrastive model of the text encoder: the texts of a pair are near, those of other pairs far.

The loss is the symmetric in-batch softmax over cosines (InfoNCE). Sources: van den Oord et al.,
"Representation learning with contrastive predictive coding" (2018), https://arxiv.org/abs/1807.03748;
symmetric as in https://arxiv.org/abs/2103.00020.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.language.catalog_encoder import CatalogEncoder
from tfrec.language.text_encoder import TextEncoder
from tfrec.retrieval import replicas


class TextPairModel(tfrs.Model):
    """A text encoder that trains on pairs of texts, given by their rows."""

    def __init__(self, encoder: TextEncoder, texts: CatalogEncoder, temperature: float):
        super().__init__()
        self.distribute_reduction_method = "first"  # a step has summed over replicas already
        self.encoder = encoder
        self._texts = texts
        self._task = tfrs.tasks.Retrieval(
            loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE),
            temperature=temperature,
        )

    def checkpointed(self) -> dict[str, Any]:
        """The part that a checkpoint stores."""
        return {"encoder": self.encoder}

    def train_step(self, pairs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Train one step; gives loss and number of pairs, summed over all replicas."""
        values = super().train_step(pairs) | {"targets": tf.cast(tf.shape(pairs)[0], tf.float32)}
        if not replicas.is_replicated():
            return values
        return dict(zip(values, replicas.sum_all(*values.values()), strict=True))

    def compute_loss(self, pairs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Mean cross-entropy of pairs [n, 3] (`negatives_of`) in both directions, a scalar.

        A replica returns its part of the mean; its pairs compete among themselves.
        """
        # Each distinct text goes through the BERT once.
        rows, index = tf.unique(tf.reshape(pairs[:, :2], [-1]), out_idx=tf.int64)
        vectors = self._texts.pooled(rows, training)
        vectors = tf.gather(vectors, tf.reshape(index, [-1, 2]))
        left, right = vectors[:, 0], vectors[:, 1]
        allowed = negatives_of(pairs)
        losses = self._cross_entropy(left, right, allowed) + self._cross_entropy(right, left, tf.transpose(allowed))
        return tf.reduce_mean(losses) / 2.0 / tf.distribute.get_strategy().num_replicas_in_sync

    def _cross_entropy(self, queries: tf.Tensor, candidates: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
        return self._task(queries, candidates, score_mask=allowed, compute_metrics=False, compute_batch_metrics=False)


def negatives_of(pairs: tf.Tensor) -> tf.Tensor:
    """[n, n] bool: is the right text of pair j a negative of the left text of pair i?

    `pairs` is [n, 3]: two rows of texts, and the number of a block of one user's events. A text is
    no negative if it is the same text, nor if the two pairs share a text or a block: then it may
    belong to the left text too. The diagonal, each pair's own text, is True.
    """
    left, right = pairs[:, 0], pairs[:, 1]
    same = left[:, tf.newaxis] == right[tf.newaxis, :]
    for shared in tf.unstack(pairs, 3, axis=1):
        same = tf.logical_or(same, shared[:, tf.newaxis] == shared[tf.newaxis, :])
    return tf.linalg.set_diag(tf.logical_not(same), tf.ones_like(left, tf.bool))
