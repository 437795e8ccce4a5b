"""Inputs of the signatures, and the features of requests and items made from them.

Raw inputs go through the same tf.Transform graph as the training examples.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.batches import Batch
from tfrec.examples.preprocessing import Transformed
from tfrec.language.tokenizer import word_piece_of
from tfrec.retrieval.towers import ItemFeatures
from tfrec.retrieval.two_tower import TwoTower

Tensors = dict[str, tf.Tensor]

EVENT_INPUTS = {
    "event_item_id": tf.string,  # [batch, length], "" pads
    "event_kind": tf.string,
    "event_timestamp": tf.int64,  # seconds since the epoch
    "event_price": tf.float32,  # 0 unknown
}
CONTEXT_INPUTS = {
    "timestamp": tf.int64,  # [batch] seconds since the epoch, 0 is now
    "query": tf.string,  # [batch] "" or blank without a search
    "user_id": tf.string,  # [batch]
}
ANSWER_INPUTS = {
    "exclude_seen": tf.bool,  # [batch]
    "diversity": tf.float32,  # [batch] in [0, 1]
    "list_calibration": tf.float32,  # [batch] in [0, 1]; below 0 the run's setting
}
FILTER_INPUTS = {
    "exclude_item_id": tf.string,  # [batch, any], "" pads
    "allow_category": tf.string,
    "deny_category": tf.string,
}
CANDIDATE_INPUTS = {"candidate_item_id": tf.string}  # [batch, any], "" pads
ITEM_INPUTS = {
    "item_id": tf.string,  # [batch] "" for an item that is not in the catalog
    "item_title": tf.string,
    "item_description": tf.string,
    "item_category": tf.string,
    "item_brand": tf.string,
    "item_price": tf.float32,  # 0 unknown
}

BLANK = r"[\s\pZ\pC]*"
"""Pattern of a query that is no search: the tokenizer drops spaces and control characters."""


class Request(NamedTuple):
    """Features of a batch of requests."""

    history: Batch
    query_times: tf.Tensor  # [batch] int64 seconds
    search_vector: tf.Tensor  # [batch, text_dim], zero without a search
    query: tf.Tensor  # [batch, dim + 1] embeddings of the query tower
    is_search: tf.Tensor  # [batch, 1] bool


class RequestFeatures(tf.Module):
    """Raw inputs -> features of the model; further inputs are ignored."""

    def __init__(self, model: TwoTower, transformed: Transformed, config: Config):
        super().__init__(name="request_features")
        self._model, self._config = model, config
        self._transform = transformed.layer()
        self._word_piece = word_piece_of(config.features)

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """Inputs of a request: events, context and profile."""
        profile = {f"user_{column}": tf.string for column in self._config.request_columns}
        return specs(EVENT_INPUTS, [None, None]) | specs(CONTEXT_INPUTS | profile, [None])

    def item_specs(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `embed_item`."""
        columns = {f"item_{column}": tf.string for column in self._config.features.item_columns}
        return specs(ITEM_INPUTS | columns, [None]) | self._number_specs()

    def _number_specs(self) -> dict[str, tf.TensorSpec]:
        """Numbers [batch] and vectors [batch, length]; NaN, or a vector of zeros, is unknown."""
        vectors, widths = self._config.features.item_vectors, self._model.tables.number_widths
        shapes = {f"item_{name}": [None, width] if name in vectors else [None] for name, width in widths.items()}
        return {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}

    def encode_request(self, inputs: Tensors) -> Request:
        """Encode the inputs of `request_specs`."""
        history, query_times = self.encode_history(inputs)
        is_search = tf.logical_not(tf.strings.regex_full_match(inputs["query"], BLANK))
        search_vector = self._encode_search(inputs["query"], is_search)
        query = self._model.query(history, query_times[:, tf.newaxis], search_vector[:, tf.newaxis])[:, 0]
        return Request(history, query_times, search_vector, query, is_search[:, tf.newaxis])

    def encode_history(self, inputs: Tensors) -> tuple[Batch, tf.Tensor]:
        """Dense features of the latest events in time order, and query times [batch] int64.

        The features are those of training.
        """
        # Unknown items are newer than the model: in training, every item is in the catalog.
        is_known = self._model.catalog_rows(inputs["event_item_id"]) > 0
        longest = self._config.examples.window_history or self._config.examples.max_events
        price = inputs["event_price"]
        raw = inputs | {"event_price": tf.where(tf.math.is_finite(price), price, 0.0)}
        events = _in_time_order({name: raw[name] for name in EVENT_INPUTS}, is_known, longest)
        names = [*(f"user_{column}" for column in self._config.request_columns), "user_id"]
        columns = {name: _sparse_column(inputs[name]) for name in names}
        features = self._transform({name: value.to_sparse() for name, value in events.items()} | columns)
        history = {name: tf.sparse.to_dense(features[name]) for name in EVENT_INPUTS}
        return history | {name: _dense(features[name], 1)[:, 0] for name in columns}, self._query_times(inputs)

    def encode_items(self, inputs: Tensors) -> ItemFeatures:
        """Encode the inputs of `item_specs`."""
        numbers = self._number_specs()
        raw = {name: _sparse_column(value) for name, value in inputs.items() if name not in ("item_id", *numbers)}
        raw |= {name: _sparse_numbers(inputs[name]) for name in numbers}
        features = self._transform(raw)
        widths = self._model.tables.number_widths
        columns = [_dense(features[f"item_{name}"], width) for name, width in widths.items()]
        settings = self._config.features
        tokens = _dense(features["item_tokens"], settings.text_tokens)
        return ItemFeatures(
            id_row=self._model.tables.id_rows(self._model.catalog_rows(inputs["item_id"])),
            text_vector=self._model.texts.encoder(tokens),
            word_vector=self._model.texts.word_encoder(tokens),
            category=_dense(features["item_category"], settings.categories),
            brand=_dense(features["item_brand"], 1)[:, 0],
            price=_dense(features["item_price"], 1)[:, 0],
            numbers=tf.concat(columns, axis=1) if columns else None,
        )

    def _query_times(self, inputs: Tensors) -> tf.Tensor:
        """[batch] int64 seconds; without timestamps, 0 means just after the last event."""
        now = tf.cast(tf.timestamp(), tf.int64)
        if self._config.clock == "order":
            now = tf.reduce_max(tf.pad(inputs["event_timestamp"], [[0, 0], [0, 1]]), axis=1) + 1
        return tf.where(inputs["timestamp"] > 0, inputs["timestamp"], now)

    def _encode_search(self, query: tf.Tensor, is_search: tf.Tensor) -> tf.Tensor:
        """[batch, text_dim], zero without a search; the BERT runs only if some row has a search."""

        def encode() -> tf.Tensor:
            vectors = self._model.texts.encoder(self._word_piece(query).to_tensor())
            return tf.where(is_search[:, tf.newaxis], vectors, 0.0)

        no_search = tf.zeros([tf.shape(query)[0], self._model.texts.dim])
        return tf.cond(tf.reduce_any(is_search), encode, lambda: no_search)


