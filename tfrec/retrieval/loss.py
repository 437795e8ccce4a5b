"""Sampled softmax with logQ correction over in-batch and uniformly drawn candidates.

Sources: Yang et al., "Mixed negative sampling" (2020), https://research.google/pubs/pub50257; the
recipe is that of https://arxiv.org/abs/2508.06450.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.config import Config, MaskPositives
from tfrec.examples.batches import History
from tfrec.retrieval import replicas
from tfrec.retrieval.catalog_tables import CatalogTables
from tfrec.schema import DAY_SECONDS, EVENT_KINDS


class Candidates(NamedTuple):
    """Columns of the softmax: the targets first, in their order, then the uniform negatives."""

    embedding: tf.Tensor  # [candidates, dim + 1]
    row: tf.Tensor  # [candidates] int64 catalog row


class SampledSoftmax:
    """Loss of a batch's targets; each replica returns its part of the mean over the whole batch."""

    def __init__(self, tables: CatalogTables, config: Config):
        self._tables, self._settings = tables, config.train
        self._kind_weights = kind_weights(config.evaluation.label_kinds, config.train.other_kinds_weight)
        self._task = tfrs.tasks.Retrieval(
            loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE),
            temperature=config.towers.temperature,
            num_hard_negatives=config.train.hard_negatives or None,
        )

    def __call__(
        self, queries: tf.Tensor, candidates: Candidates, history: History, is_target: tf.Tensor, uniform: int
    ) -> tf.Tensor:
        """Weighted mean cross-entropy of the targets, a scalar; 0 without targets.

        `queries` is [targets, dim + 1], `is_target` [batch, length] bool marks the targets in
        `history`, `uniform` is the number of candidates that all replicas together drew uniformly.
        """
        # 1. The weight of each target: old ones, repeats and kinds that are no labels count less.
        weights = target_weights(
            history, is_target, self._settings.repeat_weight, self._settings.recency_half_life_days
        ) * tf.gather(self._kind_weights, tf.boolean_mask(history.kind, is_target))
        # 2. The candidates of all replicas: a target competes with those of the whole batch.
        in_batch, total_weight = tf.shape(queries)[0], tf.reduce_sum(weights)
        if replicas.is_replicated():
            candidates = Candidates(*replicas.gather_own_first(*candidates))
            in_batch, total_weight = replicas.sum_all(in_batch, total_weight)
        # 3. logQ: the log of a candidate's sampling probability is taken off its logit.
        probability = None
        if self._settings.logq:
            share = self._tables.frequency_share(candidates.row)
            probability = sampling_probability(share, in_batch, uniform / (self._tables.rows - 1))
        # 4. The mask: what is a positive of the same user is no negative.
        mask = score_mask(history, is_target, candidates.row, self._settings.mask_positives)
        # 5. The softmax over logits / temperature; only the hardest negatives if so configured.
        losses = self._task(
            queries,
            candidates.embedding,
            candidate_sampling_probability=probability,
            score_mask=mask,
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        # 6. This replica's part of the weighted mean.
        return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), total_weight)


def sampling_probability(frequency_share: tf.Tensor, in_batch: tf.Tensor, uniform_per_item: float) -> tf.Tensor:
    """[candidates] relative probability that a candidate's item is sampled; the largest is 1.

    `in_batch` candidates are drawn by frequency, where each item has its `frequency_share`
    [candidates]; uniform draws add `uniform_per_item` of each item. A softmax sees only ratios.
    They are relative to the largest because TFRS clips probabilities at 1e-6: a large catalog would
    lie below that.
    """
    expected = tf.cast(in_batch, tf.float32) * frequency_share + uniform_per_item
    return expected / tf.reduce_max(expected)


def score_mask(
    history: History, is_target: tf.Tensor, candidate_rows: tf.Tensor, mask_positives: MaskPositives
) -> tf.Tensor:
    """[targets, candidates] bool: the target's own column and the columns of its negatives.

    The target's item in another column (an accidental hit) never counts. `mask_positives` chooses
    which of the user's other events do not either; see TrainConfig. What a user returned or
    dislikes is a negative like any other. The first candidates are the targets.
    """
    target_rows = tf.boolean_mask(history.row, is_target)
    targets = tf.shape(target_rows)[0]
    user = tf.boolean_mask(_user_index(history.row), is_target)
    # Accidental hits.
    allowed = target_rows[:, tf.newaxis] != candidate_rows[tf.newaxis, :]
    # Targets of the same user and time, in their own columns.
    if mask_positives in ("basket", "repeat"):
        timestamp = tf.boolean_mask(history.timestamp, is_target)
        same = tf.logical_and(user[:, tf.newaxis] == user, timestamp[:, tf.newaxis] == timestamp)
        others = tf.pad(same, [[0, 0], [0, tf.shape(candidate_rows)[0] - targets]])
        allowed = tf.logical_and(allowed, tf.logical_not(others))
    # All items of the user's sequence, in any column; for "repeat" only if the target is new.
    if mask_positives in ("sequence", "repeat"):
        own = tf.where(history.is_negative, tf.constant(-1, tf.int64), history.row)
        foreign = tf.gather(tf.reduce_all(own[:, :, tf.newaxis] != candidate_rows, axis=1), user)
        if mask_positives == "repeat":
            foreign = tf.logical_or(foreign, tf.boolean_mask(is_repeat(history), is_target)[:, tf.newaxis])
        allowed = tf.logical_and(allowed, foreign)
    # The target itself.
    return tf.linalg.set_diag(allowed, tf.ones([targets], tf.bool))


def target_weights(history: History, is_target: tf.Tensor, repeat_weight: float, half_life_days: float) -> tf.Tensor:
    """[targets] float32: `repeat_weight` for a repeat, else 1; halved with each half-life of age.

    Age counts from the latest event of the batch, over all replicas; 0 days is no decay.
    """
    weights = tf.where(is_repeat(history), repeat_weight, 1.0)
    if half_life_days > 0:
        latest = tf.reduce_max(history.timestamp)
        latest = replicas.max_all(latest) if replicas.is_replicated() else latest
        age = tf.cast(latest - history.timestamp, tf.float32)
        weights *= tf.pow(0.5, age / (half_life_days * DAY_SECONDS))
    return tf.boolean_mask(weights, is_target)


def kind_weights(label_kinds: Sequence[str], others: float) -> np.ndarray:
    """[1 + kinds] float32 weight of a target by the index of its kind: 1 for a label.

    Without `label_kinds` each kind is a label.
    """
    is_label = [kind in (label_kinds or EVENT_KINDS) for kind in EVENT_KINDS]
    return np.where([not label_kinds, *is_label], 1.0, others).astype(np.float32)


def is_repeat(history: History) -> tf.Tensor:
    """[batch, length] bool: the sequence holds the event's item at an earlier time, no negative."""
    earlier = history.timestamp[:, tf.newaxis, :] < history.timestamp[:, :, tf.newaxis]
    earlier = tf.logical_and(earlier, tf.logical_not(history.is_negative)[:, tf.newaxis, :])
    same = history.row[:, tf.newaxis, :] == history.row[:, :, tf.newaxis]
    return tf.reduce_any(tf.logical_and(earlier, same), axis=2)


def _user_index(rows: tf.Tensor) -> tf.Tensor:
    """[batch, length] int32: the number of the sequence that each position belongs to."""
    shape = tf.shape(rows)
    return tf.repeat(tf.range(shape[0])[:, tf.newaxis], shape[1], axis=1)
