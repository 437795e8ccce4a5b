"""Ranking features by event kind: a view is not a purchase, and a return is neither.

They repeat the counts and ages of features.py for each kind of event, for a candidate and for its
groups (category, text, brand ...), and the recent users of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.item_statistics import NEVER_DAYS
from tfrec.schema import DAY_SECONDS, EVENT_KINDS

PAIR_FEATURES = ("times", "times_7", "idle_days")
HALF_LIFE_DAYS = 7.0
RECENT_DAYS = 28


class Slots(NamedTuple):
    """Where the events with an item or a group of it are summed, by user."""

    of_event: tf.Tensor  # [batch, length, columns] int32; the columns are the item and its groups
    is_known: tf.Tensor  # [batch, length, columns] bool
    of_candidate: tf.Tensor  # [batch, candidates, columns] int32


class KindFeatures(tf.Module):
    """Features [batch, candidates, len(names)] float32 that tell the event `kinds` apart."""

    def __init__(self, rows: int, groups: Sequence[str], kinds: Sequence[str]):
        """Make no feature at all where there are fewer than two kinds."""
        super().__init__(name="kind_features")
        self.kinds = tuple(kinds) if len(kinds) > 1 else ()
        self._indices = [kind_index(kind) for kind in self.kinds]
        columns = ("item", *groups)
        self.names = (
            *(f"{column}_{kind}_{name}" for column in columns for name in PAIR_FEATURES for kind in self.kinds),
            *(f"{column}_{kind}_users_{RECENT_DAYS}" for column in columns for kind in self.kinds),
            *(f"user_{kind}_{name}" for name in ("events", "idle_days") for kind in self.kinds),
        )
        users = np.zeros((rows, len(columns) * len(self.kinds)), np.float32)
        self._users = tf.Variable(users, trainable=False, name="users_by_kind")

    def set_users(self, events: pd.DataFrame, now: int, groups: np.ndarray) -> None:
        """Count the users of the events (user, row, kind, timestamp) before second `now` by kind.

        `groups` [rows, any] are numbers of the items' groups in each column, 0 for none.
        """
        recent = events[(events.timestamp >= now - RECENT_DAYS * DAY_SECONDS) & (events.timestamp < now)]
        by_kind = [_users(recent[recent.kind == index], len(groups)) for index in self._indices]
        columns = [np.stack(by_kind, axis=1)] if by_kind else []
        for group in groups.T if by_kind else ():
            columns.append(np.stack([_total(group, users) for users in by_kind], axis=1))
        self._users.assign(np.concatenate(columns, axis=1) if columns else self._users)

    def compute(self, history: History, age: tf.Tensor, slots: Slots, rows: tf.Tensor) -> tf.Tensor:
        """Features of the candidates `rows` [batch, candidates]; `age` [batch, length] days."""
        is_kind = tf.logical_and(history.kind[..., tf.newaxis] == self._indices, history.valid[..., tf.newaxis])
        pair = self._pair_features(is_kind, age, slots)
        users = tf.gather(self._users, rows)
        ages = tf.where(is_kind, age[..., tf.newaxis], NEVER_DAYS)
        counts = tf.reduce_sum(tf.cast(is_kind, tf.float32), axis=1)
        user = tf.concat([counts, tf.minimum(tf.reduce_min(ages, axis=1), NEVER_DAYS)], axis=-1)
        return tf.concat([pair, users, tf.repeat(user[:, tf.newaxis], tf.shape(rows)[1], axis=1)], axis=-1)

    def _pair_features(self, is_kind: tf.Tensor, age: tf.Tensor, slots: Slots) -> tf.Tensor:
        """[batch, candidates, columns * 3 * kinds] of events with a candidate and its groups."""
        kinds, columns = len(self.kinds), slots.of_candidate.shape[2]
        counted = tf.logical_and(slots.is_known[..., tf.newaxis], is_kind[:, :, tf.newaxis])
        counts, ages = tf.cast(counted, tf.float32), age[..., tf.newaxis, tf.newaxis]
        weights = tf.concat([counts, counts * tf.pow(0.5, ages / HALF_LIFE_DAYS)], axis=-1)
        slot = tf.reshape(slots.of_event, [-1])
        size = tf.shape(slot)[0] + 1
        sums = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1, 2 * kinds]), slot, size)
        idle = tf.reshape(tf.where(counted, ages, NEVER_DAYS), [-1, kinds])
        idle = tf.minimum(tf.math.unsorted_segment_min(idle, slot, size), NEVER_DAYS)
        by_candidate = tf.gather(tf.concat([sums, idle], axis=1), slots.of_candidate)
        shape = tf.shape(slots.of_candidate)
        return tf.reshape(by_candidate, [shape[0], shape[1], columns * len(PAIR_FEATURES) * kinds])


def kind_index(kind: str) -> int:
    """Index of an event kind in a history, as of preprocessing.kind_index."""
    return 1 + EVENT_KINDS.index(kind)


def _users(events: pd.DataFrame, rows: int) -> np.ndarray:
    """[rows] distinct users of each item."""
    return np.bincount(events.drop_duplicates(["user", "row"]).row, minlength=rows).astype(np.float32)


def _total(group: np.ndarray, users: np.ndarray) -> np.ndarray:
    """[rows] sum of `users` [rows] over the items of each item's `group` [rows]; 0 without one."""
    total = np.bincount(group, users)
    total[0] = 0
    return total[group]
