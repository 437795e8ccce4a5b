"""The two-tower retrieval model: a tfrs.Model trained by sampled softmax at every position of a history.

It knows its catalogue (looked up in the graph, by item id) and nothing of files, schedules or serving.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.config import Config
from tfrec.examples.batches import Batch, History, latest
from tfrec.examples.catalog import Catalog
from tfrec.language.text_encoder import Reader, TextEncoder
from tfrec.language.tfidf_encoder import WordEncoder
from tfrec.retrieval import replicas
from tfrec.retrieval.towers import CandidateTower, Context, ItemFeatures, QueryTower
from tfrec.schema import DAY_SECONDS

PART = 8192  # catalogue rows embedded at once


class Candidates(NamedTuple):
    """The columns of the softmax."""

    embedding: tf.Tensor  # [candidates, dim + 1]
    row: tf.Tensor  # [candidates] int64 catalogue row


class TwoTower(tfrs.Model):
    """Query tower and candidate tower over one catalogue."""

    def __init__(self, catalog: Catalog, config: Config):
        super().__init__()
        self.distribute_reduction_method = "first"  # a step has summed over replicas already
        self.config = config
        self.encoder = TextEncoder(config.features, config.towers, config.train.seed)
        self.words = WordEncoder(self.encoder.pieces, config.towers.word_dim)
        self._reader: Reader | None = None
        self.candidate_tower = CandidateTower(catalog, config.towers)
        self.query_tower = QueryTower(config.examples.max_events, catalog.profile_sizes, config.clock, config.towers)
        self.rows = catalog.rows
        self._item_rows = _lookup(catalog.item_ids[1:], np.arange(1, catalog.rows))
        self._query_texts = _lookup(catalog.queries, catalog.query_row)
        self._tokens = _constant(catalog.tokens, "tokens")
        self.text_row = _constant(catalog.text_row, "text_row")
        self._id_row = _constant(catalog.id_row, "id_row")
        self._category = _constant(catalog.category, "category_index")
        self._brand = _constant(catalog.brand, "brand_index")
        self._price = _constant(catalog.price, "price_bucket")
        self._frequency = _constant(catalog.frequency, "frequency")
        self._choices = np.float32(catalog.frequency.sum())
        self.trend = _constant(np.zeros(catalog.rows, np.float32), "trend")
        self.text_vectors = tf.Variable(
            tf.zeros([len(catalog.tokens), self.encoder.dim]), trainable=False, name="text_vectors"
        )
        self.word_vectors = tf.Variable(
            tf.zeros([len(catalog.tokens), self.words.dim]), trainable=False, name="word_vectors"
        )
        self.prepare(live_text=False)
        self.task = tfrs.tasks.Retrieval(
            loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE),
            temperature=config.towers.temperature,
            num_hard_negatives=config.train.hard_negatives or None,
        )

        self._make_weights()

    def _make_weights(self) -> None:
        """All of them now, not at the first batch: an optimiser and a checkpoint want to see them."""
        empty = {"event_item_id": tf.constant([[""]]), "user_id": tf.constant([""])}
        empty |= {name: tf.zeros([1, 1], tf.int64) for name in ("event_kind", "event_timestamp")}
        empty |= {name: tf.zeros([1], tf.int64) for name in self.query_tower.profile_names}
        empty["event_price"] = tf.zeros([1, 1])
        self.query(empty, tf.zeros([1, 1], tf.int64), tf.zeros([1, 1, self.encoder.dim]))

    # What serving and evaluation ask.

    def catalog_rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """int64 catalogue row of each id, 0 where the catalogue does not hold it."""
        return self._item_rows.lookup(item_ids)

    def id_rows(self, rows: tf.Tensor) -> tf.Tensor:
        """int64 row of the id embedding of each catalogue row, 0 where the id was not learnt."""
        return tf.gather(self._id_row, rows)

    def candidates(self, rows: tf.Tensor) -> tf.Tensor:
        """Embeddings [n, dim + 1] of catalogue rows [n]."""
        vectors = tf.gather(self.text_vectors, tf.gather(self.text_row, rows))
        return self.with_trend_bias(self.candidate_tower(self._items(rows, vectors), training=False), rows)

    def with_trend_bias(self, embeddings: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Embeddings [n, dim + 1] of catalogue rows [n], their bias moved by the trend; training knows of none."""
        trend = self.config.towers.temperature * tf.gather(self.trend, rows)[:, tf.newaxis]
        return tf.concat([embeddings[:, :-1], embeddings[:, -1:] + trend], axis=-1)

    def text_similarity(self, query_vector: tf.Tensor) -> tf.Tensor:
        """[batch, rows] cosines between query texts [batch, text_dim] and the text of each catalogue row."""
        return tf.gather(tf.matmul(query_vector, self.text_vectors, transpose_b=True), self.text_row, axis=1)

    def text_likeness(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, n] cosines between the texts of the catalogue rows [batch, n]."""
        vectors = tf.gather(self.text_vectors, tf.gather(self.text_row, rows))
        return tf.matmul(vectors, vectors, transpose_b=True)

    def query(self, batch: Batch, query_times: tf.Tensor, query_vector: tf.Tensor) -> tf.Tensor:
        """Embeddings [batch, query_times, dim + 1] at each moment [batch, query_times] (int64 seconds).

        `query_vector` is [batch, query_times, text_dim], zero where nothing was searched. Of a history longer than
        `max_events` the latest events count.
        """
        history = self.read_history(_with_room(latest(batch, self.config.examples.max_events)))
        flat = self.candidates(tf.reshape(history.row, [-1]))[:, :-1]
        embeddings = tf.reshape(flat, [*tf.unstack(tf.shape(history.row)), flat.shape[-1]])
        return self.query_tower(embeddings, history, self._context(batch, query_times, query_vector), training=False)

    def read_history(self, batch: Batch) -> History:
        """The sequences of a batch, each item in its catalogue row."""
        item_id = batch["event_item_id"]
        return History(
            row=self.catalog_rows(item_id),
            kind=batch["event_kind"],
            timestamp=batch["event_timestamp"],
            price=batch["event_price"],
            valid=tf.not_equal(item_id, ""),
        )

    def all_candidates(self) -> tf.Tensor:
        """Embeddings [rows, dim + 1] of the whole catalogue, row 0 included."""
        rows = tf.range(self.rows, dtype=tf.int64)
        parts = [self.candidates(rows[start : start + PART]) for start in range(0, self.rows, PART)]
        return tf.concat(parts, axis=0)

    # Training.

    def checkpointed(self) -> dict[str, tf.Module | tf.Variable]:
        """What a checkpoint keeps of the model; not its optimiser, which belongs to one phase of training."""
        return {
            "encoder": self.encoder,
            "candidate_tower": self.candidate_tower,
            "query_tower": self.query_tower,
            "text_vectors": self.text_vectors,
            "words": self.words,
            "word_vectors": self.word_vectors,
        }

    def prepare(self, live_text: bool) -> None:
        """Whether the texts of a step's own events go through the BERT, which then trains."""
        self.live_text = live_text
        self.encoder.trainable = live_text

    def fit_words(self) -> None:
        """Weighs the words of the items' texts, and reads every distinct text by them."""
        tokens = self._tokens.numpy()
        self.words.learn(tokens[np.unique(self.text_row.numpy())])
        self.encode_words()

    def encode_words(self) -> None:
        """Reads every distinct text by its words as they are weighed now."""
        self.word_vectors.assign(self.words.read(self._tokens.numpy()))

    def encode_texts(self, keep_mean: bool = False) -> None:
        """Reads every distinct text with the BERT as it is now, and centres it on their mean, or the one before."""
        if self._reader is None:
            self._reader = Reader(self.encoder, self._tokens.numpy())
        pooled = self._reader.read()
        if not keep_mean:
            self.encoder.mean.assign(pooled.mean(axis=0))
        self.text_vectors.assign(self.encoder.normalize(pooled))

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """As TFRS's; also counts the step's targets. Of several replicas each tells what all of them came to."""
        targets = tf.reduce_sum(tf.cast(batch["event_is_target"] > 0, tf.float32))
        return _of_all_replicas(super().train_step(batch) | {"targets": targets})

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """As TFRS's, likewise."""
        return _of_all_replicas(super().test_step(batch))

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Mean cross-entropy of the batch's targets; see https://arxiv.org/abs/2508.06450 for the recipe.

        Of several replicas each has a part of the batch and draws a part of the negatives. Its targets compete with the
        candidates of all, and it gives its part of the mean: the sum over replicas is what one alone would give.
        """
        history = self.read_history(batch)
        drawn = self._draw()
        count = tf.shape(drawn)[0] if drawn.shape[0] is None else drawn.shape[0]
        rows, place = tf.unique(tf.concat([drawn, tf.reshape(history.row, [-1])], axis=0), out_idx=tf.int64)
        texts = self._text_vectors(rows, self.live_text, training)
        items = self.candidate_tower(self._items(rows, texts), training=training)
        drawn_place, place = place[:count], place[count:]
        place = tf.reshape(place, tf.shape(history.row))
        queries = self._training_queries(batch, history, items, texts, place, training)

        is_target = tf.logical_and(batch["event_is_target"] > 0, history.row > 0)
        target_rows = tf.boolean_mask(history.row, is_target)
        columns = tf.concat([tf.boolean_mask(place, is_target), drawn_place], axis=0)
        candidates = Candidates(tf.gather(items, columns), tf.concat([target_rows, drawn], axis=0))
        weights = self._target_weights(history, is_target)
        in_batch, weight = tf.shape(target_rows)[0], tf.reduce_sum(weights)
        if replicas.are_there():
            candidates = Candidates(*replicas.own_first(*candidates))
            in_batch, weight = replicas.totals(in_batch, weight)
        losses = self.task(
            tf.boolean_mask(queries, is_target),
            candidates.embedding,
            candidate_sampling_probability=self._sampling_probability(candidates.row, in_batch),
            score_mask=self._score_mask(history, is_target, candidates.row),
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), weight)

    def _draw(self) -> tf.Tensor:
        """[n] int64 rows drawn uniformly; of several replicas' draw this one's share."""
        if not replicas.are_there():
            return tf.random.uniform([self._negatives()], 1, self.rows, tf.int64)
        seed = tf.stack([tf.constant(self.config.train.seed, tf.int64), self.optimizer.iterations])
        return replicas.share(tf.random.stateless_uniform([self._negatives()], seed, 1, self.rows, tf.int64))

    def _negatives(self) -> int:
        """Candidates drawn uniformly in a step."""
        settings = self.config.train
        return settings.text_negatives if self.live_text else settings.uniform_negatives

    def _training_queries(
        self,
        batch: Batch,
        history: History,
        items: tf.Tensor,
        texts: tf.Tensor,
        place: tf.Tensor,
        training: bool,
    ) -> tf.Tensor:
        """[batch, length, dim + 1]: the shopper just before each event."""
        query_vector = self._search_vectors(batch, texts, place, training)
        context = self._context(batch, history.timestamp, query_vector)
        return self.query_tower(tf.gather(items[:, :-1], place), history, context, training=training)

    def _search_vectors(self, batch: Batch, texts: tf.Tensor, place: tf.Tensor, training: bool) -> tf.Tensor:
        """[batch, length, text_dim] the search that led to each event; some have the item's text stand in."""
        searched = tf.gather(self.text_vectors, self._query_texts.lookup(batch["event_query"]))
        vector = tf.where(tf.not_equal(batch["event_query"], "")[..., tf.newaxis], searched, 0.0)
        if not training:
            return vector
        from_title = tf.random.uniform(tf.shape(place)) < self.config.train.query_from_title
        return tf.where(from_title[..., tf.newaxis], tf.gather(texts, place), vector)

    def _context(self, batch: Batch, query_times: tf.Tensor, query_vector: tf.Tensor) -> Context:
        profile = {name: batch[name] for name in self.query_tower.profile_names}
        return Context(query_times, query_vector, profile, batch["user_id"])

    def _text_vectors(self, rows: tf.Tensor, live: bool, training: bool) -> tf.Tensor:
        """[n, text_dim] of catalogue rows [n]; live: each distinct text through the BERT once."""
        text_rows = tf.gather(self.text_row, rows)
        if not live:
            return tf.gather(self.text_vectors, text_rows)
        distinct, place = tf.unique(text_rows, out_idx=tf.int64)
        tokens = tf.gather(self._tokens, distinct)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens > 0, tf.int32), axis=1))
        return tf.gather(self.encoder(tokens[:, : tf.maximum(longest, 1)], training=training), place)

    def _items(self, rows: tf.Tensor, text_vector: tf.Tensor) -> ItemFeatures:
        return ItemFeatures(
            id_row=tf.gather(self._id_row, rows),
            text_vector=text_vector,
            word_vector=tf.gather(self.word_vectors, tf.gather(self.text_row, rows)),
            category=tf.gather(self._category, rows),
            brand=tf.gather(self._brand, rows),
            price=tf.gather(self._price, rows),
        )

    def _sampling_probability(self, rows: tf.Tensor, in_batch: tf.Tensor) -> tf.Tensor | None:
        """[candidates] chance of each column's item: in-batch ones are drawn by frequency, the others uniformly.

        Relative to the likeliest, which a softmax does not notice: TFRS cuts chances off below a millionth.
        Source: Mixed Negative Sampling, Yang et al. 2020, https://research.google/pubs/pub50257.
        """
        if not self.config.train.logq:
            return None
        uniform = float(self._negatives())
        in_batch = tf.cast(in_batch, tf.float32)
        by_frequency = tf.cast(tf.gather(self._frequency, rows), tf.float32) / self._choices
        expected = in_batch * by_frequency + uniform / (self.rows - 1)
        return expected / tf.reduce_max(expected)

    def _score_mask(self, history: History, is_target: tf.Tensor, candidate_rows: tf.Tensor) -> tf.Tensor:
        """[targets, candidates] bool: the target itself, and what may count as a negative of it.

        Accidental hits (the target again, in another column) never do; nor do the user's other events, of
        the same moment or of the whole sequence, as `mask_positives` says.
        """
        target_rows = tf.boolean_mask(history.row, is_target)
        targets = tf.shape(target_rows)[0]
        own = self.config.train.mask_positives
        user = tf.boolean_mask(_user_index(history.row), is_target)
        allowed = target_rows[:, tf.newaxis] != candidate_rows[tf.newaxis, :]
        if own in ("basket", "habit"):
            query_time = tf.boolean_mask(history.timestamp, is_target)
            same = tf.logical_and(user[:, tf.newaxis] == user, query_time[:, tf.newaxis] == query_time)
            others = tf.pad(same, [[0, 0], [0, tf.shape(candidate_rows)[0] - targets]])
            allowed = tf.logical_and(allowed, tf.logical_not(others))
        if own in ("sequence", "habit"):
            foreign = tf.gather(tf.reduce_all(history.row[:, :, tf.newaxis] != candidate_rows, axis=1), user)
            if own == "habit":
                foreign = tf.logical_or(foreign, tf.boolean_mask(_is_again(history), is_target)[:, tf.newaxis])
            allowed = tf.logical_and(allowed, foreign)
        return tf.linalg.set_diag(allowed, tf.ones([targets], tf.bool))

    def _target_weights(self, history: History, is_target: tf.Tensor) -> tf.Tensor:
        """[targets] float32: halved with each half-life of age before the batch's latest event; less for repeats."""
        settings = self.config.train
        weights = tf.where(_is_again(history), settings.repeat_weight, 1.0)
        if settings.recency_half_life_days > 0:
            now = tf.reduce_max(history.timestamp)
            now = replicas.largest(now) if replicas.are_there() else now
            age = tf.cast(now - history.timestamp, tf.float32)
            weights *= tf.pow(0.5, age / (settings.recency_half_life_days * DAY_SECONDS))
        return tf.boolean_mask(weights, is_target)


