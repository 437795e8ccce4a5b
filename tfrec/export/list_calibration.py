"""Calibrated lists (Steck, RecSys 2018): popular items and categories as in the user's history.

A greedy selection takes the item with the highest probability, less a price for what exceeds the
history's shares: an item of the most popular tenth beyond the share of that tenth (Abdollahpouri et
al., 2021), and an item of a category of the widest level beyond that of the category. Items are
selected page by page and keep their plain order within a page, so that the best stay first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.examples.catalog import Catalog

PRICE = 0.2
"""Probability that a popular item beyond the share has to be above another, at strength 1."""

_WEIGHTS = (1.0, 0.05)  # of the prices of popularity and of categories
_POPULAR_SHARE = 0.8  # of the history's: its events repeat popular items more than its labels do
_TENTH = 10
_PRIOR = 20.0  # events of an average history that each history is filled up with
_EMPTY = -1e30  # value of an empty position: after every item, before the items that are taken


class Partitions(NamedTuple):
    """Partitions of the items of lists: popularity and categories."""

    groups: tf.Tensor  # [partitions, batch, k] int32 group of each item
    targets: tf.Tensor  # [partitions, batch, k] largest share of the item's group without a price


class ListCalibration(tf.Module):
    """Reorders lists of catalog rows towards the shares of a history."""

    def __init__(self, catalog: Catalog, popularity: np.ndarray, page_size: int) -> None:
        """`popularity` [rows] orders the items: numbers of users, or of events."""
        super().__init__(name="list_calibration")
        self._page_size = page_size
        groups = np.stack([_is_popular(popularity), catalog.category[:, 0]]).astype(np.int32)
        totals = [np.bincount(group, catalog.frequency) for group in groups]
        interactions = max(float(catalog.frequency.sum()), 1.0)
        shares = [total[group] / interactions for group, total in zip(groups, totals, strict=True)]
        self._groups = tf.Variable(groups, trainable=False, name="groups")  # [partitions, rows]
        self._shares = tf.Variable(np.stack(shares).astype(np.float32), trainable=False, name="shares")

    def order(self, history: History, rows: tf.Tensor, relevance: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """[batch, k] int32 positions of `rows` [batch, k] int64 in calibrated order.

        `relevance` [batch, k] are probabilities or on their scale, highest first. `strength`
        [batch] in [0, 1] multiplies PRICE; 0 keeps the order. Empty positions, row 0, stay at the
        end.
        """
        is_counted = tf.logical_and(history.valid, tf.logical_not(history.is_negative))
        is_counted = tf.cast(is_counted, tf.float32)
        events = tf.reduce_sum(is_counted, axis=1)[:, tf.newaxis]
        groups = tf.unstack(tf.gather(self._groups, rows, axis=1))
        of_events = tf.unstack(tf.gather(self._groups, history.row, axis=1))
        average = tf.unstack(tf.gather(self._shares, rows, axis=1))
        targets = []
        for group, of_event, share in zip(groups, of_events, average, strict=True):
            is_same = tf.cast(group[:, :, tf.newaxis] == of_event[:, tf.newaxis], tf.float32)
            count = tf.linalg.matvec(is_same, is_counted)
            targets.append((count + _PRIOR * share) / (events + _PRIOR))
        # Items that are not popular have no price.
        targets[0] = tf.where(groups[0] > 0, _POPULAR_SHARE * targets[0], 1.0)
        partitions = Partitions(tf.stack(groups), tf.stack(targets))
        return calibrated_order(partitions, tf.where(rows > 0, relevance, _EMPTY), strength, self._page_size)


def calibrated_order(partitions: Partitions, relevance: tf.Tensor, strength: tf.Tensor, page_size: int) -> tf.Tensor:
    """[batch, k] int32 positions of the input in calibrated order.

    `relevance` [batch, k] falls, `strength` is [batch].
    """
    groups, targets = partitions
    k = int(relevance.shape[1])
    price = PRICE * strength[:, tf.newaxis]
    weights = tf.reshape(tf.constant(_WEIGHTS), [-1, 1, 1])

    def take_best(
        position: tf.Tensor, value: tf.Tensor, counts: tf.Tensor, order: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
        length = tf.cast(position + 1, tf.float32)
        excess = tf.clip_by_value(counts + 1.0 - targets * length, 0.0, 1.0)
        best = tf.argmax(value - price * tf.reduce_sum(weights * excess, axis=0), axis=1, output_type=tf.int32)
        value = tf.where(tf.one_hot(best, k, True, False), float("-inf"), value)
        taken = tf.gather(groups, tf.repeat(best[tf.newaxis], len(_WEIGHTS), axis=0), batch_dims=2)
        counts += tf.cast(groups == taken[..., tf.newaxis], tf.float32)
        return position + 1, value, counts, order.write(position, best)

    order = tf.TensorArray(tf.int32, k, element_shape=[None])
    start = (tf.zeros([], tf.int32), relevance, tf.zeros_like(targets), order)
    *_, taken = tf.while_loop(lambda position, *_: position < k, take_best, start)
    page = tf.range(k) // page_size
    return tf.sort(tf.transpose(taken.stack()) + k * page, axis=1) - k * page


def _is_popular(popularity: np.ndarray) -> np.ndarray:
    """[rows] bool: the most popular tenth of the items with any popularity."""
    items = np.count_nonzero(popularity)
    popular = np.zeros(len(popularity), bool)
    popular[np.argsort(-popularity, kind="stable")[: -(-items // _TENTH)]] = True
    return popular & (popularity > 0)
