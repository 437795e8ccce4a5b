"""Texts of the catalog's items and searches, and their vectors by the BERT and by TF-IDF."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.catalog import Catalog
from tfrec.language.catalog_encoder import CatalogEncoder
from tfrec.language.text_encoder import TextEncoder
from tfrec.language.tfidf_encoder import WordEncoder
from tfrec.retrieval.catalog_tables import constant, lookup


class CatalogTexts(tf.keras.layers.Layer):
    """Distinct texts, each encoded once: items with the same text share a row.

    Row 0 is the empty text. It is a Keras layer, which is never called, because a tf.Module would
    ignore `trainable` of the encoder.
    """

    def __init__(self, catalog: Catalog, config: Config):
        super().__init__(name="catalog_texts")
        self.encoder = TextEncoder(config.features, config.towers, config.train.seed)
        self.word_encoder = WordEncoder(self.encoder.pieces, config.towers.word_dim)
        self.dim = self.encoder.dim
        self.has_searches = bool(len(catalog.queries))
        self._query_texts = lookup(catalog.queries, catalog.query_row)
        self.tokens = constant(catalog.tokens, "tokens")
        self.text_row = constant(catalog.text_row, "text_row")
        texts = len(catalog.tokens)
        self.text_vectors = tf.Variable(tf.zeros([texts, self.dim]), trainable=False, name="text_vectors")
        self.word_vectors = tf.Variable(tf.zeros([texts, self.word_encoder.dim]), trainable=False, name="word_vectors")
        self._catalog_encoder: CatalogEncoder | None = None
        self.set_live(False)

    def set_live(self, is_live: bool) -> None:
        """Let texts of a training step go through the BERT, which then trains, or look them up."""
        self.is_live = is_live
        self.encoder.trainable = is_live

    # Encoding of all texts, between steps.

    def fit_words(self) -> None:
        """Fit the TF-IDF weights to the items' texts, and encode every distinct text with them."""
        tokens = self.tokens.numpy()
        self.word_encoder.fit(tokens[np.unique(self.text_row.numpy())])
        self.encode_words()

    def encode_words(self) -> None:
        """Encode every distinct text with the TF-IDF weights as they are."""
        self.word_vectors.assign(self.word_encoder.encode(self.tokens.numpy()))

    @property
    def catalog_encoder(self) -> CatalogEncoder:
        """Encoder of the distinct texts by their rows."""
        if self._catalog_encoder is None:
            self._catalog_encoder = CatalogEncoder(self.encoder, self.tokens.numpy())
        return self._catalog_encoder

    def encode_texts(self, keep_mean: bool = False) -> None:
        """Encode every distinct text with the current BERT, centered on their (or the old) mean."""
        pooled = self.catalog_encoder.encode()
        if not keep_mean:
            self.encoder.mean.assign(pooled.mean(axis=0))
        self.text_vectors.assign(self.encoder.normalize(pooled))

    # Vectors of items and searches.

    def item_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Stored text vectors [..., text_dim] of catalog rows [...]."""
        return tf.gather(self.text_vectors, tf.gather(self.text_row, rows))

    def item_word_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Stored word vectors [..., word_dim] of catalog rows [...]."""
        return tf.gather(self.word_vectors, tf.gather(self.text_row, rows))

    def step_vectors(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        """Text vectors [n, text_dim] of catalog rows [n] in a training step.

        When live, each distinct text goes through the BERT once.
        """
        if not self.is_live:
            return self.item_vectors(rows)
        distinct, index = tf.unique(tf.gather(self.text_row, rows), out_idx=tf.int64)
        tokens = tf.gather(self.tokens, distinct)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens > 0, tf.int32), axis=1))
        return tf.gather(self.encoder(tokens[:, : tf.maximum(longest, 1)], training=training), index)

    def search_vectors(self, queries: tf.Tensor) -> tf.Tensor:
        """Stored text vectors [..., text_dim] of searches [...] (strings); zero without one."""
        vectors = tf.gather(self.text_vectors, self._query_texts.lookup(queries))
        return tf.where(tf.not_equal(queries, "")[..., tf.newaxis], vectors, 0.0)

    def knows_searches(self, queries: tf.Tensor) -> tf.Tensor:
        """[...] bool: searches [...] (strings) whose vectors are stored, those of training."""
        return self._query_texts.lookup(queries) > 0

    def search_similarity(self, query_vector: tf.Tensor) -> tf.Tensor:
        """[batch, rows] cosines between query texts [batch, text_dim] and each catalog row."""
        return tf.gather(tf.matmul(query_vector, self.text_vectors, transpose_b=True), self.text_row, axis=1)

    def item_similarity(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, n] cosines between the texts of the catalog rows [batch, n]."""
        vectors = self.item_vectors(rows)
        return tf.matmul(vectors, vectors, transpose_b=True)


def with_titles(searches: tf.Tensor, titles: tf.Tensor, share: float) -> tf.Tensor:
    """Search vectors [batch, length, text_dim]; the item's own text replaces a random `share`."""
    is_replaced = tf.random.uniform(tf.shape(searches)[:-1]) < share
    return tf.where(is_replaced[..., tf.newaxis], titles, searches)


def without_some(searches: tf.Tensor, share: float) -> tf.Tensor:
    """Search vectors [batch, length, text_dim], with zeros, no search, in a random `share`."""
    is_kept = tf.random.uniform(tf.shape(searches)[:-1]) >= share
    return tf.where(is_kept[..., tf.newaxis], searches, tf.zeros_like(searches))