def _of_all_replicas(told: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The sums of what each replica tells, which are parts of sums and of means."""
    return dict(zip(told, replicas.totals(*told.values()), strict=True)) if replicas.are_there() else told


def _with_room(batch: Batch) -> Batch:
    """The batch with one more place of padding: attention needs one where nobody has any history."""
    events = {name: tf.pad(value, [[0, 0], [0, 1]]) for name, value in batch.items() if name.startswith("event_")}
    return batch | events


def _user_index(rows: tf.Tensor) -> tf.Tensor:
    """[batch, length] int32: which sequence of the batch a place belongs to."""
    shape = tf.shape(rows)
    return tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)


def _is_again(history: History) -> tf.Tensor:
    """[batch, length] bool: whether the event's item stands in the sequence at an earlier moment."""
    earlier = history.timestamp[:, tf.newaxis, :] < history.timestamp[:, :, tf.newaxis]
    same = history.row[:, tf.newaxis, :] == history.row[:, :, tf.newaxis]
    return tf.reduce_any(tf.logical_and(earlier, same), axis=2)


def _lookup(keys: np.ndarray, values: np.ndarray) -> tf.lookup.StaticHashTable:
    """Bytes -> int64; "" and what is not among the keys give 0."""
    keys = tf.constant([b"", *keys])
    values = tf.constant([0, *values], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=0)


def _constant(array: np.ndarray, name: str) -> tf.Variable:
    """A variable that never trains: kept out of the graph, which must stay below 2 GB."""
    return tf.Variable(array, trainable=False, name=name)
