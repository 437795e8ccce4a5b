"""Encoding of a whole catalog's texts by the BERT; what no training changes is computed once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrec.language.text_encoder import TextEncoder

ENCODE_BATCH = 256  # texts a call
CACHE_BYTES = 1 << 30  # most memory for the states that no training changes


class CatalogEncoder:
    """Encodes texts by their rows, in a training step or all of them after one."""

    def __init__(self, encoder: TextEncoder, tokens: np.ndarray):
        """`tokens` [texts, length] token ids padded by 0."""
        self._encoder, self._tokens = encoder, tf.constant(tokens, tf.int64)
        self._lengths = np.maximum((tokens > 0).sum(axis=1), 1)
        is_small = int(self._lengths.sum()) * encoder.dim * 4 <= CACHE_BYTES
        self.is_cached = encoder.unchanging_layers > 0 and is_small
        self._states = self._unchanging_states() if self.is_cached else None
        rows = tf.TensorSpec([None], tf.int64)
        self._encode = tf.function(self.pooled, autograph=False, input_signature=[rows])

    def encode(self) -> np.ndarray:
        """Pooled vectors [texts, dim] float32 by the current weights of the BERT."""
        vectors = np.zeros((len(self._lengths), self._encoder.dim), np.float32)
        for rows in self._batches():
            vectors[rows] = self._encode(rows).numpy()
        return vectors

    def pooled(self, rows: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n] int64 rows of texts -> [n, dim] `TextEncoder.pooled` vectors."""
        tokens = tf.gather(self._tokens, rows)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens > 0, tf.int32), axis=1))
        tokens = tokens[:, : tf.maximum(longest, 1)]
        if self._states is None:
            return self._encoder.pooled(tokens, training)
        return self._encoder.pooled_from(tf.gather(self._states, rows).to_tensor(), tokens)

    def _unchanging_states(self) -> tf.RaggedTensor:
        """[texts, (length), dim] float32 states after the layers that no training changes."""
        first = np.cumsum(self._lengths) - self._lengths
        states = np.zeros((int(self._lengths.sum()), self._encoder.dim), np.float32)
        ids = tf.TensorSpec([None, None], tf.int64)
        unchanging = tf.function(self._encoder.unchanging, autograph=False, input_signature=[ids])
        for rows in self._batches():
            lengths = self._lengths[rows, np.newaxis]
            offset = np.arange(lengths.max())
            is_token = offset < lengths
            batch = unchanging(tf.gather(self._tokens, rows)[:, : len(offset)])
            states[(first[rows, np.newaxis] + offset)[is_token]] = batch.numpy()[is_token]
        return tf.RaggedTensor.from_row_lengths(states, self._lengths)

    def _batches(self) -> Iterator[np.ndarray]:
        """Rows of all texts, shortest first: similar lengths need little padding."""
        order = np.argsort(self._lengths, kind="stable")
        for start in range(0, len(order), ENCODE_BATCH):
            yield order[start : start + ENCODE_BATCH]


def pool_all(encoder: TextEncoder, tokens: np.ndarray) -> np.ndarray:
    """[texts, length] token ids -> [texts, dim] float32 pooled vectors."""
    return CatalogEncoder(encoder, tokens).encode()