def specs(dtypes: dict[str, tf.DType], shape: list[None]) -> dict[str, tf.TensorSpec]:
    """Specs of inputs by name, all of one shape."""
    return {name: tf.TensorSpec(shape, dtype, name) for name, dtype in dtypes.items()}


def _in_time_order(events: Tensors, is_valid: tf.Tensor, longest: int) -> dict[str, tf.RaggedTensor]:
    """Valid events [batch, length] sorted by time, only the latest `longest` of each row."""
    times = tf.where(is_valid, events["event_timestamp"], events["event_timestamp"].dtype.max)
    order = tf.argsort(times, axis=1, stable=True)
    is_valid = tf.gather(is_valid, order, batch_dims=1)
    return {
        name: tf.ragged.boolean_mask(tf.gather(value, order, batch_dims=1), is_valid)[:, -longest:]
        for name, value in events.items()
    }


def _sparse_column(values: tf.Tensor) -> tf.SparseTensor:
    """[batch] -> sparse [batch, 1] with every value, also "" and 0, as in an example."""
    batch = tf.shape(values, out_type=tf.int64)[0]
    indices = tf.stack([tf.range(batch), tf.zeros([batch], tf.int64)], axis=1)
    return tf.SparseTensor(indices, values, tf.stack([batch, 1]))


def _sparse_numbers(values: tf.Tensor) -> tf.SparseTensor:
    """[batch] or [batch, length] float32 -> sparse [batch, length] without NaN."""
    rows = values[:, tf.newaxis] if values.shape.rank == 1 else values
    finite = tf.where(tf.math.is_finite(rows))
    return tf.SparseTensor(finite, tf.gather_nd(rows, finite), tf.shape(rows, tf.int64))


def _dense(sparse: tf.SparseTensor, width: int) -> tf.Tensor:
    """[batch, width] with 0 or "" for missing values."""
    batch = sparse.dense_shape[0]
    padded = tf.sparse.reset_shape(sparse, tf.stack([batch, tf.maximum(sparse.dense_shape[1], width)]))
    dense = tf.sparse.to_dense(padded)[:, :width]
    return tf.ensure_shape(dense, [None, width])
