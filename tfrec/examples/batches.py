"""Batches of event sequences, and their parts before and after a point in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.schema import DAY_SECONDS, EVENT_KINDS, NEGATIVE_KINDS

BUCKETS = 10_000
"""Parts of a share of users."""

Batch = dict[str, tf.Tensor]
"""Dense features of event sequences by name (preprocessing.py), padded with 0 and ""."""


class History(NamedTuple):
    """Event sequences in time order, padded at the end by row 0."""

    row: tf.Tensor  # [batch, length] int64 catalog row
    kind: tf.Tensor  # [batch, length] int64
    timestamp: tf.Tensor  # [batch, length] int64 seconds
    price: tf.Tensor  # [batch, length] float32 standard score
    valid: tf.Tensor  # [batch, length] bool: an event, not padding

    @property
    def is_negative(self) -> tf.Tensor:
        """[batch, length] bool: an event that speaks against its item, such as a return."""
        negative = [1 + EVENT_KINDS.index(kind) for kind in NEGATIVE_KINDS]
        return tf.reduce_any(self.kind[..., tf.newaxis] == negative, axis=-1)


def window_start(batches: Iterable[Batch]) -> int:
    """Midnight (UTC) before the first target, in seconds; 0 without targets."""
    first = min((int(tf.reduce_min(_target_timestamps(batch))) for batch in batches), default=0)
    return first // DAY_SECONDS * DAY_SECONDS


def query_times_of(batch: Batch, start: int | None) -> tf.Tensor:
    """Query times [batch] int64 seconds: `start`, or where it is None each user's first target."""
    first = tf.reduce_min(_target_timestamps(batch), axis=1)
    return first if start is None else tf.fill(tf.shape(first), tf.constant(start, tf.int64))


def history_only(batch: Batch) -> Batch:
    """The batch without its targets, which follow the context."""
    length = tf.reduce_max(tf.reduce_sum(tf.cast(_is_context(batch), tf.int32), axis=1))
    kept = dict(batch)
    for name, value in batch.items():
        if name.startswith("event_"):
            kept[name] = tf.where(_is_context(batch), value, tf.zeros([], value.dtype))[:, :length]
    return kept


def latest(batch: Batch, longest: int | tf.Tensor) -> Batch:
    """The batch with at most the `longest` latest events of each history, padded at the end.

    `longest` is one number for all users or [batch] numbers.
    """
    length = tf.shape(batch["event_item_id"])[1]
    count = tf.reduce_sum(tf.cast(batch["event_item_id"] != "", tf.int32), axis=1, keepdims=True)
    kept = tf.minimum(count, tf.reshape(tf.cast(longest, tf.int32), [-1, 1]))
    width = tf.minimum(length, tf.reduce_max(longest))
    offset = tf.range(width)
    position = tf.minimum(count - kept + offset, tf.maximum(length - 1, 0))
    is_kept = offset < kept
    events = {
        name: tf.where(is_kept, tf.gather(value, position, batch_dims=1), tf.zeros([], value.dtype))
        for name, value in batch.items()
        if name.startswith("event_")
    }
    return batch | events


def earlier(batch: Batch, start: int, end: int, context_columns: Sequence[str] = ()) -> Batch:
    """The batch as of second `end`; its events from `start` on become the targets.

    Users without a target are left out. The context of the request becomes that of the first one.
    """
    time = batch["event_timestamp"]
    is_before_end = tf.logical_and(
        tf.logical_and(batch["event_is_target"] == 0, batch["event_item_id"] != ""), time < end
    )
    cut = {
        name: tf.where(is_before_end, value, tf.zeros([], value.dtype)) if name.startswith("event_") else value
        for name, value in batch.items()
    }
    is_target = tf.cast(tf.logical_and(is_before_end, time >= start), tf.int64)
    first = tf.argmax(is_target, axis=1)
    context = {
        f"user_{name}": tf.gather(cut[f"event_{name}"] * is_target, first, batch_dims=1) for name in context_columns
    }
    whole = cut | context | {"event_is_target": is_target}
    has_target = tf.reduce_any(is_target > 0, axis=1)
    return {name: tf.boolean_mask(value, has_target) for name, value in whole.items()}


def without_context(batch: Batch, context_columns: Sequence[str], share: float, salt: str) -> Batch:
    """The batch with an unknown context of the request for a `share` of its users.

    Who they are depends on the user's id and `salt` alone.
    """
    bucket = tf.strings.to_hash_bucket_fast(tf.strings.join([batch["user_id"], salt]), BUCKETS)
    is_kept = tf.cast(bucket >= round(share * BUCKETS), tf.int64)
    return batch | {f"user_{name}": batch[f"user_{name}"] * is_kept for name in context_columns}


def _is_context(batch: Batch) -> tf.Tensor:
    return tf.logical_and(batch["event_is_target"] == 0, batch["event_item_id"] != "")


def _target_timestamps(batch: Batch) -> tf.Tensor:
    """Timestamps [batch, length] of the targets; the largest int64 elsewhere."""
    return tf.where(batch["event_is_target"] > 0, batch["event_timestamp"], np.iinfo(np.int64).max)
