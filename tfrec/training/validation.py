"""Validation scores for early stopping: NDCG@20 over the whole catalog, on validation users.

Both tasks of the towers count: recommendations without a query, and searches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfrec import metrics
from tfrec.config import Config, ValidationSlice
from tfrec.examples.batches import Batch, history_only, query_times_of, window_start
from tfrec.examples.dataset import sequences
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import EVENT_KINDS

K = 20
BATCH = 128
SLICES: tuple[ValidationSlice, ...] = ("all", "novel")


class ValidationScores(NamedTuple):
    """Mean NDCG@20 over users, NaN without any."""

    all: float  # of all labels, recommended without a query
    novel: float  # of those that are new to the user
    search: float = math.nan  # of the labels of a user's first search, given its query


class Validation:
    """Histories of up to `validation_users` users and their labels in the validation window."""

    def __init__(self, files: Sequence[str], config: Config):
        self._decisive = config.train.validation_slice
        users = config.train.validation_users
        self._label_kinds = label_indices(config.evaluation.label_kinds)
        batches = sequences(files, config.features.profile_columns, BATCH)
        with_label = batches.unbatch().filter(self._has_label).take(users)
        self._batches = list(with_label.padded_batch(BATCH)) if users else []  # lengths differ
        self._start = window_start(self._batches) if config.has_windows else None

    def ndcg(self, model: TwoTower) -> ValidationScores:
        """Score the model on all validation users."""
        candidates = model.all_candidates()
        values = [self._batch_ndcg(model, batch, candidates) for batch in self._batches]
        searches = [self._search_ndcg(model, batch, candidates) for batch in self._batches]
        all_, new = ([value[i] for value in values] for i in range(2))
        return ValidationScores(_mean(all_), _mean(new), _mean(searches))

    def decisive(self, scores: ValidationScores) -> float:
        """The score that selects the best epoch: with searches the geometric mean of both tasks."""
        recommend = scores[SLICES.index(self._decisive)]
        return recommend if math.isnan(scores.search) else math.sqrt(recommend * scores.search)

    def _batch_ndcg(self, model: TwoTower, batch: Batch, candidates: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        history, query_times = history_only(batch), query_times_of(batch, self._start)
        no_search = tf.zeros([tf.shape(query_times)[0], 1, model.texts.dim])
        scores = _scores(model, history, query_times[:, tf.newaxis], no_search, candidates).numpy()
        scores[:, 0] = -np.inf
        labels = _labels(model, batch, self._is_label(batch).numpy())
        all_targets = metrics.ndcg_of_scores(scores, labels, K)
        history_rows = model.catalog_rows(history["event_item_id"]).numpy()
        np.put_along_axis(scores, history_rows, -np.inf, axis=1)
        users = np.repeat(np.arange(len(history_rows)), history_rows.shape[1])
        in_history = sp.csr_matrix((np.ones(history_rows.size), (users, history_rows.ravel())), labels.shape)
        return all_targets, metrics.ndcg_of_scores(scores, metrics.not_in_history(labels, in_history), K)

    def _search_ndcg(self, model: TwoTower, batch: Batch, candidates: tf.Tensor) -> np.ndarray:
        """[users] NDCG@20 of each user's first search with a label, at the time of `ndcg`.

        Only searches that the training data hold count: their vectors are stored.
        """
        query = batch["event_query"]
        has_search = tf.logical_and(self._is_label(batch), model.texts.knows_searches(query))
        first = tf.gather(query, tf.argmax(has_search, axis=1), batch_dims=1)
        is_label = tf.logical_and(has_search, query == first[:, tf.newaxis]).numpy()
        if not is_label.any():
            return np.empty(0)
        vectors = model.texts.search_vectors(first)[:, tf.newaxis]
        query_times = query_times_of(batch, self._start)[:, tf.newaxis]
        scores = _scores(model, history_only(batch), query_times, vectors, candidates).numpy()
        scores[:, 0] = -np.inf
        return metrics.ndcg_of_scores(scores, _labels(model, batch, is_label), K)

    def _is_label(self, batch: Batch) -> tf.Tensor:
        """[...] bool for each event of `batch`: a target of a label kind."""
        is_kind = tf.reduce_any(batch["event_kind"][..., tf.newaxis] == self._label_kinds, axis=-1)
        return tf.logical_and(batch["event_is_target"] > 0, is_kind)

    def _has_label(self, user: Batch) -> tf.Tensor:
        return tf.reduce_any(self._is_label(user))


def _labels(model: TwoTower, batch: Batch, is_label: np.ndarray) -> sp.csr_matrix:
    """[users, rows] 1 for the items of the events that `is_label` [users, length] marks."""
    users, _ = np.nonzero(is_label)
    rows = model.catalog_rows(batch["event_item_id"]).numpy()[is_label]
    kept = rows > 0
    shape = (len(is_label), model.rows)
    return sp.csr_matrix((np.ones(kept.sum(), np.float32), (users[kept], rows[kept])), shape).sign()


def label_indices(label_kinds: Sequence[str]) -> list[int]:
    """Indices of the event kinds that are labels, see preprocessing.kind_index; (): each kind."""
    return [1 + index for index, kind in enumerate(EVENT_KINDS) if kind in (label_kinds or EVENT_KINDS)]


def _mean(parts: list[np.ndarray]) -> float:
    values = np.concatenate([np.empty(0), *parts])
    return float(values.mean()) if len(values) else float("nan")


@tf.function(reduce_retracing=True, autograph=False)
def _scores(
    model: TwoTower, batch: Batch, query_times: tf.Tensor, query_vector: tf.Tensor, candidates: tf.Tensor
) -> tf.Tensor:
    return tf.matmul(model.query(batch, query_times, query_vector)[:, 0], candidates, transpose_b=True)
