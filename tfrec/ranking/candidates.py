"""Candidates of several sources for the ranker: the two towers, co-purchase, the shopper's own past, popularity.

Each source scores the whole catalogue; its best items are candidates, and every candidate carries the scores of all
sources. It knows nothing of how they are ranked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.examples.batches import History
from tfrec.ranking.cold_candidates import Newcomers
from tfrec.ranking.item_statistics import NAMES
from tfrec.ranking.linear_autoencoder import factorize
from tfrec.schema import DAY_SECONDS

SOURCES = ("towers", "towers_below_best", "copurchase", "copurchase_below_best", "habit")
"""The scores that a candidate carries."""

HABIT_HALF_LIFE_DAYS = 60.0
POPULAR_COLUMN = NAMES.index("item_shoppers_28")


class Proposed(NamedTuple):
    """Candidates of a batch of shoppers."""

    rows: tf.Tensor  # [batch, candidates] int64 catalogue rows, 0 pads
    scores: tf.Tensor  # [batch, candidates, len(SOURCES)] float32
    towers: tf.Tensor  # [batch, rows] float32, the two towers' scores of the whole catalogue


class _Opinions(NamedTuple):
    """What the sources say of the whole catalogue, each [batch, rows]."""

    towers: tf.Tensor  # float32
    copurchase: tf.Tensor  # float32
    habit: tf.Tensor  # float32
    is_new: tf.Tensor  # bool: to the shopper


class Sources(tf.Module):
    """Proposes candidates from embeddings [rows, dim + 1] and from what shoppers chose."""

    def __init__(self, embeddings: tf.Variable, newcomers: Newcomers, config: RankingConfig, clock: str):
        super().__init__(name="sources")
        self._config, self._embeddings, self._newcomers = config, embeddings, newcomers
        self._seconds = DAY_SECONDS if clock == "utc" else 1.0
        rows = int(embeddings.shape[0])
        self._choice = tf.Variable(tf.zeros([rows, config.copurchase_rank]), trainable=False, name="choice")
        self._target = tf.Variable(tf.zeros([rows, config.copurchase_rank]), trainable=False, name="target")
        self._shoppers = tf.Variable(tf.zeros([rows]), trainable=False, name="shoppers")

    def learn(self, events: pd.DataFrame, statistics: np.ndarray) -> None:
        """From events with the columns user and row, and the item statistics of the same time."""
        rows = len(statistics)
        users = pd.factorize(events.user)[0]
        chosen = sp.csr_matrix(
            (np.ones(len(events), np.float32), (users, events.row)), (users.max(initial=0) + 1, rows)
        )
        chosen.sum_duplicates()
        chosen.data[:] = 1
        factors = factorize(chosen, self._config.copurchase_rank, self._config.copurchase_regularization)
        missing = self._config.copurchase_rank - factors.choice.shape[1]
        self._choice.assign(np.pad(factors.choice, ((0, 0), (0, missing))))
        self._target.assign(np.pad(factors.target, ((0, 0), (0, missing))))
        self._shoppers.assign(statistics[:, POPULAR_COLUMN])

    def __call__(
        self, history: History, query_times: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> Proposed:
        """`moments` [batch] int64 seconds, `queries` [batch, dim + 1] of the query tower.

        Of `allowed` [batch, rows] bool alone, where it is given: each source then proposes its best among those.
        """
        opinions = self._opinions(history, query_times, queries)
        newcomers = opinions.towers[:, :0]
        if self._config.n_cold:
            newcomers = self._newcomers.scores(history, query_times, opinions.towers)
        rows = self._proposals(opinions, newcomers, allowed)
        return Proposed(rows, self._scores(opinions, rows), opinions.towers)

    def scores(self, history: History, query_times: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, len(SOURCES)] of the items of `rows` [batch, n], whether or not they would be proposed."""
        return self._scores(self._opinions(history, query_times, queries), rows)

    def repeats(self, history: History, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64 rows that the habit proposes, 0 pads."""
        habit = self._habit(history, query_times, tf.stack([tf.shape(query_times)[0], self._embeddings.shape[0]]))
        return tf.cast(self._own(habit, tf.range(tf.shape(habit)[1]) > 0), tf.int64)

    def bought_with(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, rows] how much each item is wanted by who has the one of `rows` [batch]."""
        return tf.matmul(tf.gather(self._choice, rows), self._target, transpose_b=True)

    def _opinions(self, history: History, query_times: tf.Tensor, queries: tf.Tensor) -> _Opinions:
        towers = tf.matmul(queries, self._embeddings, transpose_b=True)
        habit = self._habit(history, query_times, tf.shape(towers))
        copurchase = tf.matmul(self._chosen(history), self._target, transpose_b=True)
        return _Opinions(towers, copurchase, habit, habit == 0)

    def _chosen(self, history: History) -> tf.Tensor:
        """[batch, rank] the sum over the distinct items of each history; of a catalogue a history is a small part."""
        shape = tf.shape(history.row, out_type=tf.int64)
        rows = int(self._choice.shape[0])
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)
        distinct, _ = tf.unique(tf.boolean_mask(history.row + rows * users, history.valid))
        return tf.sparse.segment_sum(self._choice, distinct % rows, distinct // rows, num_segments=shape[0])

    def _proposals(self, opinions: _Opinions, newcomers: tf.Tensor, allowed: tf.Tensor | None) -> tf.Tensor:
        """[batch, candidates] int64 rows, 0 pads; `newcomers` [batch, new items] scores of the items nobody chose."""
        towers, copurchase, habit, is_new = opinions
        shape = tf.shape(towers)
        allowed = tf.broadcast_to(tf.range(shape[1]) > 0, shape) if allowed is None else allowed
        is_open = tf.logical_and(is_new, allowed)
        shoppers, popular = _best(tf.where(allowed, self._shoppers, 0.0), self._config.n_popular)
        new = self._newcomers.rows[: tf.shape(newcomers)[1]]
        newcomers = tf.where(tf.gather(allowed, new, axis=1), newcomers, towers.dtype.min)
        proposals = (
            _best(tf.where(is_open, towers, towers.dtype.min), self._config.n_towers)[1],
            _best(tf.where(is_open, copurchase, towers.dtype.min), self._config.n_copurchase)[1],
            self._own(habit, allowed),
            tf.where(shoppers > 0, popular, 0),
            tf.gather(new, _best(newcomers, self._config.n_cold)[1]),
        )
        rows = tf.concat(proposals, axis=1)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], tf.shape(rows)[1], axis=1)
        times = tf.scatter_nd(tf.stack([users, rows], axis=-1), tf.ones_like(rows), shape)
        places = tf.where(tf.logical_and(times > 0, allowed))
        nrows = tf.cast(shape[0], tf.int64)
        return tf.RaggedTensor.from_value_rowids(places[:, 1], places[:, 0], nrows, validate=False).to_tensor()

    def _own(self, habit: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
        """[batch, n] int32 rows of the strongest habits, 0 pads."""
        strength, rows = _best(tf.where(allowed, habit, 0.0), self._config.n_repeat)
        return tf.where(strength > 0, rows, 0)

    def _scores(self, opinions: _Opinions, rows: tf.Tensor) -> tf.Tensor:
        towers, copurchase, habit, is_new = opinions
        is_item = tf.range(tf.shape(towers)[1]) > 0
        is_new = tf.logical_and(is_new, is_item)
        # The best new item; the best of all, where all are known.
        has_all = tf.logical_not(tf.reduce_any(is_new, axis=1, keepdims=True))
        counts = tf.logical_or(is_new, tf.logical_and(has_all, is_item))
        columns = []
        for scores in (towers, copurchase):
            best = tf.reduce_max(tf.where(counts, scores, scores.dtype.min), axis=1, keepdims=True)
            of_rows = tf.gather(scores, rows, batch_dims=1)
            columns += [of_rows, of_rows - best]
        return tf.stack([*columns, tf.math.log1p(tf.gather(habit, rows, batch_dims=1))], axis=-1)

    def _habit(self, history: History, query_times: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """[batch, rows] times that each item was chosen, halved with every HABIT_HALF_LIFE_DAYS; 0 for a new one."""
        age = tf.cast(tf.maximum(query_times[:, tf.newaxis] - history.timestamp, 0), tf.float32) / self._seconds
        weight = tf.where(history.valid, tf.maximum(tf.pow(0.5, age / HABIT_HALF_LIFE_DAYS), 1e-6), 0.0)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], tf.shape(history.row)[1], axis=1)
        places = tf.stack([tf.reshape(users, [-1]), tf.reshape(tf.cast(history.row, tf.int32), [-1])], axis=1)
        return tf.scatter_nd(places, tf.reshape(weight, [-1]), shape)


def _best(scores: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` best of each row of [batch, any] and their places int32, the first ones where scores are equal."""
    return tf.math.top_k(scores, tf.minimum(count, tf.shape(scores)[1]))
