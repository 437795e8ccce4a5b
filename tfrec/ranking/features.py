"""What a shopper's history says of each candidate: the ranker's features, by one graph in training and in serving.

It looks at all of the history that it is given, which may be longer than what the query tower reads. It knows
nothing of who proposed the candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.examples.catalog import Catalog
from tfrec.ranking.item_statistics import NAMES as ITEM_NAMES
from tfrec.ranking.item_statistics import NEVER_DAYS
from tfrec.schema import DAY_SECONDS

HALF_LIVES_DAYS = (7.0, 30.0, 120.0)
LATEST_BASKETS = (5, 20)

_OF_PAIR = (
    *("times", *(f"times_{days:g}" for days in HALF_LIVES_DAYS)),
    *(f"times_in_{count}_baskets" for count in LATEST_BASKETS),
    *("idle_days", "age_days", "gap_days", "due", "item_due", "per_basket"),
)
_GROUP_WEIGHTS = (0, 2, 3)  # of the pair's: every event, and those by half-lives of 30 and 120 days
_HELD = ("times", "times_30", "times_120", "idle_days")  # of a group, whatever else the history holds
_OF_GROUP = (*_HELD, "share")
_OF_ITEMS_GROUP = ("shoppers", "shoppers_per_item")
_OF_USER = ("baskets", "baskets_28", "events", "events_28", "idle_days", "mean_price")


class _Held(NamedTuple):
    """What a batch of histories holds of each group; place 0 is that of what they do not hold."""

    place: tf.Tensor  # [batch, groups] int32 of each group in the other three
    sums: tf.Tensor  # [places, weights] float32
    youngest: tf.Tensor  # [places] float32 days
    oldest: tf.Tensor  # [places] float32 days


class Evidence(tf.Module):
    """Features [batch, candidates, len(names)] float32 of candidate rows, on the scale of logarithms."""

    def __init__(self, catalog: Catalog, statistics: np.ndarray, clock: str, sources: tuple[str, ...]):
        super().__init__(name="evidence")
        # Without timestamps an event is a "day".
        self._seconds = DAY_SECONDS if clock == "utc" else 1.0
        levels = {f"category_{level}": catalog.category[:, level] for level in range(catalog.category.shape[1])}
        groups = levels | {"text": catalog.text_row, "brand": catalog.brand}
        columns = np.stack([np.arange(catalog.rows), *groups.values()], axis=1)
        sizes = columns.max(axis=0) + 1
        # All numbers of an item, its row and its groups, in one range: one table then counts the events of each.
        self._first = np.cumsum(sizes) - sizes
        self._size = int(sizes.sum())
        self._kin = _constant(columns + self._first, "kin")
        self.statistics = _constant(self._with_groups(statistics), "statistics")
        self._price = _constant(catalog.price.astype(np.float32), "price")
        self._groups = tuple(groups)
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
        for place in (self._kin.numpy() - self._first).T[1:]:
            size = int(place.max()) + 1
            total = np.bincount(place, shoppers, size) * (np.arange(size) > 0)
            items = np.bincount(place, minlength=size)
            columns.append(np.stack([total[place], (total / np.maximum(items, 1))[place]], axis=1))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def __call__(self, history: History, query_times: tf.Tensor, rows: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """`moments` [batch] int64 seconds; `rows` [batch, candidates] int64; `scores` [batch, candidates, sources]."""
        age, ago = self._age(history, query_times), _baskets_ago(history)
        statistics = tf.gather(self.statistics, rows)
        user = self._of_user(history, age, ago)
        held = self._held(history, age, ago)
        times, idle, oldest = _of_wanted(held, tf.gather(self._kin, rows))
        pair = self._of_pair(times[:, :, 0], idle[..., 0], oldest[..., 0], statistics, user[:, :1])
        groups = self._of_groups(times, idle)
        price = tf.gather(self._price, rows)[..., tf.newaxis]
        of_user = tf.repeat(user[:, tf.newaxis], tf.shape(rows)[1], axis=1)
        counts = tf.concat([pair, groups, statistics, price, of_user], axis=-1)
        return tf.concat([_log(counts), scores], axis=-1)

    @property
    def of_new(self) -> list[int]:
        """Places in `names` of what is known of an item that nobody chose yet: what its groups say."""
        return [*self._places_held.ravel().tolist(), *self._places_of_items]

    def of_history(
        self, history: History, query_times: tf.Tensor, rows: tf.Tensor, coefficients: tf.Tensor
    ) -> tf.Tensor:
        """[batch, n] coefficients [len(names)] times the features `of_new` that the histories decide.

        Of the items `rows` [n], the same for all; but for a number that all items share.
        """
        age = self._age(history, query_times)
        held = self._held(history, age, _baskets_ago(history))
        counts = _log(tf.gather(held.sums, _GROUP_WEIGHTS, axis=1))
        idle = _log(tf.minimum(held.youngest, NEVER_DAYS)) - np.log1p(NEVER_DAYS)  # 0 where there is none
        of_group = tf.pad(tf.gather(coefficients, self._places_held), [[1, 0], [0, 0]])  # the item itself says nothing
        group = (tf.range(tf.shape(idle)[0]) - 1) % len(of_group)
        says = tf.reduce_sum(tf.gather(of_group, group) * tf.concat([counts, idle[:, tf.newaxis]], axis=1), axis=1)
        by_group = tf.gather(says, held.place)
        return tf.reduce_sum(tf.gather(by_group, tf.gather(self._kin, rows)[:, 1:], axis=1), axis=-1)

    def of_items(self, coefficients: tf.Tensor) -> tf.Tensor:
        """[rows] coefficients [len(names)] times the features `of_new` that are the same for all shoppers."""
        statistics = _log(self.statistics[:, len(ITEM_NAMES) :])
        return tf.linalg.matvec(statistics, tf.gather(coefficients, self._places_of_items))

    @property
    def _places_held(self) -> np.ndarray:
        """[groups, len(_HELD)] places in `names`."""
        return np.array([[self.names.index(f"{group}_{name}") for name in _HELD] for group in self._groups])

    @property
    def _places_of_items(self) -> list[int]:
        """[groups * len(_OF_ITEMS_GROUP)] places in `names`."""
        return [self.names.index(f"item_{group}_{name}") for group in self._groups for name in _OF_ITEMS_GROUP]

    def _age(self, history: History, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, length] days."""
        age = tf.cast(query_times[:, tf.newaxis] - history.timestamp, tf.float32) / self._seconds
        return tf.where(history.valid, tf.maximum(age, 0.0), NEVER_DAYS)

    def _held(self, history: History, age: tf.Tensor, ago: tf.Tensor) -> _Held:
        """Of the history's events with each item itself, and with each group of one (category, text, brand ...).

        What is unknown of an item is no group.
        """
        weights = [tf.ones_like(age), *(_halved(age, days) for days in HALF_LIVES_DAYS)]
        weights += [tf.cast(ago < count, tf.float32) for count in LATEST_BASKETS]
        theirs = tf.gather(self._kin, history.row)
        unknown = np.append(-1, self._first[1:])
        counts = tf.logical_and(history.valid[..., tf.newaxis], theirs != unknown)
        of_each = tf.repeat(tf.stack(weights, axis=-1)[:, :, tf.newaxis], len(unknown), axis=2)
        of_each = tf.where(counts[..., tf.newaxis], of_each, 0.0)
        return _hold(theirs, counts, of_each, age[..., tf.newaxis], self._size)

    def _of_pair(
        self, times: tf.Tensor, idle: tf.Tensor, oldest: tf.Tensor, statistics: tf.Tensor, baskets: tf.Tensor
    ) -> tf.Tensor:
        count = times[..., 0]
        gap = tf.where(count > 1, (oldest - idle) / tf.maximum(count - 1, 1.0), NEVER_DAYS)
        item_gap = statistics[..., ITEM_NAMES.index("item_gap_days")]
        further = [idle, oldest, gap, idle / tf.maximum(gap, 1.0), idle / tf.maximum(item_gap, 1.0)]
        return tf.concat([times, tf.stack([*further, count / tf.maximum(baskets, 1.0)], axis=-1)], axis=-1)

    def _of_groups(self, times: tf.Tensor, idle: tf.Tensor) -> tf.Tensor:
        """[batch, candidates, groups * len(_OF_GROUP)]: what the history holds of the candidates' groups."""
        by_half_life = tf.stack([times[..., place] for place in _GROUP_WEIGHTS], axis=-1)[:, :, 1:]
        share = tf.math.divide_no_nan(times[:, :, :1, _GROUP_WEIGHTS[-1]], by_half_life[..., -1])
        columns = tf.concat([by_half_life, idle[:, :, 1:, tf.newaxis], share[..., tf.newaxis]], axis=-1)
        shape = tf.shape(columns)
        return tf.reshape(columns, [shape[0], shape[1], columns.shape[2] * columns.shape[3]])

    def _of_user(self, history: History, age: tf.Tensor, ago: tf.Tensor) -> tf.Tensor:
        """[batch, len(_OF_USER)]."""
        valid = tf.cast(history.valid, tf.float32)
        is_recent = valid * tf.cast(age <= 28, tf.float32)
        # Of a batch in which nobody has a history the largest and the smallest of no events are infinite.
        baskets = tf.maximum(tf.reduce_max(tf.where(history.valid, ago, -1.0), axis=1) + 1, 0.0)
        recent_baskets = tf.maximum(tf.reduce_max(tf.where(is_recent > 0, ago, -1.0), axis=1) + 1, 0.0)
        idle = tf.minimum(tf.reduce_min(age, axis=1), NEVER_DAYS)
        events = tf.reduce_sum(valid, axis=1)
        price = tf.math.divide_no_nan(tf.reduce_sum(history.price * valid, axis=1), events)
        columns = (baskets, recent_baskets, events, tf.reduce_sum(is_recent, axis=1), idle, price)
        return tf.stack(columns, axis=1)


