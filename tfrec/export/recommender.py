"""The SavedModel and its signatures: raw strings and numbers in, items out, stock TensorFlow Serving runs it.

Every input is batched and every output batch-major, so that TensorFlow Serving may batch requests. Raw
inputs go through the very tf.Transform graph that made the training features.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.batches import Batch
from tfrec.examples.preprocessing import Transformed
from tfrec.export.filters import Filters
from tfrec.export.mmr import mmr_order
from tfrec.export.top_k_index import Index
from tfrec.language.tokenizer import word_piece_of
from tfrec.retrieval.towers import ItemFeatures
from tfrec.training.train import Trained

if TYPE_CHECKING:
    from tfrec.ranking.second_stage import SecondStage

Tensors = dict[str, tf.Tensor]

EVENT_INPUTS = {
    "event_item_id": tf.string,  # [batch, length], "" pads
    "event_kind": tf.string,
    "event_timestamp": tf.int64,  # seconds since the epoch
    "event_price": tf.float32,  # 0 unknown
}
CONTEXT_INPUTS = {
    "timestamp": tf.int64,  # [batch] seconds since the epoch, 0 is now
    "query": tf.string,  # [batch] "" where nothing is searched
    "user_id": tf.string,  # [batch]
}
WISH_INPUTS = {
    "exclude_seen": tf.bool,  # [batch]
    "diversity": tf.float32,  # [batch] in [0, 1]
}
FILTER_INPUTS = {
    "exclude_item_id": tf.string,  # [batch, any], "" pads
    "allow_category": tf.string,
    "deny_category": tf.string,
}
CANDIDATE_INPUTS = {"candidate_item_id": tf.string}  # [batch, any], "" pads
ITEM_INPUTS = {
    "item_id": tf.string,  # [batch] "" for an item that nobody bought yet
    "item_title": tf.string,
    "item_description": tf.string,
    "item_category": tf.string,
    "item_brand": tf.string,
    "item_price": tf.float32,  # 0 unknown
}


class Asked(NamedTuple):
    """What is known of a batch of requests."""

    batch: Batch
    query_times: tf.Tensor  # [batch] int64 seconds
    searched: tf.Tensor  # [batch, text_dim], zero where nothing is searched
    query: tf.Tensor  # [batch, dim + 1] embeddings of the query tower
    is_search: tf.Tensor  # [batch, 1] bool


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
        self._filters = Filters(trained.catalog.category_path)
        self._titles = tf.Variable(trained.catalog.titles, trainable=False, name="titles")
        # Evaluation ranks the whole catalogue with these very numbers.
        self.candidates = self._index.embeddings
        self.item_ids = tf.Variable(trained.catalog.item_ids, trainable=False, name="item_ids")
        # It measures by them how unlike the items of a list are.
        self.text_vectors, self.text_row = trained.model.texts.text_vectors, trained.model.texts.text_row
        self._second_stage = second_stage
        self.all_scores = tf.function(self._all_scores)
        if second_stage is not None:
            self.heads = tf.Variable(second_stage.ranker.heads, trainable=False, name="heads_of_candidates")
            self.candidate_probabilities = tf.function(self._candidate_probabilities)

    @property
    def has_second_stage(self) -> bool:
        """Whether candidates are ranked, chances and complements known."""
        return self._second_stage is not None

    def signatures(self) -> dict[str, Callable[..., Tensors]]:
        """Signature name -> concrete function; `serving_default` is `recommend`."""
        request = self._request_inputs()
        self.all_scores.get_concrete_function(**request)  # saved because it was traced
        if self._second_stage is not None:
            self.candidate_probabilities.get_concrete_function(**request)
        wishes = _specs(WISH_INPUTS, [None]) | _specs(FILTER_INPUTS, [None, None])
        recommend = _concrete(self.recommend, request | wishes)
        given = request | _specs(CANDIDATE_INPUTS, [None, None])
        of_item = _specs({"item_id": tf.string}, [None])
        further = {}
        if self._second_stage is not None:
            without_search = {name: spec for name, spec in given.items() if name != "query"}
            further["ctr"] = _concrete(self.ctr, without_search)
            further["complementary_items"] = _concrete(self.complementary_items, of_item)
        return further | {
            "serving_default": recommend,
            "recommend": recommend,
            "search": recommend,
            "rank": _concrete(self.rank, given),
            "similar_items": _concrete(self.similar_items, of_item),
            **self.embeddings(),
        }

    def embeddings(self) -> dict[str, Callable[..., Tensors]]:
        """The signatures of the towers alone, which take a third of the time to trace."""
        return {
            "embed_query": _concrete(self.embed_query, self._request_inputs()),
            "embed_item": _concrete(self.embed_item, self._item_inputs()),
        }

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """The best items for each history, profile and search: item_id, title, score [batch, k].

        Of what may be shown, `exclude_item_id`, `allow_category` and `deny_category` [batch, any], the candidates are
        taken, so that a narrow category is ranked as well as the whole catalogue. `diversity` [batch] puts the k items
        into another order, their scores with them; it is cut off at 0 and 1, and what is no number is 0, since a graph
        can't refuse one row of a batch.
        """
        wishes = {name: inputs.pop(name) for name in (*WISH_INPUTS, *FILTER_INPUTS)}
        allowed = self._allowed(inputs["event_item_id"], wishes)
        scores = self._scores(self._asked(inputs), allowed)
        nothing = tf.zeros([tf.shape(scores)[0], 0], tf.int64)
        best = self._index.top_k(tf.where(allowed, scores, float("-inf")), nothing)
        return self._answer(*self._with_diversity(*best, wishes["diversity"]))

    def rank(self, **inputs: tf.Tensor) -> Tensors:
        """`candidate_item_id` [batch, n], best first, by the scores of `recommend`: item_id, title, score [batch, n].

        All are scored as its candidates are. Behind them, for every unknown id, none ("" and the lowest score).
        """
        rows = self._model.catalog_rows(inputs.pop("candidate_item_id"))
        scores = tf.where(rows > 0, self._scores_of(self._asked(inputs), rows), float("-inf"))
        best, place = tf.math.top_k(scores, tf.shape(scores)[1])
        return self._answer(best, tf.gather(rows, place, batch_dims=1))

    def ctr(self, **inputs: tf.Tensor) -> Tensors:
        """The chance [batch, n] of each kind of event with each of `candidate_item_id` [batch, n], in their order.

        Beside it item_id; an unknown id has "" and chances of 0. Without a search: the ranker has learnt of none.
        """
        assert self._second_stage is not None
        rows = self._model.catalog_rows(inputs.pop("candidate_item_id"))
        batch, query_times = self._features(inputs), self._query_times(inputs)
        queries = self._second_stage.embed_queries(batch, query_times)
        probabilities = self._second_stage.predict(batch, query_times, queries, rows)
        probabilities = tf.where((rows > 0)[..., tf.newaxis], probabilities, 0.0)
        by_kind = dict(zip(self._second_stage.ranker.heads, tf.unstack(probabilities, axis=-1), strict=True))
        return {"item_id": tf.gather(self.item_ids, rows)} | by_kind

    def similar_items(self, item_id: tf.Tensor) -> Tensors:
        """The items nearest to each item_id [batch] by cosine; none ("" and the lowest score) for an unknown id."""
        return self._answer(*self._index.nearest(self._model.catalog_rows(item_id)))

    def complementary_items(self, item_id: tf.Tensor) -> Tensors:
        """What is chosen with each item_id [batch], not instead of it; as `similar_items` for an unknown id."""
        assert self._second_stage is not None
        rows = self._model.catalog_rows(item_id)
        return self._answer(*self._index.top_k(self._second_stage.score_complements(rows), rows[:, tf.newaxis]))

    def embed_query(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1]; the inner product with an item's is its score."""
        return {"embedding": self._asked(inputs).query}

    def embed_item(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1] of items by raw text and attributes, and by id where it was learnt."""
        features = self._transform({name: _column(value) for name, value in inputs.items() if name != "item_id"})
        settings = self._config.features
        rows = self._model.catalog_rows(inputs["item_id"])
        tokens = _dense(features["item_tokens"], settings.text_tokens)
        items = ItemFeatures(
            id_row=self._model.tables.id_rows(rows),
            text_vector=self._model.texts.encoder(tokens),
            word_vector=self._model.texts.word_encoder(tokens),
            category=_dense(features["item_category"], settings.categories),
            brand=_dense(features["item_brand"], 1)[:, 0],
            price=_dense(features["item_price"], 1)[:, 0],
        )
        return {"embedding": self._model.with_trend_bias(self._model.candidate_tower(items), rows)}

    def _request_inputs(self) -> dict[str, tf.TensorSpec]:
        profile = {f"user_{column}": tf.string for column in self._config.features.profile_columns}
        return _specs(EVENT_INPUTS, [None, None]) | _specs(CONTEXT_INPUTS | profile, [None])

    def _item_inputs(self) -> dict[str, tf.TensorSpec]:
        further = {f"item_{column}": tf.string for column in self._config.features.item_columns}
        return _specs(ITEM_INPUTS | further, [None])

    def _allowed(self, seen_item_id: tf.Tensor, wishes: Tensors) -> tf.Tensor:
        """[batch, rows] bool: what each shopper may be shown."""
        seen = self._model.catalog_rows(seen_item_id)
        seen = tf.where(wishes["exclude_seen"][:, tf.newaxis], seen, tf.zeros_like(seen))
        excluded = tf.concat([seen, self._model.catalog_rows(wishes["exclude_item_id"])], axis=1)
        return self._filters.allowed(excluded, wishes["allow_category"], wishes["deny_category"])

    def _all_scores(self, **inputs: tf.Tensor) -> tf.Tensor:
        """[batch, rows] of the whole catalogue: probabilities of the ranker, or in a search towers and text."""
        return self._scores(self._asked(inputs))

    def _scores(self, asked: Asked, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """As `_all_scores`, candidates taken of the `allowed` [batch, rows] alone where these are given."""
        if self._second_stage is None:
            return self._found(asked)  # without a search nothing was added
        catalog_scores = self._second_stage.score_catalog
        return self._by_search(
            asked, self._found, lambda: catalog_scores(asked.batch, asked.query_times, asked.query, allowed)
        )

    def _scores_of(self, asked: Asked, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n] the scores of the items of `rows` [batch, n], each as if it were a candidate."""
        stage = self._second_stage
        if stage is None:
            return tf.gather(self._found(asked), rows, batch_dims=1)
        return self._by_search(
            asked,
            lambda asked: tf.gather(self._found(asked), rows, batch_dims=1),
            lambda: stage.positive_probability(stage.predict(asked.batch, asked.query_times, asked.query, rows)),
        )

    def _by_search(
        self, asked: Asked, found: Callable[[Asked], tf.Tensor], ranked: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        """`found` for those who search and `ranked` for the others; neither is computed for nobody."""
        found_scores = tf.cond(tf.reduce_any(asked.is_search), lambda: found(asked), lambda: tf.zeros([1, 1]))
        ranked_scores = tf.cond(tf.reduce_all(asked.is_search), lambda: tf.zeros([1, 1]), ranked)
        return tf.where(asked.is_search, found_scores, ranked_scores)

    def _found(self, asked: Asked) -> tf.Tensor:
        """[batch, rows] by the two towers and, in a search, by the texts."""
        towers = tf.matmul(asked.query, self.candidates, transpose_b=True)
        weight = self._config.serving.search_text_weight * self._config.towers.temperature
        return towers + tf.cond(
            tf.reduce_any(asked.is_search),
            lambda: weight * self._model.texts.search_similarity(asked.searched),
            lambda: tf.zeros_like(towers),
        )

    def _candidate_probabilities(self, **inputs: tf.Tensor) -> Tensors:
        """Of histories without a search: rows [batch, candidates], 0 pads, and chances [batch, candidates, heads]."""
        assert self._second_stage is not None
        batch, query_times = self._features(inputs), self._query_times(inputs)
        queries = self._second_stage.embed_queries(batch, query_times)
        candidates, probabilities = self._second_stage.rank_candidates(batch, query_times, queries)
        return {"row": candidates.rows, "chance": probabilities}

    def _with_diversity(self, scores: tf.Tensor, rows: tf.Tensor, diversity: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and rows [batch, k] in an order that has variety for a shopper: items that read alike stand apart.

        Texts tell what looks alike on the page. By the item embeddings what is bought together is alike too, and the
        sauce would be pushed away from the pasta.
        """
        weight = tf.clip_by_value(tf.where(tf.math.is_nan(diversity), 0.0, diversity), 0.0, 1.0)

        def vary() -> tuple[tf.Tensor, tf.Tensor]:
            order = mmr_order(self._model.texts.item_similarity(rows), rows > 0, weight)
            return tf.gather(scores, order, batch_dims=1), tf.gather(rows, order, batch_dims=1)

        return tf.cond(tf.reduce_any(weight > 0), vary, lambda: (scores, rows))

    def _asked(self, inputs: Tensors) -> Asked:
        batch, query_times, searched = (
            self._features(inputs),
            self._query_times(inputs),
            self._search_vector(inputs["query"]),
        )
        query = self._model.query(batch, query_times[:, tf.newaxis], searched[:, tf.newaxis])[:, 0]
        return Asked(batch, query_times, searched, query, tf.not_equal(inputs["query"], "")[:, tf.newaxis])

    def _query_times(self, inputs: Tensors) -> tf.Tensor:
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
        price = inputs["event_price"]
        given = inputs | {"event_price": tf.where(tf.math.is_finite(price), price, 0.0)}
        events = _in_order({name: given[name] for name in EVENT_INPUTS}, known, longest)
        profile = {f"user_{column}": inputs[f"user_{column}"] for column in self._config.features.profile_columns}
        columns = {name: _column(value) for name, value in (profile | {"user_id": inputs["user_id"]}).items()}
        features = self._transform({name: value.to_sparse() for name, value in events.items()} | columns)
        batch = {name: tf.sparse.to_dense(features[name]) for name in EVENT_INPUTS}
        return batch | {name: _dense(features[name], 1)[:, 0] for name in columns}

    def _search_vector(self, query: tf.Tensor) -> tf.Tensor:
        """[batch, text_dim], zero where nothing is searched; the BERT sleeps when nobody searches."""
        is_search = tf.not_equal(query, "")

        def read() -> tf.Tensor:
            vectors = self._model.texts.encoder(self._word_piece(query).to_tensor())
            return tf.where(is_search[:, tf.newaxis], vectors, 0.0)

        nothing = tf.zeros([tf.shape(query)[0], self._model.texts.dim])
        return tf.cond(tf.reduce_any(is_search), read, lambda: nothing)

    def _answer(self, scores: tf.Tensor, rows: tf.Tensor) -> Tensors:
        return {
            "item_id": tf.gather(self.item_ids, rows),
            "title": tf.gather(self._titles, rows),
            "score": tf.maximum(scores, scores.dtype.min),  # an empty place: JSON knows no infinity
        }


def export(recommender: Recommender, folder: str, signatures: dict[str, Callable[..., Tensors]] | None = None) -> None:
    """Writes the SavedModel beside `folder` and renames it into place, so that it is whole or not there.

    Without `signatures` it has all of them.
    """
    staging = f"{folder.rstrip('/')}.staging"
    shutil.rmtree(staging, ignore_errors=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(recommender, staging, signatures or recommender.signatures(), options)
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
