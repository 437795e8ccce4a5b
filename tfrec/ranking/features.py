"""Ranking features of (user, candidate) pairs, computed by the same graph in training and serving.

They are computed from the whole history, which may be longer than what the query tower encodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.examples.catalog import Catalog
from tfrec.ranking.context.popularity import ContextFeatures
from tfrec.ranking.context.states import StateFeatures
from tfrec.ranking.item_statistics import NEVER_DAYS, STATISTIC_NAMES
from tfrec.ranking.kind_features import KindFeatures, Slots
from tfrec.schema import DAY_SECONDS

HALF_LIVES_DAYS = (7.0, 30.0, 120.0)
LATEST_BASKETS = (5, 20)

PAIR_FEATURES = (
    *("times", *(f"times_{days:g}" for days in HALF_LIVES_DAYS)),
    *(f"times_in_{count}_baskets" for count in LATEST_BASKETS),
    *("idle_days", "age_days", "gap_days", "due", "item_due", "per_basket"),
)
GROUP_WEIGHTS = (0, 2, 3)  # indices among a pair's weights: every event, half-lives of 30 and 120 days
GROUP_HISTORY_FEATURES = ("times", "times_30", "times_120", "idle_days")  # independent of the history's other groups
GROUP_FEATURES = (*GROUP_HISTORY_FEATURES, "share")
ITEM_GROUP_FEATURES = ("users", "users_per_item")
USER_FEATURES = ("baskets", "baskets_28", "events", "events_28", "idle_days", "mean_price")


class FeatureOptions(NamedTuple):
    """Features that a shop has only by its data and settings; (): none."""

    kinds: tuple[str, ...] = ()  # event kinds with features of their own
    context_columns: tuple[str, ...] = ()  # of requests and events


NO_OPTIONS = FeatureOptions()


class GroupEvents(NamedTuple):
    """Aggregates of a batch of histories by group; slot 0 is for groups without events."""

    slot: tf.Tensor  # [batch, groups] int32 index of each group in the other three
    sums: tf.Tensor  # [slots, weights] float32
    youngest: tf.Tensor  # [slots] float32 days
    oldest: tf.Tensor  # [slots] float32 days
    of_event: tf.Tensor  # [batch, length, columns] int32 slot of each event's item and groups
    is_known: tf.Tensor  # [batch, length, columns] bool


class CandidateFeatures(tf.Module):
    """Features [batch, candidates, len(names)] float32 of candidates, on a logarithmic scale."""

    def __init__(
        self,
        catalog: Catalog,
        statistics: np.ndarray,
        clock: str,
        score_names: tuple[str, ...],
        options: FeatureOptions = NO_OPTIONS,
    ):
        super().__init__(name="candidate_features")
        # Without timestamps an event is a "day".
        self._seconds = DAY_SECONDS if clock == "utc" else 1.0
        levels = {f"category_{level}": catalog.category[:, level] for level in range(catalog.category.shape[1])}
        groups = levels | {"text": catalog.known_text_row, "brand": catalog.brand}
        columns = np.stack([np.arange(catalog.rows), *groups.values()], axis=1)
        sizes = columns.max(axis=0) + 1
        # An item's row and its groups get numbers of one range, so that one table counts the events
        # of all.
        self._first = np.cumsum(sizes) - sizes
        self._size = int(sizes.sum())
        self._item_groups = _constant(columns + self._first, "item_groups")  # [rows, 1 + groups]
        self.statistics = _constant(self._with_groups(statistics), "statistics")
        self._by_kind = KindFeatures(catalog.rows, tuple(groups), options.kinds)
        self._states = StateFeatures(catalog.states)
        self._by_context = ContextFeatures(catalog.rows, options.context_columns)
        self._price = _constant(catalog.price.astype(np.float32), "price")
        self.names = (
            *PAIR_FEATURES,
            *(f"{group}_{name}" for group in groups for name in GROUP_FEATURES),
            *STATISTIC_NAMES,
            *(f"item_{group}_{name}" for group in groups for name in ITEM_GROUP_FEATURES),
            "item_price",
            *(f"user_{name}" for name in USER_FEATURES),
            *self._by_kind.names,
            *self._states.names,
            *self._by_context.names,
            *score_names,
        )
        indices = {name: index for index, name in enumerate(self.names)}
        self._group_history_indices = np.array(
            [[indices[f"{group}_{name}"] for name in GROUP_HISTORY_FEATURES] for group in groups]
        )
        self._item_group_indices = [indices[f"item_{group}_{name}"] for group in groups for name in ITEM_GROUP_FEATURES]

    def set_statistics(self, statistics: np.ndarray) -> None:
        """Set the item statistics [rows, len(STATISTIC_NAMES)]."""
        self.statistics.assign(self._with_groups(statistics))

    def set_events(self, events: pd.DataFrame, now: int) -> None:
        """Count users by kind and context in the events before second `now`; bring all states back.

        The events' columns are user, row, kind, timestamp and the context columns.
        """
        self._states.restore()
        self._by_context.set_events(events, now)
        self._by_kind.set_users(events, now, (self._item_groups.numpy() - self._first)[:, 1:])

    def drop_states_before(self, now: int) -> None:
        """Forget the states of items that no query from second `now` on can see."""
        self._states.drop_before(now)

    def compute(
        self,
        history: History,
        query_times: tf.Tensor,
        rows: tf.Tensor,
        scores: tf.Tensor,
        context: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Features of `rows` [batch, candidates] int64 at `query_times` [batch] int64 seconds.

        `scores` [batch, candidates, len(score_names)] are those of the candidate sources, `context`
        [batch, context columns] int64 the indices of each request's context.
        """
        age, baskets_ago = self._age(history, query_times), _baskets_ago(history)
        events = self._aggregate(history, age, baskets_ago)
        times, idle, oldest = _gather_groups(events, tf.gather(self._item_groups, rows))
        statistics = tf.gather(self.statistics, rows)
        user = _user_features(history, age, baskets_ago)
        pair = _pair_features(times[:, :, 0], idle[..., 0], oldest[..., 0], statistics, user[:, :1])
        groups = _group_features(times, idle)
        price = tf.gather(self._price, rows)[..., tf.newaxis]
        users = tf.repeat(user[:, tf.newaxis], tf.shape(rows)[1], axis=1)
        counts = tf.concat([pair, groups, statistics, price, users], axis=-1)
        if self._by_kind.names:
            of_candidate = tf.gather(events.slot, tf.gather(self._item_groups, rows), batch_dims=1)
            slots = Slots(events.of_event, events.is_known, of_candidate)
            counts = tf.concat([counts, self._by_kind.compute(history, age, slots, rows)], axis=-1)
        if self._states.names:
            counts = tf.concat([counts, self._states.compute(query_times, rows)], axis=-1)
        if context is not None:
            counts = tf.concat([counts, self._by_context.compute(context, rows)], axis=-1)
        return tf.concat([_log(counts), scores], axis=-1)

    @property
    def cold_indices(self) -> list[int]:
        """Indices in `names` of the features that a cold item has: those of its groups."""
        return [*self._group_history_indices.ravel().tolist(), *self._item_group_indices]

    def score_history_groups(
        self, history: History, query_times: tf.Tensor, rows: tf.Tensor, coefficients: tf.Tensor
    ) -> tf.Tensor:
        """[batch, n] sum of `coefficients` [len(names)] times the group features of each history.

        The items `rows` [n] are the same for all users. The sum lacks a constant that all items
        share.
        """
        age = self._age(history, query_times)
        events = self._aggregate(history, age, _baskets_ago(history))
        counts = _log(tf.gather(events.sums, GROUP_WEIGHTS, axis=1))
        idle = _log(tf.minimum(events.youngest, NEVER_DAYS)) - np.log1p(NEVER_DAYS)  # 0 where there is no event
        # Column 0 is the item itself, which no history holds if it is cold: its coefficients are 0.
        by_column = tf.pad(tf.gather(coefficients, self._group_history_indices), [[1, 0], [0, 0]])
        column = (tf.range(tf.shape(idle)[0]) - 1) % by_column.shape[0]
        values = tf.concat([counts, idle[:, tf.newaxis]], axis=1)
        by_slot = tf.reduce_sum(tf.gather(by_column, column) * values, axis=1)
        by_group = tf.gather(by_slot, events.slot)
        return tf.reduce_sum(tf.gather(by_group, tf.gather(self._item_groups, rows)[:, 1:], axis=1), axis=-1)

    def score_item_groups(self, coefficients: tf.Tensor) -> tf.Tensor:
        """[rows] sum of `coefficients` [len(names)] times the statistics of the items' groups."""
        statistics = _log(self.statistics[:, len(STATISTIC_NAMES) :])
        return tf.linalg.matvec(statistics, tf.gather(coefficients, self._item_group_indices))

    def _with_groups(self, statistics: np.ndarray) -> np.ndarray:
        """Append the users of the last 28 days of each item's groups.

        A cold item has no other statistics.
        """
        users = statistics[:, STATISTIC_NAMES.index("item_users_28")]
        columns = [statistics]
        for group in (self._item_groups.numpy() - self._first).T[1:]:
            size = int(group.max()) + 1
            total = np.bincount(group, users, size) * (np.arange(size) > 0)
            items = np.bincount(group, minlength=size)
            columns.append(np.stack([total[group], (total / np.maximum(items, 1))[group]], axis=1))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def _age(self, history: History, query_times: tf.Tensor) -> tf.Tensor:
        """[batch, length] days."""
        age = tf.cast(query_times[:, tf.newaxis] - history.timestamp, tf.float32) / self._seconds
        return tf.where(history.valid, tf.maximum(age, 0.0), NEVER_DAYS)

    def _aggregate(self, history: History, age: tf.Tensor, baskets_ago: tf.Tensor) -> GroupEvents:
        """Aggregate events by item and by each group of an item; an unknown value is no group.

        Negative events count by kind alone, see kind_features.py.
        """
        weights = [tf.ones_like(age), *(tf.pow(0.5, age / days) for days in HALF_LIVES_DAYS)]
        weights += [tf.cast(baskets_ago < count, tf.float32) for count in LATEST_BASKETS]
        groups = tf.gather(self._item_groups, history.row)
        unknown = np.append(-1, self._first[1:])
        is_known = tf.logical_and(history.valid[..., tf.newaxis], groups != unknown)
        is_counted = tf.logical_and(is_known, tf.logical_not(history.is_negative)[..., tf.newaxis])
        by_column = tf.repeat(tf.stack(weights, axis=-1)[:, :, tf.newaxis], len(unknown), axis=2)
        by_column = tf.where(is_counted[..., tf.newaxis], by_column, 0.0)
        events = _aggregate_by_group(groups, is_counted, by_column, age[..., tf.newaxis], self._size)
        return events._replace(is_known=is_known)


