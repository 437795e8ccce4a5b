"""The SavedModel of both stages: the ranker scores requests without a search."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.preprocessing import Transformed
from tfrec.export.list_calibration import ListCalibration
from tfrec.export.recommender import Recommender, Signature, concrete
from tfrec.export.request_features import CANDIDATE_INPUTS, Request, Tensors, specs
from tfrec.ranking.second_stage import SecondStage
from tfrec.training.train import Trained


class TwoStageRecommender(Recommender):
    """Signatures of two towers and a second stage.

    The evaluation reads `heads` and `candidate_probabilities` from the SavedModel.
    """

    def __init__(self, trained: Trained, transformed: Transformed, config: Config, stage: SecondStage):
        super().__init__(trained, transformed, config)
        self._stage = stage
        self._calibration = ListCalibration(trained.catalog, stage.item_users, config.serving.page_size)
        self.heads = tf.Variable(stage.ranker.heads, trainable=False, name="heads_of_candidates")
        self.candidate_probabilities = tf.function(self._candidate_probabilities, autograph=False)

    def signatures(self) -> dict[str, Signature]:
        """The towers' signatures, `ctr` and `complementary_items`."""
        request = self._features.request_specs()
        self.candidate_probabilities.get_concrete_function(**request)  # saved because it was traced
        candidates = request | specs(CANDIDATE_INPUTS, [None, None])
        without_search = {name: spec for name, spec in candidates.items() if name != "query"}
        return super().signatures() | {
            "ctr": concrete(self.ctr, without_search, self.context_columns),
            "complementary_items": concrete(self.complementary_items, specs({"item_id": tf.string}, [None])),
        }

    def complete_requests(self, requests: dict[str, Tensors]) -> dict[str, Tensors]:
        """Add requests for `ctr` and `complementary_items`."""
        ctr = {name: value for name, value in requests["rank"].items() if name != "query"}
        return requests | {"complementary_items": requests["similar_items"], "ctr": ctr}

    def ctr(self, **inputs: tf.Tensor) -> Tensors:
        """Probability [batch, n] of each kind of event with each `candidate_item_id` [batch, n].

        The order of the candidates stays. An unknown id becomes "" with probability 0. There is no
        input for a search, because the ranker is trained without searches.
        """
        rows = self._model.catalog_rows(inputs["candidate_item_id"])
        history, query_times = self._features.encode_history(inputs)
        queries = self._stage.embed_queries(history, query_times)
        by_head = tf.where((rows > 0)[..., tf.newaxis], self._stage.predict(history, query_times, queries, rows), 0.0)
        by_kind = dict(zip(self._stage.ranker.heads, tf.unstack(by_head, axis=-1), strict=True))
        return {"item_id": tf.gather(self.item_ids, rows)} | by_kind

    def complementary_items(self, item_id: tf.Tensor) -> Tensors:
        """Items bought together with each item_id [batch], without its substitutes.

        An unknown id gets "" with the lowest score.
        """
        rows = self._model.catalog_rows(item_id)
        return self._answer(*self._index.top_k(self._stage.score_complements(rows), rows[:, tf.newaxis]))

    def _candidate_probabilities(self, **inputs: tf.Tensor) -> Tensors:
        """Candidates without a search: row [batch, candidates], 0 pads, and probability.

        The probabilities are [batch, candidates, heads].
        """
        history, query_times = self._features.encode_history(inputs)
        queries = self._stage.embed_queries(history, query_times)
        candidates, by_head = self._stage.rank_candidates(history, query_times, queries)
        return {"row": candidates.rows, "probability": by_head}

    def _score_catalog(self, request: Request, allowed: tf.Tensor | None = None) -> tf.Tensor:
        return _choose_by_search(
            request,
            lambda: self._score_by_towers(request),
            lambda: self._stage.score_catalog(request.history, request.query_times, request.query, allowed),
        )

    def _relevance(self, request: Request, scores: tf.Tensor) -> tf.Tensor:
        """Scores of the ranker are probabilities; items that it did not rank have 0."""
        return tf.where(request.is_search, super()._relevance(request, scores), tf.maximum(scores, 0.0))

    def _score_items(self, request: Request, rows: tf.Tensor) -> tf.Tensor:
        def rank() -> tf.Tensor:
            by_head = self._stage.predict(request.history, request.query_times, request.query, rows)
            return self._stage.positive_probability(by_head)

        return _choose_by_search(request, lambda: tf.gather(self._score_by_towers(request), rows, batch_dims=1), rank)


def _choose_by_search(request: Request, search: Callable[[], tf.Tensor], rank: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Scores by `search` for requests with a search, by `rank` for the others.

    Neither runs if the batch has no such request.
    """
    search_scores = tf.cond(tf.reduce_any(request.is_search), search, lambda: tf.zeros([1, 1]))
    rank_scores = tf.cond(tf.reduce_all(request.is_search), lambda: tf.zeros([1, 1]), rank)
    return tf.where(request.is_search, search_scores, rank_scores)
