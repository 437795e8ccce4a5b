"""Candidates from several sources: towers, co-purchase, repeats, popularity, cold items.

Each source scores items; the highest-scored become candidates, and each candidate carries the
scores of all sources. To add a source: add its count `n_...` to RankingConfig, its score to
SourceScores and `_score_all`, and a line to `_sources`. If the ranker is to see the score, add a
name to SCORE_NAMES and a column to `_score_columns`. Cold items are a source of their own kind:
they are scored apart, in cold_candidates.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.examples.batches import History
from tfrec.ranking.cold_candidates import ColdCandidates
from tfrec.ranking.item_statistics import STATISTIC_NAMES
from tfrec.ranking.kind_features import kind_index
from tfrec.ranking.linear_autoencoder import factorize
from tfrec.schema import DAY_SECONDS, EVENT_KINDS, POSITIVE_KINDS

SCORE_NAMES = ("towers", "towers_below_best", "copurchase", "copurchase_below_best", "repeat")
"""Scores that a candidate carries; `below_best`: the distance from the best new item."""

REPEAT_HALF_LIFE_DAYS = 60.0
SMALLEST_REPEAT = 1e-6  # above 0: an item with an event, however old, is not new
USERS_COLUMN = STATISTIC_NAMES.index("item_users_28")


class Candidates(NamedTuple):
    """Candidates of a batch of users."""

    rows: tf.Tensor  # [batch, candidates] int64 catalog rows, 0 pads
    scores: tf.Tensor  # [batch, candidates, len(SCORE_NAMES)] float32
    towers: tf.Tensor  # [batch, rows] float32, the two towers' scores of the whole catalog


class SourceScores(NamedTuple):
    """Scores of the whole catalog by source."""

    towers: tf.Tensor  # [batch, rows] float32
    copurchase: tf.Tensor  # [batch, rows] float32
    repeat: tf.Tensor  # [batch, rows] float32, 0 for an item that the history does not hold
    users: tf.Tensor  # [rows] float32, users of the last 28 days

    @property
    def is_new(self) -> tf.Tensor:
        """[batch, rows] bool: the user's history does not hold the item."""
        return self.repeat == 0


@dataclasses.dataclass(frozen=True)
class CandidateSource:
    """A source proposes the `count` eligible items with the highest scores."""

    name: str
    count: int
    scores: tf.Tensor  # [batch, n] float32
    is_eligible: tf.Tensor  # [batch, n] bool
    items: tf.Tensor  # [n] int32 catalog row of each score
    fills_up: bool = False
    """With fewer eligible items than `count`, add the first of the others instead of 0.

    `_distinct_rows` drops those of them that are not allowed.
    """

    def propose(self) -> tf.Tensor:
        """[batch, up to count] int32 catalog rows; of equal scores the first item wins."""
        lowest = self.scores.dtype.min
        scores = tf.where(self.is_eligible, self.scores, lowest)
        top_scores, indices = tf.math.top_k(scores, tf.minimum(self.count, tf.shape(scores)[1]))
        rows = tf.gather(self.items, indices)
        return rows if self.fills_up else tf.where(top_scores > lowest, rows, 0)


