"""What a shopper's history says of each candidate: the ranker's features, by one graph in training and in serving.

It looks at all of the history that it is given, which may be longer than what the query tower reads. It knows
nothing of who proposed the candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.catalog import Catalog
from tfrec.popularity import NAMES as ITEM_NAMES
from tfrec.popularity import NEVER_DAYS

HALF_LIVES_DAYS = (7.0, 30.0, 120.0)
LATEST_BASKETS = (5, 20)
DAY = 86_400.0

_OF_PAIR = (
    *("times", *(f"times_{days:g}" for days in HALF_LIVES_DAYS)),
    *(f"times_in_{count}_baskets" for count in LATEST_BASKETS),
    *("idle_days", "age_days", "gap_days", "due", "item_due", "per_basket"),
)
_OF_GROUP = ("times", "times_30", "times_120", "idle_days", "share")
_OF_ITEMS_GROUP = ("shoppers", "shoppers_per_item")
_OF_USER = ("baskets", "baskets_28", "events", "events_28", "idle_days", "mean_price")


class Past(NamedTuple):
    """A batch of histories in time order, padded at the end."""

    row: tf.Tensor  # [batch, length] int64 catalogue row, 0 where the catalogue does not hold the item
    timestamp: tf.Tensor  # [batch, length] int64 seconds
    price: tf.Tensor  # [batch, length] float32 standard score
    valid: tf.Tensor  # [batch, length] bool


class Evidence(tf.Module):
    """Features [batch, candidates, len(names)] float32 of candidate rows, on the scale of logarithms."""

    def __init__(self, catalog: Catalog, statistics: np.ndarray, clock: str, sources: tuple[str, ...]):
        super().__init__(name="evidence")
        # Without timestamps an event is a "day".
        self._seconds = DAY if clock == "utc" else 1.0
        levels = {f"category_{level}": catalog.category[:, level] for level in range(catalog.category.shape[1])}
        groups = levels | {"text": catalog.text_row, "brand": catalog.brand}
        self._groups = {name: (_constant(values, name), int(values.max()) + 1) for name, values in groups.items()}
        self.statistics = _constant(self._with_groups(statistics), "statistics")
        self._price = _constant(catalog.price.astype(np.float32), "price")
        self.names = (
            *_OF_PAIR,
            *(f"{group}_{name}" for group in groups for name in _OF_GROUP),
            *ITEM_NAMES,
            *(f"item_{group}_{name}" for group in groups for name in _OF_ITEMS_GROUP),
            "item_price",
            *(f"user_{name}" for name in _OF_USER),
            *sources,
        )

    def learn(self, statistics: np.ndarray) -> None:
        """Takes the item statistics [rows, len(ITEM_NAMES)] of another time."""
        self.statistics.assign(self._with_groups(statistics))

    def _with_groups(self, statistics: np.ndarray) -> np.ndarray:
        """The statistics and the shoppers of the last 28 days of each item's groups: all that a new item has."""
        shoppers = statistics[:, ITEM_NAMES.index("item_shoppers_28")]
        columns = [statistics]
        for group, size in self._groups.values():
            place = group.numpy()
            total = np.bincount(place, shoppers, size) * (np.arange(size) > 0)
            items = np.bincount(place, minlength=size)
            columns.append(np.stack([total[place], (total / np.maximum(items, 1))[place]], axis=1))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def __call__(self, past: Past, moments: tf.Tensor, rows: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """`moments` [batch] int64 seconds; `rows` [batch, candidates] int64; `scores` [batch, candidates, sources]."""
        age = tf.cast(moments[:, tf.newaxis] - past.timestamp, tf.float32) / self._seconds
        age = tf.where(past.valid, tf.maximum(age, 0.0), NEVER_DAYS)
        ago = _baskets_ago(past)
        statistics = tf.gather(self.statistics, rows)
        user = self._of_user(past, age, ago)
        pair = self._of_pair(past, age, ago, rows, statistics, user[:, :1])
        groups = [self._of_group(*group, past, age, rows, pair[..., 3]) for group in self._groups.values()]
        price = tf.gather(self._price, rows)[..., tf.newaxis]
        of_user = tf.repeat(user[:, tf.newaxis], tf.shape(rows)[1], axis=1)
        counts = tf.concat([pair, *groups, statistics, price, of_user], axis=-1)
        return tf.concat([_log(counts), scores], axis=-1)

    def _of_pair(
        self, past: Past, age: tf.Tensor, ago: tf.Tensor, rows: tf.Tensor, statistics: tf.Tensor, baskets: tf.Tensor
    ) -> tf.Tensor:
        weights = [tf.ones_like(age), *(_halved(age, days) for days in HALF_LIVES_DAYS)]
        weights += [tf.cast(ago < count, tf.float32) for count in LATEST_BASKETS]
        size = int(self.statistics.shape[0])
        times, idle, oldest = _per_group(past.row, past.valid, tf.stack(weights, axis=-1), age, rows, size)
        count = times[..., 0]
        gap = tf.where(count > 1, (oldest - idle) / tf.maximum(count - 1, 1.0), NEVER_DAYS)
        item_gap = statistics[..., ITEM_NAMES.index("item_gap_days")]
        further = [idle, oldest, gap, idle / tf.maximum(gap, 1.0), idle / tf.maximum(item_gap, 1.0)]
        return tf.concat([times, tf.stack([*further, count / tf.maximum(baskets, 1.0)], axis=-1)], axis=-1)

    def _of_group(
        self, group: tf.Variable, size: int, past: Past, age: tf.Tensor, rows: tf.Tensor, pair: tf.Tensor
    ) -> tf.Tensor:
        """What the history holds of the candidates' category, text or brand; 0 for what is unknown."""
        theirs = tf.gather(group, past.row)
        known = tf.logical_and(past.valid, theirs > 0)
        weights = tf.stack([tf.ones_like(age), _halved(age, 30.0), _halved(age, 120.0)], axis=-1)
        times, idle, _ = _per_group(theirs, known, weights, age, tf.gather(group, rows), size)
        share = tf.math.divide_no_nan(pair, times[..., 2])
        return tf.concat([times, idle[..., tf.newaxis], share[..., tf.newaxis]], axis=-1)

    def _of_user(self, past: Past, age: tf.Tensor, ago: tf.Tensor) -> tf.Tensor:
        """[batch, len(_OF_USER)]."""
        valid = tf.cast(past.valid, tf.float32)
        is_recent = valid * tf.cast(age <= 28, tf.float32)
        baskets = tf.reduce_max(tf.where(past.valid, ago, -1.0), axis=1) + 1
        recent_baskets = tf.reduce_max(tf.where(is_recent > 0, ago, -1.0), axis=1) + 1
        events = tf.reduce_sum(valid, axis=1)
        price = tf.math.divide_no_nan(tf.reduce_sum(past.price * valid, axis=1), events)
        columns = (baskets, recent_baskets, events, tf.reduce_sum(is_recent, axis=1), tf.reduce_min(age, axis=1), price)
        return tf.stack(columns, axis=1)


def _per_group(
    group: tf.Tensor, counts: tf.Tensor, weights: tf.Tensor, age: tf.Tensor, wanted: tf.Tensor, size: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of the events that count [batch, length], for each wanted group [batch, candidates] below `size`:

    the sums of the weights [batch, candidates, weights], the smallest and the largest age [batch, candidates]. By
    tables of all groups, filled once: comparing each candidate with each event takes several times as long.
    """
    batch = tf.shape(group, out_type=group.dtype)[0]
    first = size * tf.range(batch)[:, tf.newaxis]
    place, cells, asked = tf.reshape(group + first, [-1]), size * batch, wanted + first
    weights = tf.where(counts[..., tf.newaxis], weights, 0.0)
    sums = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1, weights.shape[-1]]), place, cells)
    youngest = tf.math.unsorted_segment_min(tf.reshape(tf.where(counts, age, NEVER_DAYS), [-1]), place, cells)
    oldest = tf.math.unsorted_segment_max(tf.reshape(tf.where(counts, age, 0.0), [-1]), place, cells)
    return (
        tf.gather(sums, asked),
        tf.minimum(tf.gather(youngest, asked), NEVER_DAYS),
        tf.maximum(tf.gather(oldest, asked), 0.0),
    )


def _baskets_ago(past: Past) -> tf.Tensor:
    """[batch, length] float32: how many later moments the history holds."""
    times = tf.where(past.valid, past.timestamp, past.timestamp.dtype.max)
    is_last = tf.logical_and(past.valid, times != tf.concat([times[:, 1:], -tf.ones_like(times[:, :1])], axis=1))
    return tf.cumsum(tf.cast(is_last, tf.float32), axis=1, exclusive=True, reverse=True)


def _halved(age: tf.Tensor, half_life: float) -> tf.Tensor:
    return tf.pow(0.5, age / half_life)


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.sign(values) * tf.math.log1p(tf.abs(values))


def _constant(array: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(array, trainable=False, name=name)
