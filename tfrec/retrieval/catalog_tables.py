"""Columns of the catalog inside the graph: an item's row by its id, its features by its row."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.examples.catalog import Catalog
from tfrec.retrieval.towers import ItemFeatures


class CatalogTables(tf.Module):
    """Lookup of catalog rows, and the columns that the candidate tower and the loss read."""

    def __init__(self, catalog: Catalog):
        super().__init__()
        self.rows = catalog.rows
        self._item_rows = lookup(catalog.item_ids[1:], np.arange(1, catalog.rows))
        self._id_row = constant(catalog.id_row, "id_row")
        self._category = constant(catalog.category, "category_index")
        self._brand = constant(catalog.brand, "brand_index")
        self._price = constant(catalog.price, "price_bucket")
        self.number_widths = dict(catalog.number_widths)
        self._numbers = None if catalog.numbers is None else constant(catalog.numbers, "numbers")
        self._frequency = constant(catalog.frequency, "frequency")
        self._interactions = np.float32(catalog.frequency.sum())

    def catalog_rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """int64 catalog row of each id, 0 for an id that is not in the catalog."""
        return self._item_rows.lookup(item_ids)

    def id_rows(self, rows: tf.Tensor) -> tf.Tensor:
        """int64 row of the id embedding of catalog rows, 0 for an item without training data."""
        return tf.gather(self._id_row, rows)

    def frequency_share(self, rows: tf.Tensor) -> tf.Tensor:
        """[n] float32 share of all training interactions that each of the catalog rows [n] has."""
        return tf.cast(tf.gather(self._frequency, rows), tf.float32) / self._interactions

    def features(self, rows: tf.Tensor, text_vector: tf.Tensor, word_vector: tf.Tensor) -> ItemFeatures:
        """Features of catalog rows [n], text vectors [n, text_dim], word vectors [n, word_dim]."""
        return ItemFeatures(
            id_row=self.id_rows(rows),
            text_vector=text_vector,
            word_vector=word_vector,
            category=tf.gather(self._category, rows),
            brand=tf.gather(self._brand, rows),
            price=tf.gather(self._price, rows),
            numbers=None if self._numbers is None else tf.gather(self._numbers, rows),
        )


def lookup(keys: np.ndarray, values: np.ndarray) -> tf.lookup.StaticHashTable:
    """Table from bytes to int64; "" and unknown keys give 0."""
    keys = tf.constant([b"", *keys])
    values = tf.constant([0, *values], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=0)


def constant(array: np.ndarray, name: str) -> tf.Variable:
    """Variable that never trains: a constant would count towards the graph's limit of 2 GB."""
    return tf.Variable(array, trainable=False, name=name)