class CandidateGenerator(tf.Module):
    """Candidates from item embeddings [rows, dim + 1] and from what users interacted with."""

    def __init__(
        self,
        embeddings: tf.Variable,
        cold: ColdCandidates,
        config: RankingConfig,
        clock: str,
        label_kinds: Sequence[str] = (),
    ):
        """Weigh an item's events by kind for `label_kinds`; (): events of all kinds are equal."""
        super().__init__(name="candidate_generator")
        self._config, self.embeddings, self._cold = config, embeddings, cold
        self._seconds = DAY_SECONDS if clock == "utc" else 1.0
        self._rows = int(embeddings.shape[0])
        factors = tf.zeros([self._rows, config.copurchase_rank])
        self._encoder = tf.Variable(factors, trainable=False, name="encoder")
        self._decoder = tf.Variable(factors, trainable=False, name="decoder")
        self._users = tf.Variable(tf.zeros([self._rows]), trainable=False, name="users")
        self._label_kinds = [kind_index(kind) for kind in label_kinds]
        is_positive = [1.0, *(float(kind in POSITIVE_KINDS) for kind in EVENT_KINDS)]
        self._repeat_weights = tf.Variable(is_positive, trainable=False, name="repeat_weights")

    def fit(self, events: pd.DataFrame, statistics: np.ndarray) -> None:
        """Fit co-purchase and the kinds' weights to events; set popularity from item statistics.

        The columns of `events` are user, row, kind and timestamp (seconds).
        """
        users = pd.factorize(events.user)[0]
        interactions = sp.csr_matrix(
            (np.ones(len(events), np.float32), (users, events.row)), (users.max(initial=0) + 1, len(statistics))
        )
        interactions.sum_duplicates()
        interactions.data[:] = 1
        factors = factorize(interactions, self._config.copurchase_rank, self._config.copurchase_regularization)
        padding = ((0, 0), (0, self._config.copurchase_rank - factors.encoder.shape[1]))
        self._encoder.assign(np.pad(factors.encoder, padding))
        self._decoder.assign(np.pad(factors.decoder, padding))
        self._users.assign(statistics[:, USERS_COLUMN])
        if self._label_kinds:
            self._repeat_weights.assign(repeat_weights(events, self._label_kinds))

    def generate(
        self, history: History, query_times: tf.Tensor, queries: tf.Tensor | None, allowed: tf.Tensor | None = None
    ) -> Candidates:
        """Generate the candidates of histories at `query_times` [batch] int64 seconds.

        `queries` [batch, dim + 1] are embeddings of the query tower. With None the towers score all
        items 0, and they and the cold items, of which they decide, propose nothing. Where `allowed`
        [batch, rows] bool is given, each source proposes its best items among those.
        """
        scores = self._score_all(history, query_times, queries)
        is_item = tf.broadcast_to(tf.range(self._rows) > 0, tf.shape(scores.towers))
        allowed = is_item if allowed is None else allowed
        towers, *sources = self._sources(scores, allowed)
        if queries is not None:
            sources.append(towers)
        if queries is not None and self._config.n_cold:
            sources.append(self._cold_source(history, query_times, scores, allowed))
        proposed = tf.concat([source.propose() for source in sources], axis=1)
        rows = _distinct_rows(proposed, allowed)
        return Candidates(rows, self._score_columns(scores, rows), scores.towers)

    def score(self, history: History, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, len(SCORE_NAMES)] scores of the items `rows` [batch, n], candidates or not."""
        return self._score_columns(self._score_all(history, query_times, queries), rows)

    def find_repeats(self, history: History, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64 rows that the source "repeat" proposes, 0 pads."""
        repeat = self._score_repeats(history, query_times)
        return tf.cast(self._repeat_source(repeat, tf.range(self._rows) > 0).propose(), tf.int64)

    def score_copurchases(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, rows] co-purchase scores for users whose history is the item `rows` [batch]."""
        return tf.matmul(tf.gather(self._encoder, rows), self._decoder, transpose_b=True)

    def _sources(self, scores: SourceScores, allowed: tf.Tensor) -> list[CandidateSource]:
        """All sources but the cold items, the towers first; `allowed` [batch, rows] bool.

        The towers and co-purchase propose new items first, then fill up: in a narrow category also
        with items of the history.
        """
        config, items = self._config, tf.range(self._rows)
        is_new = tf.logical_and(scores.is_new, allowed)
        users = tf.broadcast_to(scores.users, tf.shape(allowed))
        is_popular = tf.logical_and(users > 0, allowed)
        return [
            CandidateSource("towers", config.n_towers, scores.towers, is_new, items, fills_up=True),
            CandidateSource("copurchase", config.n_copurchase, scores.copurchase, is_new, items, fills_up=True),
            self._repeat_source(scores.repeat, allowed),
            CandidateSource("popular", config.n_popular, users, is_popular, items),
        ]

    def _repeat_source(self, repeat: tf.Tensor, allowed: tf.Tensor) -> CandidateSource:
        is_repeat = tf.logical_and(repeat > 0, allowed)
        return CandidateSource("repeat", self._config.n_repeat, repeat, is_repeat, tf.range(self._rows))

    def _cold_source(
        self, history: History, query_times: tf.Tensor, scores: SourceScores, allowed: tf.Tensor
    ) -> CandidateSource:
        """Cold items would never be among the best of another source."""
        cold_scores, items = self._cold.score(history, query_times, scores.towers), self._cold.rows
        return CandidateSource("cold", self._config.n_cold, cold_scores, tf.gather(allowed, items, axis=1), items)

    def _score_all(self, history: History, query_times: tf.Tensor, queries: tf.Tensor | None) -> SourceScores:
        copurchase = tf.matmul(self._encode(history), self._decoder, transpose_b=True)
        no_scores = tf.zeros_like(copurchase)
        return SourceScores(
            towers=no_scores if queries is None else tf.matmul(queries, self.embeddings, transpose_b=True),
            copurchase=copurchase,
            repeat=self._score_repeats(history, query_times),
            users=self._users,
        )

    def _encode(self, history: History) -> tf.Tensor:
        """[batch, rank] sum of `_encoder` over the distinct items of each history.

        Only the items of the histories are gathered: they are a small part of the catalog.
        """
        shape = tf.shape(history.row, out_type=tf.int64)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)
        is_positive = tf.logical_and(history.valid, tf.logical_not(history.is_negative))
        distinct, _ = tf.unique(tf.boolean_mask(history.row + self._rows * users, is_positive))
        return tf.sparse.segment_sum(
            self._encoder, distinct % self._rows, distinct // self._rows, num_segments=shape[0]
        )

    def _score_repeats(self, history: History, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, rows] events with each item, halved with every REPEAT_HALF_LIFE_DAYS of age.

        An event has the weight of its kind; where a label of the item follows, the label's.
        """
        age = tf.cast(tf.maximum(query_times[:, tf.newaxis] - history.timestamp, 0), tf.float32) / self._seconds
        batch, length = tf.unstack(tf.shape(history.row))
        users = tf.repeat(tf.range(batch), length)
        pairs = tf.stack([users, tf.reshape(tf.cast(history.row, tf.int32), [-1])], axis=1)
        by_kind = self._kind_weights(history, pairs)
        weight = tf.maximum(by_kind * tf.pow(0.5, age / REPEAT_HALF_LIFE_DAYS), SMALLEST_REPEAT)
        weight = tf.where(history.valid, weight, 0.0)
        return tf.scatter_nd(pairs, tf.reshape(weight, [-1]), tf.stack([batch, self._rows]))

    def _kind_weights(self, history: History, pairs: tf.Tensor) -> tf.Tensor:
        """[batch, length] weight of each event; `pairs` [batch * length, 2] are user and row."""
        weights = tf.gather(self._repeat_weights, history.kind)
        if not self._label_kinds:
            return weights
        is_label = tf.reduce_any(history.kind[..., tf.newaxis] == self._label_kinds, axis=-1)
        label_times = tf.where(tf.logical_and(is_label, history.valid), history.timestamp, -1)
        none = tf.fill(tf.stack([tf.shape(history.row)[0], self._rows]), tf.constant(-1, tf.int64))
        latest = tf.tensor_scatter_nd_max(none, pairs, tf.reshape(label_times, [-1]))
        is_followed = tf.gather(latest, history.row, batch_dims=1) >= history.timestamp
        return tf.where(is_followed, tf.gather(self._repeat_weights, self._label_kinds[0]), weights)

    def _score_columns(self, scores: SourceScores, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, len(SCORE_NAMES)] float32 of `rows` [batch, n]."""
        is_item = tf.range(self._rows) > 0
        is_new = tf.logical_and(scores.is_new, is_item)
        # The best is that of the new items; where the user knows all items, the best of all.
        knows_all = tf.logical_not(tf.reduce_any(is_new, axis=1, keepdims=True))
        is_compared = tf.logical_or(is_new, tf.logical_and(knows_all, is_item))
        columns = []
        for values in (scores.towers, scores.copurchase):
            best = tf.reduce_max(tf.where(is_compared, values, values.dtype.min), axis=1, keepdims=True)
            own = tf.gather(values, rows, batch_dims=1)
            columns += [own, own - best]
        return tf.stack([*columns, tf.math.log1p(tf.gather(scores.repeat, rows, batch_dims=1))], axis=-1)


def repeat_weights(events: pd.DataFrame, label_kinds: Sequence[int]) -> np.ndarray:
    """[1 + kinds] float32 weight of an event by the index of its kind; the largest is 1.

    It is the share of the pairs of user and item with an event of the kind that a label follows
    later. All label kinds have one weight. Where no label follows any event, all have 1 but the
    negative ones.
    """
    is_label = events.kind.isin(label_kinds)
    last_label = events[is_label].groupby(["user", "row"]).timestamp.max().rename("last_label")
    first = events.assign(kind=np.where(is_label, label_kinds[0], events.kind))
    first = first.groupby(["user", "row", "kind"]).timestamp.min().reset_index()
    first = first.join(last_label, on=["user", "row"])
    share = (first.last_label > first.timestamp).groupby(first.kind).mean()
    weights = np.zeros(1 + len(EVENT_KINDS), np.float32)
    weights[share.index] = share
    weights[list(label_kinds)] = weights[label_kinds[0]]
    is_positive = np.array([1, *(kind in POSITIVE_KINDS for kind in EVENT_KINDS)], np.float32)
    return weights / weights.max() if weights.max() > 0 else is_positive


def _distinct_rows(proposed: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """[batch, n] int64 distinct allowed rows of `proposed` [batch, any], rising, 0 pads."""
    shape = tf.shape(allowed)
    users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], tf.shape(proposed)[1], axis=1)
    times = tf.scatter_nd(tf.stack([users, proposed], axis=-1), tf.ones_like(proposed), shape)
    pairs = tf.where(tf.logical_and(times > 0, allowed))
    batch = tf.cast(shape[0], tf.int64)
    return tf.RaggedTensor.from_value_rowids(pairs[:, 1], pairs[:, 0], batch, validate=False).to_tensor()