def _aggregate_by_group(
    group: tf.Tensor, is_counted: tf.Tensor, weights: tf.Tensor, age: tf.Tensor, size: int
) -> GroupEvents:
    """Sums of the weights, smallest and largest age of the counted events, by user and group.

    `group` [batch, length, columns] is below `size`, `weights` [batch, length, columns, any] is 0
    for events that are not counted. A table of all groups gives the slot of each group that the
    history holds; it alone is as long as the catalog. To compare each candidate with each event
    takes several times as long.
    """
    users = tf.range(tf.shape(group, out_type=group.dtype)[0])[:, tf.newaxis, tf.newaxis]
    key = tf.reshape(group + size * users, [-1])
    events = tf.shape(key)[0]
    # The slot of a group is the number, from 1, of its last event; 0 or less where it has none.
    last = tf.math.unsorted_segment_max(tf.range(1, events + 1), key, size * tf.shape(group)[0])
    slot = tf.gather(last, key)
    return GroupEvents(
        tf.reshape(tf.maximum(last, 0), [-1, size]),
        tf.math.unsorted_segment_sum(tf.reshape(weights, [-1, weights.shape[-1]]), slot, events + 1),
        tf.math.unsorted_segment_min(tf.reshape(tf.where(is_counted, age, NEVER_DAYS), [-1]), slot, events + 1),
        tf.math.unsorted_segment_max(tf.reshape(tf.where(is_counted, age, 0.0), [-1]), slot, events + 1),
        tf.reshape(slot, tf.shape(group)),
        is_counted,
    )