def _hold(group: tf.Tensor, counts: tf.Tensor, weights: tf.Tensor, age: tf.Tensor, size: int) -> _Held:
    """The sums of the weights, and the smallest and the largest age, of the events that count, by their groups.

    `group` [batch, length, columns] is below `size`, `weights` [batch, length, columns, any] 0 for what does not count.
    A table of all groups tells the place of each among those of the history; only this one is as long as the catalogue.
    Comparing each candidate with each event takes several times as long.
    """
    users = tf.range(tf.shape(group, out_type=group.dtype)[0])[:, tf.newaxis, tf.newaxis]
    key = tf.reshape(group + size * users, [-1])
    events = tf.shape(key)[0]
    last = tf.math.unsorted_segment_max(tf.range(1, events + 1), key, size * tf.shape(group)[0])  # 0 and less: none
    place = tf.gather(last, key)
    return _Held(
        tf.reshape(tf.maximum(last, 0), [-1, size]),
        tf.math.unsorted_segment_sum(tf.reshape(weights, [-1, weights.shape[-1]]), place, events + 1),
        tf.math.unsorted_segment_min(tf.reshape(tf.where(counts, age, NEVER_DAYS), [-1]), place, events + 1),
        tf.math.unsorted_segment_max(tf.reshape(tf.where(counts, age, 0.0), [-1]), place, events + 1),
    )


def _of_wanted(held: _Held, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of the groups `wanted` [batch, candidates, columns] the sums of the weights [..., weights], then the ages."""
    place = tf.gather(held.place, wanted, batch_dims=1)
    return (
        tf.gather(held.sums, place),
        tf.minimum(tf.gather(held.youngest, place), NEVER_DAYS),
        tf.maximum(tf.gather(held.oldest, place), 0.0),
    )


def _baskets_ago(history: History) -> tf.Tensor:
    """[batch, length] float32: how many later moments the history holds."""
    times = tf.where(history.valid, history.timestamp, history.timestamp.dtype.max)
    is_last = tf.logical_and(history.valid, times != tf.concat([times[:, 1:], -tf.ones_like(times[:, :1])], axis=1))
    return tf.cumsum(tf.cast(is_last, tf.float32), axis=1, exclusive=True, reverse=True)


def _halved(age: tf.Tensor, half_life: float) -> tf.Tensor:
    return tf.pow(0.5, age / half_life)


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.sign(values) * tf.math.log1p(tf.abs(values))


def _constant(array: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(array, trainable=False, name=name)
