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
from tfrec.evidence import DAY, Past
from tfrec.linear import factorise

SOURCES = ("towers", "towers_below_best", "copurchase", "copurchase_below_best", "habit")
"""The scores that a candidate carries."""

HABIT_HALF_LIFE_DAYS = 60.0
EVER_COLUMN, POPULAR_COLUMN = 0, 2  # item_shoppers and item_shoppers_28 of popularity.NAMES


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

    def __init__(self, embeddings: tf.Variable, config: RankingConfig, clock: str):
        super().__init__(name="sources")
        self._config, self._embeddings = config, embeddings
        self._seconds = DAY if clock == "utc" else 1.0
        rows = int(embeddings.shape[0])
        self._choice = tf.Variable(tf.zeros([rows, config.copurchase_rank]), trainable=False, name="choice")
        self._target = tf.Variable(tf.zeros([rows, config.copurchase_rank]), trainable=False, name="target")
        self._popular = tf.Variable(tf.zeros([rows], tf.bool), trainable=False, name="popular")
        self._fresh = tf.Variable(tf.zeros([rows], tf.bool), trainable=False, name="fresh")

    def learn(self, events: pd.DataFrame, statistics: np.ndarray) -> None:
        """From events with the columns user and row, and the item statistics of the same time."""
        rows = len(statistics)
        users = pd.factorize(events.user)[0]
        chosen = sp.csr_matrix(
            (np.ones(len(events), np.float32), (users, events.row)), (users.max(initial=0) + 1, rows)
        )
        chosen.sum_duplicates()
        chosen.data[:] = 1
        factors = factorise(chosen, self._config.copurchase_rank, self._config.copurchase_regularization)
        missing = self._config.copurchase_rank - factors.choice.shape[1]
        self._choice.assign(np.pad(factors.choice, ((0, 0), (0, missing))))
        self._target.assign(np.pad(factors.target, ((0, 0), (0, missing))))
        shoppers = statistics[:, POPULAR_COLUMN]
        popular = np.zeros(rows, bool)
        popular[np.argsort(-shoppers, kind="stable")[: self._config.popular]] = True
        self._popular.assign(popular & (shoppers > 0))
        fresh = statistics[:, EVER_COLUMN] == 0
        fresh[0] = False  # no item
        self._fresh.assign(fresh)

    def __call__(
        self, past: Past, moments: tf.Tensor, queries: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> Proposed:
        """`moments` [batch] int64 seconds, `queries` [batch, dim + 1] of the query tower.

        Of `allowed` [batch, rows] bool alone, where it is given: each source then proposes its best among those.
        """
        opinions = self._opinions(past, moments, queries)
        rows = self._proposals(opinions, allowed)
        return Proposed(rows, self._scores(opinions, rows), opinions.towers)

    def scores(self, past: Past, moments: tf.Tensor, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[batch, n, len(SOURCES)] of the items of `rows` [batch, n], whether or not they would be proposed."""
        return self._scores(self._opinions(past, moments, queries), rows)

    def bought_with(self, rows: tf.Tensor) -> tf.Tensor:
        """[batch, rows] how much each item is wanted by who has the one of `rows` [batch]."""
        return tf.matmul(tf.gather(self._choice, rows), self._target, transpose_b=True)

    def _opinions(self, past: Past, moments: tf.Tensor, queries: tf.Tensor) -> _Opinions:
        towers = tf.matmul(queries, self._embeddings, transpose_b=True)
        habit = self._habit(past, moments, tf.shape(towers))
        is_new = habit == 0
        chosen = 1.0 - tf.cast(is_new, tf.float32)
        copurchase = tf.matmul(tf.matmul(chosen, self._choice), self._target, transpose_b=True)
        return _Opinions(towers, copurchase, habit, is_new)

    def _proposals(self, opinions: _Opinions, allowed: tf.Tensor | None) -> tf.Tensor:
        """[batch, candidates] int64 rows, 0 pads."""
        towers, copurchase, habit, is_new = opinions
        every_row = tf.range(tf.shape(towers)[1], dtype=tf.int64)
        allowed = tf.broadcast_to(every_row > 0, tf.shape(towers)) if allowed is None else allowed
        lowest = towers.dtype.min
        of_new = [tf.where(tf.logical_and(is_new, allowed), scores, lowest) for scores in (towers, copurchase)]
        own = tf.where(allowed, habit, 0.0)
        is_candidate = tf.logical_or(
            tf.logical_or(_best(of_new[0], self._config.retrieved), _best(of_new[1], self._config.copurchased)),
            tf.logical_or(tf.logical_and(_best(own, self._config.repeated), own > 0), self._popular),
        )
        is_fresh = tf.logical_and(self._fresh, allowed)
        of_fresh = tf.where(is_fresh, towers, lowest)
        is_candidate = tf.logical_or(is_candidate, tf.logical_and(_best(of_fresh, self._config.fresh), is_fresh))
        return tf.ragged.boolean_mask(
            tf.broadcast_to(every_row, tf.shape(towers)), tf.logical_and(is_candidate, allowed)
        ).to_tensor()

    def _scores(self, opinions: _Opinions, rows: tf.Tensor) -> tf.Tensor:
        towers, copurchase, habit, is_new = opinions
        best = [_best_new(scores, is_new) for scores in (towers, copurchase)]
        full = (towers, towers - best[0], copurchase, copurchase - best[1], tf.math.log1p(habit))
        return tf.stack([tf.gather(each, rows, batch_dims=1) for each in full], axis=-1)

    def _habit(self, past: Past, moments: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """[batch, rows] times that each item was chosen, halved with every HABIT_HALF_LIFE_DAYS; 0 for a new one."""
        age = tf.cast(tf.maximum(moments[:, tf.newaxis] - past.timestamp, 0), tf.float32) / self._seconds
        weight = tf.where(past.valid, tf.maximum(tf.pow(0.5, age / HABIT_HALF_LIFE_DAYS), 1e-6), 0.0)
        users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], tf.shape(past.row)[1], axis=1)
        places = tf.stack([tf.reshape(users, [-1]), tf.reshape(tf.cast(past.row, tf.int32), [-1])], axis=1)
        return tf.scatter_nd(places, tf.reshape(weight, [-1]), shape)


def _best_new(scores: tf.Tensor, is_new: tf.Tensor) -> tf.Tensor:
    """[batch, 1] the highest score of an item that is new to the shopper; of any item, where all are known."""
    counts = tf.logical_or(is_new[:, 1:], tf.logical_not(tf.reduce_any(is_new[:, 1:], axis=1, keepdims=True)))
    return tf.reduce_max(tf.where(counts, scores[:, 1:], scores.dtype.min), axis=1, keepdims=True)


def _best(scores: tf.Tensor, count: int) -> tf.Tensor:
    """[batch, rows] bool: the `count` best items of each row, never more where scores are equal."""
    shape = tf.shape(scores)
    _, best = tf.math.top_k(scores, tf.minimum(count, shape[1]))
    users = tf.repeat(tf.range(shape[0])[:, tf.newaxis], tf.shape(best)[1], axis=1)
    return tf.scatter_nd(tf.stack([users, best], axis=-1), tf.ones_like(best), shape) > 0
