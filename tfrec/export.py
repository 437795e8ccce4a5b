"""The SavedModel and its signatures: raw strings and numbers in, items out, stock TensorFlow Serving runs it.

Every input is batched and every output batch-major, so that TensorFlow Serving may batch requests. Raw
inputs go through the very tf.Transform graph that made the training features.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfrec.config import Config
from tfrec.features import Transformed, word_piece_of
from tfrec.index import Index
from tfrec.retrieval import Batch
from tfrec.second_stage import SecondStage
from tfrec.towers import ItemFeatures
from tfrec.train import Trained

Tensors = dict[str, tf.Tensor]

EVENT_INPUTS = {
    "event_item_id": tf.string,  # [batch, length], "" pads
    "event_kind": tf.string,
    "event_timestamp": tf.int64,  # seconds since the epoch
    "event_price": tf.float32,  # 0 unknown
}
MOMENT_INPUTS = {
    "timestamp": tf.int64,  # [batch] seconds since the epoch, 0 is now
    "query": tf.string,  # [batch] "" where nothing is searched
    "user_id": tf.string,  # [batch]
}
ITEM_INPUTS = {
    "item_id": tf.string,  # [batch] "" for an item that nobody bought yet
    "item_title": tf.string,
    "item_description": tf.string,
    "item_category": tf.string,
    "item_brand": tf.string,
    "item_price": tf.float32,  # 0 unknown
}


class Recommender(tf.Module):
    """A trained model behind raw inputs."""

    def __init__(
        self, trained: Trained, transformed: Transformed, config: Config, second_stage: SecondStage | None = None
    ):
        super().__init__()
        self._config = config
        self._model = trained.model
        self._model.optimizer = None  # training's business: its moments would be saved and served
        self._transform = transformed.layer()
        self._word_piece = word_piece_of(config.features)
        self._index = Index(trained.model.all_candidates(), config.serving.top_k)
        self._titles = tf.Variable(trained.catalog.titles, trainable=False, name="titles")
        # Evaluation ranks the whole catalogue with these very numbers.
        self.candidates = self._index.embeddings
        self.item_ids = tf.Variable(trained.catalog.item_ids, trainable=False, name="item_ids")
        self._second_stage = second_stage
        self.all_scores = tf.function(self._all_scores)

    @property
    def has_second_stage(self) -> bool:
        """Whether candidates are ranked, and complements known."""
        return self._second_stage is not None

    def signatures(self) -> dict[str, Callable[..., Tensors]]:
        """Signature name -> concrete function; `serving_default` is `recommend`."""
        request = self._request_inputs()
        self.all_scores.get_concrete_function(**request)  # saved because it was traced
        recommend = _concrete(self.recommend, request | _specs({"exclude_seen": tf.bool}, [None]))
        of_item = _specs({"item_id": tf.string}, [None])
        further = {"complementary_items": _concrete(self.complementary_items, of_item)} if self._second_stage else {}
        return further | {
            "serving_default": recommend,
            "recommend": recommend,
            "search": recommend,
            "similar_items": _concrete(self.similar_items, of_item),
            "embed_query": _concrete(self.embed_query, request),
            "embed_item": _concrete(self.embed_item, self._item_inputs()),
        }

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """The best items for each history, profile and search: item_id, title, score [batch, k]."""
        seen = self._model.catalog_rows(inputs["event_item_id"])
        excluded = tf.where(inputs["exclude_seen"][:, tf.newaxis], seen, tf.zeros_like(seen))
        request = {name: value for name, value in inputs.items() if name != "exclude_seen"}
        return self._answer(*self._index.best(self._all_scores(**request), excluded))

    def similar_items(self, item_id: tf.Tensor) -> Tensors:
        """The items nearest to each item_id [batch] by cosine; none ("" and the lowest score) for an unknown id."""
        return self._answer(*self._index.nearest(self._model.catalog_rows(item_id)))

    def complementary_items(self, item_id: tf.Tensor) -> Tensors:
        """What is chosen with each item_id [batch], not instead of it; as `similar_items` for an unknown id."""
        assert self._second_stage is not None
        rows = self._model.catalog_rows(item_id)
        return self._answer(*self._index.best(self._second_stage.complements(rows), rows[:, tf.newaxis]))

    def embed_query(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1]; the inner product with an item's is its score."""
        return {"embedding": self._query(inputs, self._features(inputs), self._search_vector(inputs["query"]))}

    def embed_item(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1] of items by raw text and attributes, and by id where it was learnt."""
        features = self._transform({name: _column(value) for name, value in inputs.items() if name != "item_id"})
        settings = self._config.features
        rows = self._model.catalog_rows(inputs["item_id"])
        items = ItemFeatures(
            id_row=self._model.id_rows(rows),
            text_vector=self._model.encoder(_dense(features["item_tokens"], settings.text_tokens)),
            category=_dense(features["item_category"], settings.categories),
            brand=_dense(features["item_brand"], 1)[:, 0],
            price=_dense(features["item_price"], 1)[:, 0],
        )
        return {"embedding": self._model.moved(self._model.candidate_tower(items), rows)}

    def _request_inputs(self) -> dict[str, tf.TensorSpec]:
        profile = {f"user_{column}": tf.string for column in self._config.features.profile_columns}
        return _specs(EVENT_INPUTS, [None, None]) | _specs(MOMENT_INPUTS | profile, [None])

    def _item_inputs(self) -> dict[str, tf.TensorSpec]:
        further = {f"item_{column}": tf.string for column in self._config.features.item_columns}
        return _specs(ITEM_INPUTS | further, [None])

    def _all_scores(self, **inputs: tf.Tensor) -> tf.Tensor:
        """[batch, rows] of the whole catalogue: probabilities of the ranker, or in a search towers and text."""
        batch, moments, searched = self._features(inputs), self._moments(inputs), self._search_vector(inputs["query"])
        query = self._query(inputs, batch, searched)
        towers = tf.matmul(query, self.candidates, transpose_b=True)
        is_search = tf.not_equal(inputs["query"], "")[:, tf.newaxis]
        weight = self._config.serving.search_text_weight * self._config.towers.temperature
        found = towers + tf.cond(
            tf.reduce_any(is_search),
            lambda: weight * self._model.text_similarity(searched),
            lambda: tf.zeros_like(towers),
        )
        if self._second_stage is None:
            return found  # without a search nothing was added
        return tf.where(is_search, found, self._second_stage.probabilities(batch, moments, query))

    def _query(self, inputs: Tensors, batch: Batch, searched: tf.Tensor) -> tf.Tensor:
        return self._model.query(batch, self._moments(inputs)[:, tf.newaxis], searched[:, tf.newaxis])[:, 0]

    def _moments(self, inputs: Tensors) -> tf.Tensor:
        """[batch] int64 seconds of the requests; by an order 0 means just after the last event."""
        now = tf.cast(tf.timestamp(), tf.int64)
        if self._config.clock == "order":
            now = tf.reduce_max(tf.pad(inputs["event_timestamp"], [[0, 0], [0, 1]]), axis=1) + 1
        return tf.where(inputs["timestamp"] > 0, inputs["timestamp"], now)

    def _features(self, inputs: Tensors) -> Batch:
        """The dense features of the latest events in time order, as training read them."""
        # Training knows every item of a history; one that came after the model can't tell it anything.
        known = self._model.catalog_rows(inputs["event_item_id"]) > 0
        longest = self._config.examples.window_history or self._config.examples.max_events
        events = _in_order({name: inputs[name] for name in EVENT_INPUTS}, known, longest)
        profile = {f"user_{column}": inputs[f"user_{column}"] for column in self._config.features.profile_columns}
        columns = {name: _column(value) for name, value in (profile | {"user_id": inputs["user_id"]}).items()}
        features = self._transform({name: value.to_sparse() for name, value in events.items()} | columns)
        batch = {name: tf.sparse.to_dense(features[name]) for name in EVENT_INPUTS}
        return batch | {name: _dense(features[name], 1)[:, 0] for name in columns}

    def _search_vector(self, query: tf.Tensor) -> tf.Tensor:
        """[batch, text_dim], zero where nothing is searched; the BERT sleeps when nobody searches."""
        is_search = tf.not_equal(query, "")

        def read() -> tf.Tensor:
            vectors = self._model.encoder(self._word_piece(query).to_tensor())
            return tf.where(is_search[:, tf.newaxis], vectors, 0.0)

        nothing = tf.zeros([tf.shape(query)[0], self._model.encoder.dim])
        return tf.cond(tf.reduce_any(is_search), read, lambda: nothing)

    def _answer(self, scores: tf.Tensor, rows: tf.Tensor) -> Tensors:
        return {
            "item_id": tf.gather(self.item_ids, rows),
            "title": tf.gather(self._titles, rows),
            "score": tf.maximum(scores, scores.dtype.min),  # an empty place: JSON knows no infinity
        }


def export(recommender: Recommender, folder: str) -> None:
    """Writes the SavedModel beside `folder` and renames it into place, so that it is whole or not there."""
    staging = f"{folder.rstrip('/')}.staging"
    shutil.rmtree(staging, ignore_errors=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(recommender, staging, recommender.signatures(), options)
    shutil.rmtree(folder, ignore_errors=True)
    Path(staging).rename(folder)


def _in_order(events: Tensors, valid: tf.Tensor, longest: int) -> dict[str, tf.RaggedTensor]:
    """Valid events [batch, length] sorted by time, only the latest `longest` of each row."""
    times = tf.where(valid, events["event_timestamp"], events["event_timestamp"].dtype.max)
    order = tf.argsort(times, axis=1, stable=True)
    valid = tf.gather(valid, order, batch_dims=1)
    return {
        name: tf.ragged.boolean_mask(tf.gather(value, order, batch_dims=1), valid)[:, -longest:]
        for name, value in events.items()
    }


def _column(values: tf.Tensor) -> tf.SparseTensor:
    """[batch] -> sparse [batch, 1] that holds every value, "" and 0 too, as an example does."""
    batch = tf.shape(values, out_type=tf.int64)[0]
    indices = tf.stack([tf.range(batch), tf.zeros([batch], tf.int64)], axis=1)
    return tf.SparseTensor(indices, values, tf.stack([batch, 1]))


def _dense(sparse: tf.SparseTensor, width: int) -> tf.Tensor:
    """[batch, width] with 0 or "" where nothing is."""
    batch = sparse.dense_shape[0]
    wide = tf.sparse.reset_shape(sparse, tf.stack([batch, tf.maximum(sparse.dense_shape[1], width)]))
    dense = tf.sparse.to_dense(wide)[:, :width]
    return tf.ensure_shape(dense, [None, width])


def _specs(dtypes: dict[str, tf.DType], shape: list[None]) -> dict[str, tf.TensorSpec]:
    return {name: tf.TensorSpec(shape, dtype, name) for name, dtype in dtypes.items()}


def _concrete(function: Callable[..., Tensors], specs: dict[str, tf.TensorSpec]) -> Callable[..., Tensors]:
    return tf.function(function).get_concrete_function(**specs)
