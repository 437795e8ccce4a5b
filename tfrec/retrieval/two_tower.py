"""Two-tower retrieval model: a tfrs.Model trained at each position of a history."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.config import Config
from tfrec.examples.batches import Batch, History, latest
from tfrec.examples.catalog import Catalog
from tfrec.retrieval import replicas
from tfrec.retrieval.catalog_tables import CatalogTables, constant
from tfrec.retrieval.catalog_texts import CatalogTexts, with_titles, without_some
from tfrec.retrieval.loss import Candidates, SampledSoftmax
from tfrec.retrieval.towers import CandidateTower, Context, QueryTower

PART = 8192  # catalog rows embedded at once


class TwoTower(tfrs.Model):
    """Query tower and candidate tower over one catalog."""

    def __init__(self, catalog: Catalog, config: Config):
        super().__init__()
        self.distribute_reduction_method = "first"  # a step has summed over replicas already
        self.config = config
        self.texts = CatalogTexts(catalog, config)
        self.candidate_tower = CandidateTower(catalog, config.towers)
        self.query_tower = QueryTower(config.examples.max_events, catalog.profile_sizes, config.clock, config.towers)
        self.rows = catalog.rows
        self.tables = CatalogTables(catalog)
        self.trend = constant(np.zeros(catalog.rows, np.float32), "trend")
        self._loss = SampledSoftmax(self.tables, config)
        self._make_weights()

    def _make_weights(self) -> None:
        """Create all weights now, not at the first batch: optimizer and checkpoint need them."""
        empty = {"event_item_id": tf.constant([[""]]), "user_id": tf.constant([""])}
        empty |= {name: tf.zeros([1, 1], tf.int64) for name in ("event_kind", "event_timestamp")}
        empty |= {name: tf.zeros([1], tf.int64) for name in self.query_tower.profile_names}
        empty["event_price"] = tf.zeros([1, 1])
        self.query(empty, tf.zeros([1, 1], tf.int64), tf.zeros([1, 1, self.texts.dim]))

    def checkpointed(self, with_text_vectors: bool = True) -> dict[str, tf.Module | tf.train.Checkpoint]:
        """Parts that a checkpoint stores, named as in a SavedModel; without the optimizer.

        Text vectors belong to one catalog: leave them out for a model of another one.
        """
        texts = self.texts
        vectors = {"text_vectors": texts.text_vectors, "word_vectors": texts.word_vectors}
        texts_checkpoint = tf.train.Checkpoint(
            encoder=texts.encoder, word_encoder=texts.word_encoder, **(vectors if with_text_vectors else {})
        )
        return {
            "candidate_tower": self.candidate_tower,
            "query_tower": self.query_tower,
            "texts": texts_checkpoint,
        }

    # Serving and evaluation.

    def catalog_rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """int64 catalog row of each id, 0 for an id that is not in the catalog."""
        return self.tables.catalog_rows(item_ids)

    def candidates(self, rows: tf.Tensor) -> tf.Tensor:
        """Embeddings [n, dim + 1] of catalog rows [n]."""
        vectors = self.texts.item_vectors(rows)
        features = self.tables.features(rows, vectors, self.texts.item_word_vectors(rows))
        return self.with_trend_bias(self.candidate_tower(features, training=False), rows)

    def with_trend_bias(self, embeddings: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Embeddings [n, dim + 1] of catalog rows [n] with the trend in their bias."""
        trend = self.config.towers.temperature * tf.gather(self.trend, rows)[:, tf.newaxis]
        return tf.concat([embeddings[:, :-1], embeddings[:, -1:] + trend], axis=-1)

    def all_candidates(self) -> tf.Tensor:
        """Embeddings [rows, dim + 1] of the whole catalog, row 0 included."""
        rows = tf.range(self.rows, dtype=tf.int64)
        parts = [self.candidates(rows[start : start + PART]) for start in range(0, self.rows, PART)]
        return tf.concat(parts, axis=0)

    def query(self, batch: Batch, query_times: tf.Tensor, query_vector: tf.Tensor) -> tf.Tensor:
        """Embeddings [batch, query_times, dim + 1] at each query time [batch, query_times].

        Query times are int64 seconds. `query_vector` is [batch, query_times, text_dim], zero
        without a search. Only the latest `max_events` events of a history count.
        """
        history = self.read_history(_with_room(latest(batch, self.config.examples.max_events)))
        flat = self.candidates(tf.reshape(history.row, [-1]))[:, :-1]
        embeddings = tf.reshape(flat, [*tf.unstack(tf.shape(history.row)), flat.shape[-1]])
        return self.query_tower(embeddings, history, self._context(batch, query_times, query_vector), training=False)

    def read_history(self, batch: Batch) -> History:
        """The event sequences of a batch, with the catalog row of each item."""
        item_id = batch["event_item_id"]
        return History(
            row=self.catalog_rows(item_id),
            kind=batch["event_kind"],
            timestamp=batch["event_timestamp"],
            price=batch["event_price"],
            valid=tf.not_equal(item_id, ""),
        )

    # Training.

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Train one step; gives loss and number of targets, summed over all replicas."""
        targets = tf.reduce_sum(tf.cast(batch["event_is_target"] > 0, tf.float32))
        return _sum_over_replicas(super().train_step(batch) | {"targets": targets})

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Compute the loss of a batch, summed over all replicas."""
        return _sum_over_replicas(super().test_step(batch))

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Mean cross-entropy of the batch's targets, a scalar; see loss.py.

        A replica has a part of the batch, draws a part of the negatives and returns its part of the
        mean: the sum over replicas is the loss of one model over the whole batch.
        """
        history = self.read_history(batch)
        drawn = self.draw_negatives()
        # Embed each distinct item of the step once; the indices point into `items`.
        count = tf.shape(drawn)[0] if drawn.shape[0] is None else drawn.shape[0]
        rows, index = tf.unique(tf.concat([drawn, tf.reshape(history.row, [-1])], axis=0), out_idx=tf.int64)
        texts = self.texts.step_vectors(rows, training)
        features = self.tables.features(rows, texts, self.texts.item_word_vectors(rows))
        items = self.candidate_tower(features, training=training)
        drawn_index, index = index[:count], tf.reshape(index[count:], tf.shape(history.row))
        # The user just before each event, [batch, length, dim + 1].
        searches = self.texts.search_vectors(batch["event_query"])
        if training:
            if self.texts.has_searches:
                searches = without_some(searches, self.config.train.query_dropout)
            searches = with_titles(searches, tf.gather(texts, index), self.config.train.query_from_title)
        context = self._context(batch, history.timestamp, searches)
        queries = self.query_tower(tf.gather(items[:, :-1], index), history, context, training=training)
        # Targets first, then the uniform negatives.
        is_target = tf.logical_and(batch["event_is_target"] > 0, history.row > 0)
        columns = tf.concat([tf.boolean_mask(index, is_target), drawn_index], axis=0)
        candidate_rows = tf.concat([tf.boolean_mask(history.row, is_target), drawn], axis=0)
        candidates = Candidates(tf.gather(items, columns), candidate_rows)
        return self._loss(tf.boolean_mask(queries, is_target), candidates, history, is_target, self.uniform_negatives)

    @property
    def uniform_negatives(self) -> int:
        """Number of candidates drawn uniformly in a step, by all replicas together."""
        settings = self.config.train
        return settings.text_negatives if self.texts.is_live else settings.uniform_negatives

    def draw_negatives(self) -> tf.Tensor:
        """[n] int64 catalog rows drawn uniformly; a replica returns its share of a common draw."""
        if not replicas.is_replicated():
            return tf.random.uniform([self.uniform_negatives], 1, self.rows, tf.int64)
        seed = tf.stack([tf.constant(self.config.train.seed, tf.int64), self.optimizer.iterations])
        return replicas.take_share(tf.random.stateless_uniform([self.uniform_negatives], seed, 1, self.rows, tf.int64))

    def _context(self, batch: Batch, query_times: tf.Tensor, query_vector: tf.Tensor) -> Context:
        profile = {name: batch[name] for name in self.query_tower.profile_names}
        return Context(query_times, query_vector, profile, batch["user_id"])


def _sum_over_replicas(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Sums over replicas of scalars, each of which is a part of a sum or of a mean."""
    return dict(zip(values, replicas.sum_all(*values.values()), strict=True)) if replicas.is_replicated() else values


def _with_room(batch: Batch) -> Batch:
    """The batch with one more position of padding: attention needs one if no user has a history."""
    events = {name: tf.pad(value, [[0, 0], [0, 1]]) for name, value in batch.items() if name.startswith("event_")}
    return batch | events
