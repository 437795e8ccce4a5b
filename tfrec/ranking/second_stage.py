"""The second stage: the same candidates, features and ranker in training and serving."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.batches import Batch, History
from tfrec.examples.catalog import Catalog
from tfrec.ranking.candidates import SCORE_NAMES, CandidateGenerator, Candidates
from tfrec.ranking.cold_candidates import ColdCandidates
from tfrec.ranking.features import CandidateFeatures, FeatureOptions
from tfrec.ranking.item_statistics import STATISTIC_NAMES, item_statistics
from tfrec.ranking.ranker import Ranker
from tfrec.retrieval.two_tower import TwoTower


class Heads(NamedTuple):
    """Event kinds: each that the ranker predicts has a head of its own."""

    auxiliary: tuple[str, ...]  # improve the shared layers
    positive: tuple[str, ...]  # count as a positive
    negative: tuple[str, ...] = ()
    """Kinds that histories hold and no head predicts, such as returns."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of the histories' events."""
        return (*self.auxiliary, *self.positive, *self.negative)


class SecondStage(tf.Module):
    """Candidates, their features and the ranker over one catalog.

    `batch` is a batch of histories, `query_times` [batch] int64 seconds, `queries` [batch, dim + 1]
    their embeddings by the query tower. Where `allowed` [batch, rows] bool is given, only these
    items become candidates.
    """

    def __init__(self, model: TwoTower, catalog: Catalog, heads: Heads, config: Config):
        super().__init__(name="second_stage")
        self._model, self._heads = model, heads
        self.profile_names = model.query_tower.profile_names
        self.catalog_size = catalog.rows
        self._embeddings = tf.Variable(
            tf.zeros([catalog.rows, config.towers.dim + 1]), trainable=False, name="candidate_embeddings"
        )
        statistics = np.zeros((catalog.rows, len(STATISTIC_NAMES)), np.float32)
        kinds = heads.kinds if config.ranking.kind_features else ()
        self.context_columns = config.examples.context_columns
        options = FeatureOptions(kinds, self.context_columns)
        self.features = CandidateFeatures(catalog, statistics, config.clock, SCORE_NAMES, options)
        self.cold = ColdCandidates(self.features, catalog.rows)
        labels = heads.positive if len(kinds) > len(heads.positive) else ()
        self.generator = CandidateGenerator(self._embeddings, self.cold, config.ranking, config.clock, labels)
        levels = catalog.category[:, : config.features.category_levels]
        depth = (levels > 0).sum(axis=1)
        deepest = np.where(depth > 0, levels[np.arange(len(levels)), np.maximum(depth, 1) - 1], 0)
        self._deepest = tf.Variable(deepest, trainable=False, name="deepest_category")
        self._text = tf.Variable(catalog.known_text_row, trainable=False, name="text_of_item")
        self._catalog, self._config = catalog, config
        self.ranker = self.new_ranker()

    def new_ranker(self) -> Ranker:
        """A ranker of this stage's features and heads that has not been fitted."""
        names, levels = (*self._heads.auxiliary, *self._heads.positive), self._config.features.category_levels
        return Ranker(self._catalog, self.features.names, names, levels, self._config.ranking)

    def set_known_events(self, events: pd.DataFrame, now: int | None) -> None:
        """Set item statistics, co-purchase and embeddings to what is known at second `now`.

        `events` are those before `now`; None is after all of them.
        """
        now = int(events.timestamp.max()) + 1 if now is None else now
        statistics = item_statistics(events, self.catalog_size, now)
        self._embeddings.assign(self._model.all_candidates())
        self.features.set_statistics(statistics)
        self.features.set_events(events, now)
        self.cold.set_statistics(statistics)
        self.generator.fit(events, statistics)

    @property
    def item_users(self) -> np.ndarray:
        """[rows] float32 users of each item in the known events."""
        return np.asarray(self.features.statistics.numpy()[:, STATISTIC_NAMES.index("item_users")])

    @property
    def positive_heads(self) -> tuple[str, ...]:
        """Event kinds that count as a positive."""
        return tuple(self._heads.positive)

    def catalog_rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """int64 catalog row of each id, 0 for ids that are not in the catalog."""
        return self._model.catalog_rows(item_ids)

    def embed_queries(self, batch: Batch, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, dim + 1] embeddings of the histories, without a search."""
        no_search = tf.zeros([tf.shape(query_times)[0], 1, self._model.texts.dim])
        return self._model.query(batch, query_times[:, tf.newaxis], no_search)[:, 0]

    def generate_candidates(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor | None, allowed: tf.Tensor | None = None
    ) -> tuple[Candidates, tf.Tensor]:
        """Candidates and their features [batch, candidates, features] float32.

        Without `queries` they are those that the towers have no part in.
        """
        history = self._history(batch)
        candidates = self.generator.generate(history, query_times, queries, allowed)
        context = self._context(batch)
        return candidates, self.features.compute(history, query_times, candidates.rows, candidates.scores, context)

    def find_repeats(self, batch: Batch, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64 rows of each history's most frequent recent items, 0 pads."""
        return self.generator.find_repeats(self._history(batch), query_times)

    def compute_features(self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, features] float32 of the items `rows` [batch, n] int64, candidates or not."""
        history = self._history(batch)
        scores = self.generator.score(history, query_times, queries, rows)
        return self.features.compute(history, query_times, rows, scores, self._context(batch))

    def score_complements(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, rows] co-purchase scores of all items with the item `rows` [batch].

        -inf for substitutes: items of the same deepest category or with the same text. -inf for all
        where the row is 0.
        """
        category, text = tf.gather(self._deepest, rows)[:, tf.newaxis], tf.gather(self._text, rows)[:, tf.newaxis]
        has_category = tf.logical_and(category == self._deepest, category > 0)
        is_excluded = tf.logical_or(has_category, tf.logical_and(text == self._text, text > 0))
        is_excluded = tf.logical_or(is_excluded, (rows == 0)[:, tf.newaxis])
        return tf.where(is_excluded, float("-inf"), self.generator.score_copurchases(rows))

    def rank_candidates(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> tuple[Candidates, tf.Tensor]:
        """Candidates and their probabilities [batch, candidates, heads]."""
        candidates, features = self.generate_candidates(batch, query_times, queries, allowed)
        return candidates, self._predict(batch, candidates.rows, features)

    def score_catalog(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[batch, rows] scores of the whole catalog.

        A candidate has its probability of a positive, in [0, 1]. All other items are below 0, in
        the order of the two towers.
        """
        candidates, by_head = self.rank_candidates(batch, query_times, queries, allowed)
        others = candidates.towers - tf.reduce_max(candidates.towers, axis=1, keepdims=True) - 1.0
        shape = tf.shape(candidates.rows)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)
        indices = tf.stack([users, tf.cast(candidates.rows, tf.int32)], axis=-1)
        return tf.tensor_scatter_nd_update(others, indices, self.positive_probability(by_head))

    def predict(self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, heads] probabilities of items `rows` [batch, n] int64, candidates or not."""
        return self._predict(batch, rows, self.compute_features(batch, query_times, queries, rows))

    def positive_probability(self, by_head: tf.Tensor) -> tf.Tensor:
        """[batch, n] probability of a positive, any head that counts, from [batch, n, heads]."""
        # By logarithms: in float32 1 - (1 - p) is 0 for each small p.
        positive = tf.minimum(by_head[..., -len(self._heads.positive) :], 1.0 - 1e-7)
        return -tf.math.expm1(tf.reduce_sum(tf.math.log1p(-positive), axis=-1))

    def _history(self, batch: Batch) -> History:
        return self._model.read_history(batch)

    def _context(self, batch: Batch) -> tf.Tensor | None:
        """[batch, context columns] int64 indices of the requests' context; None without columns."""
        values = [batch[f"user_{column}"] for column in self.context_columns]
        return tf.stack(values, axis=1) if values else None

    def _predict(self, batch: Batch, rows: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """[batch, n, heads] probabilities."""
        shape = tf.shape(rows)
        profile = {name: tf.repeat(batch[name], shape[1]) for name in self.profile_names}
        flat = {"features": tf.reshape(features, [-1, features.shape[-1]]), "rows": tf.reshape(rows, [-1])}
        return tf.reshape(self.ranker.probabilities(flat | profile), [shape[0], shape[1], len(self.ranker.heads)])
