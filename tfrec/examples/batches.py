"""Batches of sequences, cut in time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.schema import DAY_SECONDS


def window_start(batches: Iterable[Batch]) -> int:
    """The midnight (UTC) before the first target, in seconds; 0 where there is none."""
    return (
        int(min((tf.reduce_min(_targets(batch)).numpy() for batch in batches), default=0)) // DAY_SECONDS * DAY_SECONDS
    )


def query_times_of(batch: Batch, start: int | None) -> tf.Tensor:
    """[batch] int64 seconds when each user is asked: at `start`, or by an order just at their first target."""
    first = tf.reduce_min(_targets(batch), axis=1)
    return first if start is None else tf.fill(tf.shape(first), tf.constant(start, tf.int64))


def history_only(batch: Batch) -> Batch:
    """The batch without its targets, which stand behind the context."""
    length = tf.reduce_max(tf.reduce_sum(tf.cast(_is_context(batch), tf.int32), axis=1))
    kept = dict(batch)
    for name, value in batch.items():
        if name.startswith("event_"):
            kept[name] = tf.where(_is_context(batch), value, tf.zeros([], value.dtype))[:, :length]
    return kept


def _is_context(batch: Batch) -> tf.Tensor:
    return tf.logical_and(batch["event_is_target"] == 0, batch["event_item_id"] != "")


def _targets(batch: Batch) -> tf.Tensor:
    """[batch, length] timestamps of the targets, elsewhere the largest number."""
    return tf.where(batch["event_is_target"] > 0, batch["event_timestamp"], np.iinfo(np.int64).max)


Batch = dict[str, tf.Tensor]
"""Dense features of a batch of sequences, as preprocessing.py names them, padded by 0 and "" to one length."""


def latest(batch: Batch, longest: int) -> Batch:
    """The batch with the latest events of each history alone, padded at the end as before."""
    length = tf.shape(batch["event_item_id"])[1]
    count = tf.reduce_sum(tf.cast(batch["event_item_id"] != "", tf.int32), axis=1, keepdims=True)
    place = tf.maximum(count - longest, 0) + tf.range(tf.minimum(length, longest))
    events = {n: tf.gather(value, place, batch_dims=1) for n, value in batch.items() if n.startswith("event_")}
    return batch | events


def earlier(batch: Batch, start: int, end: int) -> Batch:
    """The batch as it was at second `end`; what was chosen from `start` on are its targets."""
    time = batch["event_timestamp"]
    is_past = tf.logical_and(tf.logical_and(batch["event_is_target"] == 0, batch["event_item_id"] != ""), time < end)
    cut = {
        name: tf.where(is_past, value, tf.zeros([], value.dtype)) if name.startswith("event_") else value
        for name, value in batch.items()
    }
    return cut | {"event_is_target": tf.cast(tf.logical_and(is_past, time >= start), tf.int64)}


class History(NamedTuple):
    """A batch of event sequences, in time order, padded at the end by row 0."""

    row: tf.Tensor  # [batch, length] int64 catalogue row
    kind: tf.Tensor  # [batch, length] int64
    timestamp: tf.Tensor  # [batch, length] int64 seconds
    price: tf.Tensor  # [batch, length] float32 standard score
    valid: tf.Tensor  # [batch, length] bool: an event, not padding