def _gather_groups(events: GroupEvents, groups: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sums, youngest and oldest age of `groups` [batch, candidates, columns].

    The sums are [batch, candidates, columns, weights], the ages [batch, candidates, columns].
    """
    slot = tf.gather(events.slot, groups, batch_dims=1)
    return (
        tf.gather(events.sums, slot),
        tf.minimum(tf.gather(events.youngest, slot), NEVER_DAYS),
        tf.maximum(tf.gather(events.oldest, slot), 0.0),
    )


def _pair_features(
    times: tf.Tensor, idle: tf.Tensor, oldest: tf.Tensor, statistics: tf.Tensor, baskets: tf.Tensor
) -> tf.Tensor:
    """[batch, candidates, len(PAIR_FEATURES)] of the events with the candidate itself."""
    count = times[..., 0]
    gap = tf.where(count > 1, (oldest - idle) / tf.maximum(count - 1, 1.0), NEVER_DAYS)
    item_gap = statistics[..., STATISTIC_NAMES.index("item_gap_days")]
    rhythm = [idle, oldest, gap, idle / tf.maximum(gap, 1.0), idle / tf.maximum(item_gap, 1.0)]
    return tf.concat([times, tf.stack([*rhythm, count / tf.maximum(baskets, 1.0)], axis=-1)], axis=-1)


def _group_features(times: tf.Tensor, idle: tf.Tensor) -> tf.Tensor:
    """[batch, candidates, groups * len(GROUP_FEATURES)] of the events with a candidate's groups."""
    by_half_life = tf.stack([times[..., index] for index in GROUP_WEIGHTS], axis=-1)[:, :, 1:]
    share = tf.math.divide_no_nan(times[:, :, :1, GROUP_WEIGHTS[-1]], by_half_life[..., -1])
    columns = tf.concat([by_half_life, idle[:, :, 1:, tf.newaxis], share[..., tf.newaxis]], axis=-1)
    shape = tf.shape(columns)
    return tf.reshape(columns, [shape[0], shape[1], columns.shape[2] * columns.shape[3]])


def _user_features(history: History, age: tf.Tensor, baskets_ago: tf.Tensor) -> tf.Tensor:
    """[batch, len(USER_FEATURES)]."""
    valid = tf.cast(history.valid, tf.float32)
    is_recent = valid * tf.cast(age <= 28, tf.float32)
    # The maximum and the minimum over a history of length 0 are infinite, hence the limits.
    baskets = tf.maximum(tf.reduce_max(tf.where(history.valid, baskets_ago, -1.0), axis=1) + 1, 0.0)
    recent_baskets = tf.maximum(tf.reduce_max(tf.where(is_recent > 0, baskets_ago, -1.0), axis=1) + 1, 0.0)
    idle = tf.minimum(tf.reduce_min(age, axis=1), NEVER_DAYS)
    events = tf.reduce_sum(valid, axis=1)
    price = tf.math.divide_no_nan(tf.reduce_sum(history.price * valid, axis=1), events)
    columns = (baskets, recent_baskets, events, tf.reduce_sum(is_recent, axis=1), idle, price)
    return tf.stack(columns, axis=1)


def _baskets_ago(history: History) -> tf.Tensor:
    """[batch, length] float32 number of later baskets; the events of one timestamp are a basket."""
    times = tf.where(history.valid, history.timestamp, history.timestamp.dtype.max)
    is_last = tf.logical_and(history.valid, times != tf.concat([times[:, 1:], -tf.ones_like(times[:, :1])], axis=1))
    return tf.cumsum(tf.cast(is_last, tf.float32), axis=1, exclusive=True, reverse=True)


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.sign(values) * tf.math.log1p(tf.abs(values))


def _constant(array: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(array, trainable=False, name=name)
