"""The SavedModel and its signatures for stock TensorFlow Serving: raw features in, items out.

The batch is the first dimension of every input and output, so that the server may batch requests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.preprocessing import Transformed
from tfrec.export.filters import Filters
from tfrec.export.input_defaults import input_defaults, set_input_defaults
from tfrec.export.input_sizes import with_equal_sizes
from tfrec.export.list_calibration import ListCalibration
from tfrec.export.mmr import mmr_order
from tfrec.export.request_features import (
    ANSWER_INPUTS,
    CANDIDATE_INPUTS,
    FILTER_INPUTS,
    Request,
    RequestFeatures,
    Tensors,
    specs,
)
from tfrec.export.top_k_index import Index
from tfrec.training.train import Trained

Signature = Callable[..., Tensors]


class Recommender(tf.Module):
    """Signatures of the two towers.

    The evaluation reads `all_scores`, `candidates`, `item_ids`, `text_vectors` and `text_row`: it
    ranks the whole catalog and measures the diversity of lists.
    """

    def __init__(self, trained: Trained, transformed: Transformed, config: Config):
        super().__init__()
        self._config = config
        self.context_columns = config.examples.context_columns
        self._model = trained.model  # warm starts read the towers of older versions by this name
        self._model.optimizer = None  # else its slots would be saved and served
        self._features = RequestFeatures(trained.model, transformed, config)
        self._index = Index(trained.model.all_candidates(), config.serving.top_k)
        self._filters = Filters(trained.catalog.category_path)
        self._calibration = ListCalibration(trained.catalog, trained.catalog.frequency, config.serving.page_size)
        self._titles = tf.Variable(trained.catalog.titles, trainable=False, name="titles")
        self.candidates = self._index.embeddings
        self.item_ids = tf.Variable(trained.catalog.item_ids, trainable=False, name="item_ids")
        self.text_vectors, self.text_row = trained.model.texts.text_vectors, trained.model.texts.text_row
        self.all_scores = tf.function(self._all_scores, autograph=False)

    def signatures(self) -> dict[str, Signature]:
        """Signature name -> concrete function; `serving_default` is `recommend`."""
        request = self._features.request_specs()
        self.all_scores.get_concrete_function(**request)  # saved because it was traced
        constraints = specs(ANSWER_INPUTS, [None]) | specs(FILTER_INPUTS, [None, None])
        context = self.context_columns
        recommend = concrete(self.recommend, request | constraints, context)
        return {
            "serving_default": recommend,
            "recommend": recommend,
            "search": recommend,
            "rank": concrete(self.rank, request | specs(CANDIDATE_INPUTS, [None, None]), context),
            "similar_items": concrete(self.similar_items, specs({"item_id": tf.string}, [None])),
            **self.embeddings(),
        }

    def embeddings(self) -> dict[str, Signature]:
        """Signatures of the embeddings alone, which take a third of the time to trace."""
        return {
            "embed_query": concrete(self.embed_query, self._features.request_specs(), self.context_columns),
            "embed_item": concrete(self.embed_item, self._features.item_specs()),
        }

    def complete_requests(self, requests: dict[str, Tensors]) -> dict[str, Tensors]:
        """Add a golden request for each signature that `requests`, those of the towers, lacks."""
        return requests

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """Top k items for each history, profile and search: item_id, title, score [batch, k].

        `exclude_item_id`, `allow_category` and `deny_category` [batch, any] limit the candidates
        before they are ranked, so that a narrow category is ranked as well as the whole catalog.
        `list_calibration` [batch] and `diversity` [batch] reorder the k items with their scores.
        They are clipped to [0, 1], and NaN is 0: a graph can't refuse one row of a batch. A
        negative `list_calibration` is that of the run, or 0 for a search.
        """
        allowed, request = self._allowed(inputs), self._features.encode_request(inputs)
        scores = self._score_catalog(request, allowed)
        no_exclusion = tf.zeros([tf.shape(scores)[0], 0], tf.int64)
        top = self._index.top_k(tf.where(allowed, scores, float("-inf")), no_exclusion)
        calibrated = self._calibrate(*top, request, inputs["list_calibration"])
        return self._answer(*self._diversify(*calibrated, inputs["diversity"]))

    def rank(self, **inputs: tf.Tensor) -> Tensors:
        """Sort `candidate_item_id` [batch, n] by falling score: item_id, title, score [batch, n].

        An item has its score as a candidate of `recommend`. Unknown ids come last, as "" with the
        lowest score.
        """
        rows = self._model.catalog_rows(inputs["candidate_item_id"])
        scores = self._score_items(self._features.encode_request(inputs), rows)
        sorted_scores, indices = tf.math.top_k(tf.where(rows > 0, scores, float("-inf")), tf.shape(rows)[1])
        return self._answer(sorted_scores, tf.gather(rows, indices, batch_dims=1))

    def similar_items(self, item_id: tf.Tensor) -> Tensors:
        """Items nearest to each item_id [batch] by cosine.

        An unknown id gets "" with the lowest score.
        """
        return self._answer(*self._index.nearest(self._model.catalog_rows(item_id)))

    def embed_query(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1]; the inner product with an item's embedding is its score."""
        return {"embedding": self._features.encode_request(inputs).query}

    def embed_item(self, **inputs: tf.Tensor) -> Tensors:
        """Embeddings [batch, dim + 1] of items by text and attributes, and by id if it is known."""
        embeddings = self._model.candidate_tower(self._features.encode_items(inputs))
        rows = self._model.catalog_rows(inputs["item_id"])
        return {"embedding": self._model.with_trend_bias(embeddings, rows)}

    def _score_catalog(self, request: Request, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """[batch, rows] scores of the whole catalog.

        Only items that are `allowed` [batch, rows] bool become candidates.
        """
        return self._score_by_towers(request)

    def _score_items(self, request: Request, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n] scores of the items `rows` [batch, n], each as if it were a candidate."""
        return tf.gather(self._score_by_towers(request), rows, batch_dims=1)

    def _all_scores(self, **inputs: tf.Tensor) -> tf.Tensor:
        return self._score_catalog(self._features.encode_request(inputs))

    def _score_by_towers(self, request: Request) -> tf.Tensor:
        """[batch, rows] scores by the two towers and, for a search, by the texts."""
        towers = tf.matmul(request.query, self.candidates, transpose_b=True)
        weight = self._config.serving.search_text_weight * self._config.towers.temperature
        return towers + tf.cond(
            tf.reduce_any(request.is_search),
            lambda: weight * self._model.texts.search_similarity(request.search_vector),
            lambda: tf.zeros_like(towers),
        )

    def _allowed(self, inputs: Tensors) -> tf.Tensor:
        """[batch, rows] bool: items that pass the constraints of each request."""
        seen = self._model.catalog_rows(inputs["event_item_id"])
        seen = tf.where(inputs["exclude_seen"][:, tf.newaxis], seen, tf.zeros_like(seen))
        excluded = tf.concat([seen, self._model.catalog_rows(inputs["exclude_item_id"])], axis=1)
        return self._filters.allowed(excluded, inputs["allow_category"], inputs["deny_category"])

    def _calibrate(
        self, scores: tf.Tensor, rows: tf.Tensor, request: Request, strength: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reorder scores and rows [batch, k] towards the shares of each history."""
        by_default = tf.where(request.is_search[:, 0], 0.0, self._config.serving.list_calibration)
        weight = tf.where(strength < 0.0, by_default, _in_unit_interval(strength))

        def reorder() -> tuple[tf.Tensor, tf.Tensor]:
            history, relevance = self._model.read_history(request.history), self._relevance(request, scores)
            order = self._calibration.order(history, rows, relevance, weight)
            return tf.gather(scores, order, batch_dims=1), tf.gather(rows, order, batch_dims=1)

        return tf.cond(tf.reduce_any(weight > 0), reorder, lambda: (scores, rows))

    def _relevance(self, request: Request, scores: tf.Tensor) -> tf.Tensor:
        """[batch, k] relevance of sorted scores, on the scale of probabilities: 1 for the first."""
        return tf.exp(scores - scores[:, :1])

    def _diversify(self, scores: tf.Tensor, rows: tf.Tensor, diversity: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reorder scores and rows [batch, k] so that items with similar texts are apart.

        Items with similar texts look alike on a page. Embeddings are also similar for items that
        are bought together: the sauce would move away from the pasta.
        """
        weight = _in_unit_interval(diversity)

        def reorder() -> tuple[tf.Tensor, tf.Tensor]:
            order = mmr_order(self._model.texts.item_similarity(rows), rows > 0, weight)
            return tf.gather(scores, order, batch_dims=1), tf.gather(rows, order, batch_dims=1)

        return tf.cond(tf.reduce_any(weight > 0), reorder, lambda: (scores, rows))

    def _answer(self, scores: tf.Tensor, rows: tf.Tensor) -> Tensors:
        return {
            "item_id": tf.gather(self.item_ids, rows),
            "title": tf.gather(self._titles, rows),
            "score": tf.maximum(scores, scores.dtype.min),  # not -inf, which JSON does not have
        }


def export(recommender: Recommender, folder: str, signatures: dict[str, Signature] | None = None) -> None:
    """Write the SavedModel with `signatures`, by default all.

    It is written beside `folder` and renamed, so that it is whole or not there.
    """
    staging = f"{folder.rstrip('/')}.staging"
    shutil.rmtree(staging, ignore_errors=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(recommender, staging, signatures or recommender.signatures(), options)
    set_input_defaults(staging, input_defaults(recommender.context_columns))
    shutil.rmtree(folder, ignore_errors=True)
    Path(staging).rename(folder)


def concrete(function: Signature, inputs: dict[str, tf.TensorSpec], context_columns: Sequence[str] = ()) -> Signature:
    """Trace a signature for inputs of these specs; it refuses inputs of unequal sizes."""
    checked = with_equal_sizes(function, input_defaults(context_columns).keys())
    return tf.function(checked, autograph=False).get_concrete_function(**inputs)


def _in_unit_interval(values: tf.Tensor) -> tf.Tensor:
    """Values clipped to [0, 1], 0 for NaN."""
    return tf.clip_by_value(tf.where(tf.math.is_nan(values), 0.0, values), 0.0, 1.0)
