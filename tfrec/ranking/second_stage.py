"""Two stages in one: candidates of all sources, ranked by their evidence. Used as it is in training and serving."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.batches import Batch, History
from tfrec.examples.catalog import Catalog
from tfrec.ranking.candidates import SOURCES, Proposed, Sources
from tfrec.ranking.cold_candidates import Newcomers
from tfrec.ranking.features import Evidence
from tfrec.ranking.item_statistics import NAMES, item_statistics
from tfrec.ranking.ranker import Ranker
from tfrec.retrieval.two_tower import TwoTower


class Examined(NamedTuple):
    """Candidates with what is known of them."""

    proposed: Proposed
    features: tf.Tensor  # [batch, candidates, features] float32


class SecondStage(tf.Module):
    """Sources, evidence and ranker over one catalogue."""

    def __init__(self, model: TwoTower, catalog: Catalog, heads: tuple[str, ...], counted: int, config: Config):
        """The last `counted` of the heads, kinds of events, are what counts as a choice."""
        super().__init__(name="second_stage")
        self._model, self._counted = model, counted
        self.profile_names = model.query_tower.profile_names
        self.catalog_size = catalog.rows
        self._embeddings = tf.Variable(
            tf.zeros([catalog.rows, config.towers.dim + 1]), trainable=False, name="proposing"
        )
        statistics = np.zeros((catalog.rows, len(NAMES)), np.float32)
        self.evidence = Evidence(catalog, statistics, config.clock, SOURCES)
        self.newcomers = Newcomers(self.evidence, catalog.rows)
        self.sources = Sources(self._embeddings, self.newcomers, config.ranking, config.clock)
        levels = catalog.category[:, : config.features.category_levels]
        depth = (levels > 0).sum(axis=1)
        deepest = np.where(depth > 0, levels[np.arange(len(levels)), np.maximum(depth, 1) - 1], 0)
        self._deepest = tf.Variable(deepest, trainable=False, name="deepest_category")
        self._text = tf.Variable(catalog.text_row, trainable=False, name="text_of_item")
        self.ranker = Ranker(catalog, len(self.evidence.names), heads, config.features.category_levels, config.ranking)

    def learn_past(self, events: pd.DataFrame, now: int | None) -> None:
        """Takes what is known at second `now` (None: after all events): co-purchase, popularity, the towers' items."""
        now = int(events.timestamp.max()) + 1 if now is None else now
        statistics = item_statistics(events, self.catalog_size, now)
        self._embeddings.assign(self._model.all_candidates())
        self.evidence.learn(statistics)
        self.newcomers.learn(statistics)
        self.sources.learn(events, statistics)

    @property
    def counted_heads(self) -> tuple[str, ...]:
        """The kinds of events that are a choice."""
        return tuple(self.ranker.heads[-self._counted :])

    def catalog_rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """int64 catalogue row of each id, 0 where the catalogue does not hold it."""
        return self._model.catalog_rows(item_ids)

    def queries(self, batch: Batch, query_times: tf.Tensor) -> tf.Tensor:
        """Embeddings [batch, dim + 1] of histories without a search at `moments` [batch]."""
        no_search = tf.zeros([tf.shape(query_times)[0], 1, self._model.texts.dim])
        return self._model.query(batch, query_times[:, tf.newaxis], no_search)[:, 0]

    def examine(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> Examined:
        """Candidates of histories; `moments` [batch] int64 seconds, `queries` [batch, dim + 1].

        Of `allowed` [batch, rows] bool alone, where it is given.
        """
        history = self._history(batch)
        proposed = self.sources(history, query_times, queries, allowed)
        return Examined(proposed, self.evidence(history, query_times, proposed.rows, proposed.scores))

    def repeats(self, batch: Batch, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64 rows of what each history holds most often of late, 0 pads."""
        return self.sources.repeats(self._history(batch), query_times)

    def evidence_of(self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, features] float32 of the items of `rows` [batch, n] int64, whether or not they are candidates."""
        history = self._history(batch)
        return self.evidence(history, query_times, rows, self.sources.scores(history, query_times, queries, rows))

    def complements(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, rows] how much each item goes with the one of `rows` [batch]; -inf for what would replace it.

        That is what stands in the same deepest category or reads the same. -inf for all where the row is 0.
        """
        category, text = tf.gather(self._deepest, rows)[:, tf.newaxis], tf.gather(self._text, rows)[:, tf.newaxis]
        is_kind = tf.logical_and(category == self._deepest, category > 0)
        replaces = tf.logical_or(is_kind, tf.logical_and(text == self._text, text > 0))
        replaces = tf.logical_or(replaces, (rows == 0)[:, tf.newaxis])
        return tf.where(replaces, float("-inf"), self.sources.bought_with(rows))

    def candidate_probabilities(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> tuple[Proposed, tf.Tensor]:
        """Candidates, and the chance of each by every head: [batch, candidates, heads]; `allowed` as in `examine`."""
        proposed, features = self.examine(batch, query_times, queries, allowed)
        return proposed, self._ranked(batch, proposed.rows, features)

    def catalog_scores(
        self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[batch, rows] of the whole catalogue: the chance of a candidate in [0, 1], below 0 for all other items.

        The others stand in the order of the two towers. `allowed` as in `examine`.
        """
        proposed, by_head = self.candidate_probabilities(batch, query_times, queries, allowed)
        probabilities = self.any_label_probability(by_head)
        others = proposed.towers - tf.reduce_max(proposed.towers, axis=1, keepdims=True) - 1.0
        shape = tf.shape(proposed.rows)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)
        places = tf.stack([users, tf.cast(proposed.rows, tf.int32)], axis=-1)
        return tf.tensor_scatter_nd_update(others, places, probabilities)

    def probabilities(self, batch: Batch, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, heads] of the items of `rows` [batch, n] int64, whether or not they would be candidates."""
        return self._ranked(batch, rows, self.evidence_of(batch, query_times, queries, rows))

    def any_label_probability(self, probabilities: tf.Tensor) -> tf.Tensor:
        """[batch, n] the chance of a choice, of the heads' [batch, n, heads]: any one of those that count is enough."""
        return 1.0 - tf.reduce_prod(1.0 - probabilities[..., -self._counted :], axis=-1)

    def _history(self, batch: Batch) -> History:
        return self._model.read_history(batch)

    def _ranked(self, batch: Batch, rows: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """[batch, n, heads] chances."""
        shape = tf.shape(rows)
        profile = {name: tf.repeat(batch[name], shape[1]) for name in self.profile_names}
        flat = {"features": tf.reshape(features, [-1, features.shape[-1]]), "rows": tf.reshape(rows, [-1])}
        return tf.reshape(self.ranker.probabilities(flat | profile), [shape[0], shape[1], len(self.ranker.heads)])
