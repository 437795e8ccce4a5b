"""Raw examples in, model features out: one tf.Transform graph for training and serving.

Sequences (user_*, event_*) and items (item_*) are rows of different splits of one Examples
artifact; a row of one kind leaves the features of the other empty. Every output is a SparseTensor
`[batch, values]`, so an empty feature costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfrec import config, schema
from tfrec.examples.item_states import state_features
from tfrec.language.tokenizer import word_piece_of

ITEM_VOCABULARY = "event_item_id"
"""tf.Transform asset: every training target with its count; the logQ correction reads it."""

READ_BATCH = 4096  # records of a vocabulary read at once; one by one they dominate the time of loading a catalog
DAYS_PER_WEEK = 7
MOST_DEVIATIONS = 5.0  # an item of 100 tons must not drown the others' weights
EPOCH_DAY_OF_WEEK = 3  # 1970-01-01 was a Thursday; weeks start on Monday


def preprocessing_fn(inputs: dict[str, tf.SparseTensor], custom_config: dict[str, Any]) -> dict[str, tf.SparseTensor]:
    """Features of a batch of raw examples; custom_config["config"] is a Config as JSON."""
    settings = config.config_from_json(custom_config["config"])
    features = settings.features
    sequences = _event_features(inputs) | _profile_features(inputs, features)
    context = _context_features(inputs, settings.examples.context_columns)
    states = {name: inputs[name] for name in state_features(settings.examples)}
    return sequences | context | _item_features(inputs, features) | states


def item_text(title: tf.Tensor, brand: tf.Tensor, category: tf.Tensor, description: tf.Tensor) -> tf.Tensor:
    """Text [n] of an item for the encoders: title, brand, category path, description."""
    path = tf.strings.regex_replace(category, schema.CATEGORY_SEPARATOR, " ")
    return tf.strings.strip(tf.strings.join([title, brand, path, description], separator=" "))


def _event_features(inputs: dict[str, tf.SparseTensor]) -> dict[str, tf.SparseTensor]:
    item_id = inputs["event_item_id"]
    targets = tf.boolean_mask(item_id.values, inputs["event_is_target"].values > 0)
    # text files of vocabularies end a word at a newline: gzipped records hold any id
    tft.vocabulary(targets, store_frequency=True, vocab_filename=ITEM_VOCABULARY, file_format="tfrecord_gzip")
    return {
        "event_item_id": item_id,
        "event_kind": inputs["event_kind"].with_values(kind_index(inputs["event_kind"].values)),
        "event_timestamp": inputs["event_timestamp"],
        "event_price": inputs["event_price"].with_values(_scaled_price(inputs["event_price"].values)),
        "event_query": inputs["event_query"],
        "event_is_target": inputs["event_is_target"],
        "user_id": inputs["user_id"],
    }


def day_of_week(timestamp: tf.Tensor) -> tf.Tensor:
    """int64 in [0, 7) of seconds since the epoch (UTC), Monday first."""
    return (timestamp // schema.DAY_SECONDS + EPOCH_DAY_OF_WEEK) % DAYS_PER_WEEK


def kind_index(kinds: tf.Tensor) -> tf.Tensor:
    """Index [n] int64 of a kind: 1 + its position in schema.EVENT_KINDS, 0 for another kind."""
    matches = kinds[:, tf.newaxis] == tf.constant(schema.EVENT_KINDS)
    positions = tf.range(1, len(schema.EVENT_KINDS) + 1, dtype=tf.int64)
    return tf.reduce_sum(tf.cast(matches, tf.int64) * positions, axis=1)


def _scaled_price(price: tf.Tensor) -> tf.Tensor:
    """Standard score [n] of log(1 + price); 0 for an unknown price."""
    logs = tf.math.log1p(tf.maximum(price, 0.0))
    known = price > 0
    mean = tft.mean(tf.boolean_mask(logs, known))
    spread = tf.sqrt(tft.var(tf.boolean_mask(logs, known)))
    return tf.where(known, tf.math.divide_no_nan(logs - mean, spread), tf.zeros_like(logs))


def _profile_features(
    inputs: dict[str, tf.SparseTensor], features: config.FeaturesConfig
) -> dict[str, tf.SparseTensor]:
    names = [f"user_{column}" for column in features.profile_columns]
    return {name: _vocabulary_index(inputs[name], name, features.oov_buckets) for name in names}


def _context_features(inputs: dict[str, tf.SparseTensor], columns: Sequence[str]) -> dict[str, tf.SparseTensor]:
    """Indices of the context of events and of the request, by the vocabulary of the events.

    A value that the vocabulary lacks has 0, as an unknown one.
    """
    indices = {}
    for column in columns:
        values = inputs[f"event_{column}"].values
        vocabulary = tft.vocabulary(tf.boolean_mask(values, values != ""), vocab_filename=f"event_{column}")
        for name in (f"event_{column}", f"user_{column}"):
            indices[name] = _index_in(inputs[name], vocabulary, oov_buckets=0)
    return indices


def _item_features(inputs: dict[str, tf.SparseTensor], features: config.FeaturesConfig) -> dict[str, tf.SparseTensor]:
    title, category = inputs["item_title"], inputs["item_category"]
    word_piece = tft.make_and_track_object(lambda: word_piece_of(features), name="word_piece")
    text = item_text(title.values, inputs["item_brand"].values, category.values, inputs["item_description"].values)
    further_columns = {column: inputs[f"item_{column}"].values for column in features.item_columns}
    categories = category_paths(category.values, features.category_levels)
    if further_columns:
        categories = tf.concat([categories, _named(further_columns)], axis=1)
    price = inputs["item_price"]
    return {
        "item_id": inputs["item_id"],
        "item_title": title,
        "item_tokens": _rows(word_piece(text), title),
        "item_category": _vocabulary_index(
            _rows(tf.RaggedTensor.from_tensor(categories), category), "item_category", features.oov_buckets
        ),
        "item_category_path": category,
        "item_brand": _vocabulary_index(inputs["item_brand"], "item_brand", features.oov_buckets),
        "item_price": price.with_values(_price_bucket(price.values, features.price_buckets)),
        **{f"item_{name}": _standard_score(inputs[f"item_{name}"]) for name in features.item_numbers},
        **{f"item_{name}": _of_length_1(inputs[f"item_{name}"]) for name in features.item_vectors},
    }


def _standard_score(numbers: tf.SparseTensor) -> tf.SparseTensor:
    """Standard score, at most MOST_DEVIATIONS from 0; a column of one value becomes 0."""
    score = tft.scale_to_z_score(numbers.values)
    return numbers.with_values(tf.clip_by_value(score, -MOST_DEVIATIONS, MOST_DEVIATIONS))


def _of_length_1(vectors: tf.SparseTensor) -> tf.SparseTensor:
    """Vectors [batch, length], each divided by its length; one of zeros stays."""
    row = vectors.indices[:, 0]
    squares = tf.math.unsorted_segment_sum(tf.square(vectors.values), row, vectors.dense_shape[0])
    return vectors.with_values(tf.math.divide_no_nan(vectors.values, tf.sqrt(tf.gather(squares, row))))


def category_paths(category: tf.Tensor, levels: int) -> tf.Tensor:
    """[n] category paths -> [n, levels] paths down to each level; "" below the deepest."""
    names = tf.strings.split(category, schema.CATEGORY_SEPARATOR)
    depth = names.row_lengths()
    paths = [
        tf.where(
            depth > level,
            tf.strings.reduce_join(names[:, : level + 1], axis=1, separator=schema.CATEGORY_SEPARATOR),
            "",
        )
        for level in range(levels)
    ]
    return tf.stack(paths, axis=1)


def _named(columns: dict[str, tf.Tensor]) -> tf.Tensor:
    """[n, columns] "column=value" or "" of columns [n]; they share the category vocabulary."""
    named = [tf.where(values != "", tf.strings.join([f"{name}=", values]), "") for name, values in columns.items()]
    return tf.stack(named, axis=1)


def _price_bucket(price: tf.Tensor, buckets: int) -> tf.Tensor:
    """Quantile bucket [n] int64 from 1; 0 for an unknown price."""
    known = price > 0
    boundaries = tft.quantiles(tf.boolean_mask(price, known), buckets, epsilon=0.01)
    return tf.where(known, 1 + tft.apply_buckets(price, boundaries), tf.zeros_like(price, tf.int64))


def _vocabulary_index(tensor: tf.SparseTensor, name: str, oov_buckets: int) -> tf.SparseTensor:
    """int64 indices: 0 for "", then the vocabulary from 1, then the out-of-vocabulary buckets."""
    vocabulary = tft.vocabulary(tf.boolean_mask(tensor.values, tensor.values != ""), vocab_filename=name)
    return _index_in(tensor, vocabulary, oov_buckets)


def _index_in(tensor: tf.SparseTensor, vocabulary: tf.Tensor, oov_buckets: int) -> tf.SparseTensor:
    known = tensor.values != ""
    index = tft.apply_vocabulary(tensor.values, vocabulary, num_oov_buckets=oov_buckets)
    return tensor.with_values(tf.where(known, 1 + index, tf.zeros_like(index)))


def _rows(ragged: tf.RaggedTensor, like: tf.SparseTensor) -> tf.SparseTensor:
    """[values, n] of filled rows of `like` -> sparse [batch, n], empty where `like` is empty."""
    filled = ragged.to_sparse()
    rows = tf.gather(like.indices[:, 0], filled.indices[:, 0])
    indices = tf.stack([rows, filled.indices[:, 1]], axis=1)
    return tf.SparseTensor(indices, filled.values, [like.dense_shape[0], filled.dense_shape[1]])


class Transformed:
    """Output of Transform: vocabularies, counts and the graph."""

    def __init__(self, folder: str):
        self._output = tft.TFTransformOutput(folder)

    def item_frequencies(self) -> dict[bytes, int]:
        """Number of training targets by item id."""
        path = self._output.vocabulary_file_by_name(ITEM_VOCABULARY)
        batches = tf.data.TFRecordDataset(path, compression_type="GZIP").batch(READ_BATCH).as_numpy_iterator()
        pairs = (record.split(b" ", 1) for batch in batches for record in batch)
        return {item_id: int(count) for count, item_id in pairs}

    def vocabulary(self, name: str) -> list[bytes]:
        """Entries of a vocabulary, in the order of their indices, which start at 1."""
        return list(self._output.vocabulary_by_name(name))

    def indices(self, name: str, oov_buckets: int) -> int:
        """Number of indices of a feature: "", the vocabulary, the out-of-vocabulary buckets."""
        return 1 + self._output.vocabulary_size_by_name(name) + oov_buckets

    def layer(self) -> tf.keras.layers.Layer:
        """The graph as a layer: raw SparseTensors by name in, their features out."""
        return self._output.transform_features_layer()
