"""TF-IDF of a text's WordPieces, reduced to few dimensions by latent semantic analysis.

The encoder is a table with a vector for each WordPiece, fitted once to the catalog's texts. A text
is encoded by looking up its pieces, inside the graph. Sources: Deerwester et al., "Indexing by
latent semantic analysis" (1990); Salton and Buckley, "Term-weighting approaches in automatic text
retrieval" (1988).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfrec.errors import ConfigError

PART = 256  # texts encoded at once
MOST_TEXTS = 200_000  # for the SVD; the rarity of pieces is counted over all texts
NOTHING = 1e-5  # share of the largest singular value: rounding


class WordEncoder(tf.keras.layers.Layer):
    """A text's WordPieces, weighted by rarity, as a unit vector centered on the catalog's mean."""

    def __init__(self, pieces: int, dim: int):
        """`pieces` is the size of the WordPiece vocabulary."""
        super().__init__(name="word_encoder")
        if dim < 0:
            raise ConfigError(f"word_dim is {dim}; give 0 (no TF-IDF) or more")
        self.dim = dim
        self.rarity = tf.Variable(tf.zeros([pieces]), trainable=False, name="rarity")
        self.piece_vectors = tf.Variable(tf.zeros([pieces, dim]), trainable=False, name="piece_vectors")
        self.mean = tf.Variable(tf.zeros([dim]), trainable=False, name="word_mean")

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """[n, length] token ids -> [n, dim] float32 unit vectors; zero without a known piece."""
        projected = self.projected(tokens)
        has_known_piece = tf.reduce_any(projected != 0, axis=-1, keepdims=True)
        return tf.where(has_known_piece, tf.math.l2_normalize(projected - self.mean, axis=-1), 0.0)

    def projected(self, tokens: tf.Tensor) -> tf.Tensor:
        """[n, length] token ids -> [n, dim], not centered; zero without a known piece."""
        valid = tf.cast(tokens > 0, tf.float32)
        times = tf.reduce_sum(tf.cast(tokens[:, :, tf.newaxis] == tokens[:, tf.newaxis, :], tf.float32), axis=2)
        weights = valid * (1.0 + tf.math.log(times)) * tf.gather(self.rarity, tokens)
        # A piece with c occurrences has c positions; each gets a c-th of its weight.
        length = tf.sqrt(tf.reduce_sum(tf.square(weights) / times, axis=1, keepdims=True))
        summed = tf.einsum("nl,nld->nd", weights / times, tf.gather(self.piece_vectors, tokens))
        return tf.math.divide_no_nan(summed, length)

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """`call` for any number of texts, in parts."""
        ids = tf.TensorSpec([None, tokens.shape[1]], tf.int64)
        encode = tf.function(self.call, autograph=False, input_signature=[ids])
        parts = [encode(tokens[start : start + PART]).numpy() for start in range(0, len(tokens), PART)]
        return np.concatenate(parts)

    def fit(self, tokens: np.ndarray) -> None:
        """Fit the table to a catalog's distinct texts, [texts, length] token ids padded by 0."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = piece_counts(tokens, self.rarity.shape[0])
        times = counts.getnnz(axis=0)
        # A piece in every text, such as [CLS], separates nothing.
        seen = np.flatnonzero((times > 0) & (times < (tokens > 0).any(axis=1).sum()))
        rank = min(self.dim, len(tokens) - 1, len(seen) - 1)
        if rank < 1:
            return  # no two texts differ
        transformer = TfidfTransformer(sublinear_tf=True)
        weighted = transformer.fit_transform(counts[:, seen])
        sample = np.random.default_rng(0).choice(len(tokens), min(len(tokens), MOST_TEXTS), replace=False)
        svd = TruncatedSVD(rank, random_state=0).fit(weighted[np.sort(sample)])
        # With few texts some dimensions are empty. Nothing would train them, but a new text might
        # use them.
        is_real = svd.singular_values_ > NOTHING * svd.singular_values_[0]
        components = svd.components_ * is_real[:, np.newaxis]
        rarity, vectors = np.zeros(self.rarity.shape, np.float32), np.zeros(self.piece_vectors.shape, np.float32)
        rarity[seen], vectors[seen, :rank] = transformer.idf_, components.T
        self.rarity.assign(rarity)
        self.piece_vectors.assign(vectors)
        mean = np.zeros(self.dim, np.float32)
        mean[:rank] = np.asarray(weighted.mean(axis=0)).ravel() @ components.T
        self.mean.assign(mean)


def piece_counts(tokens: np.ndarray, pieces: int) -> sp.csr_matrix:
    """Counts [n, pieces] of each WordPiece in n texts [n, length], token ids padded by 0."""
    row, position = np.nonzero(tokens)
    return sp.csr_matrix((np.ones(len(row), np.float32), (row, tokens[row, position])), (len(tokens), pieces))
