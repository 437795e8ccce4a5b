"""Calibrated lists (Steck, RecSys 2018): popular items and categories as in the user's history.

A greedy selection weighs an item's position in the plain order against the Kullback-Leibler
divergence of the list's shares from the history's. There are two partitions of the items: the most
popular tenth and the others (Abdollahpouri et al., 2021), and the categories of the widest level.
Items are selected page by page, and keep their plain order within a page, so that the best stay
first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.examples.catalog import Catalog

WEIGHTS = (1.0, 0.02)
"""Weights of the divergences of popularity and of categories."""

_TENTH = 10
_PRIOR = 20.0  # events of an average history that each history is filled up with
_STEP = 0.01  # of relevance, from a position to the next
_SMOOTHING = 0.01  # share of the target in a list's shares, which are then never 0
_EMPTY = -1e30  # value of an empty position: after every item, before the items that are taken


class Partitions(NamedTuple):
    """Partitions of the items of lists: popularity and categories."""

    groups: tf.Tensor  # [partitions, batch, k] int32 group of each item
    targets: tf.Tensor  # [partitions, batch, k] share that the item's group should have


class ListCalibration(tf.Module):
    """Reorders lists of catalog rows towards the shares of a history."""

    def __init__(self, catalog: Catalog, page_size: int) -> None:
        super().__init__(name="list_calibration")
        self._page_size = page_size
        groups = np.stack([_is_popular(catalog.frequency), catalog.category[:, 0]]).astype(np.int32)
        totals = [np.bincount(group, catalog.frequency) for group in groups]
        interactions = max(float(catalog.frequency.sum()), 1.0)
        shares = [total[group] / interactions for group, total in zip(groups, totals, strict=True)]
        self._groups = tf.Variable(groups, trainable=False, name="groups")  # [partitions, rows]
        self._shares = tf.Variable(np.stack(shares).astype(np.float32), trainable=False, name="shares")

    def order(self, history: History, rows: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """[batch, k] int32 positions of `rows` [batch, k] int64 in calibrated order.

        `strength` [batch] in [0, 1] is the weight of the divergences; 0 keeps the order. Empty
        positions, row 0, stay at the end.
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
        return calibrated_order(Partitions(tf.stack(groups), tf.stack(targets)), rows > 0, strength, self._page_size)


def calibrated_order(partitions: Partitions, is_item: tf.Tensor, strength: tf.Tensor, page_size: int) -> tf.Tensor:
    """[batch, k] int32 positions of the input in calibrated order.

    `is_item` [batch, k] bool is false for empty positions at the end; `strength` is [batch].
    """
    groups, targets = partitions
    k = int(is_item.shape[1])
    weight = strength[:, tf.newaxis]
    relevance = (1.0 - weight) * -_STEP * tf.range(k, dtype=tf.float32)
    value = tf.where(is_item, relevance, _EMPTY)
    of_partition = tf.reshape(tf.constant(WEIGHTS), [-1, 1, 1])

    def take_best(position: tf.Tensor, value: tf.Tensor, counts: tf.Tensor, order: tf.TensorArray) -> tf.Tensor:
        # What one more item of its group takes from the divergence; the other groups' part is equal
        # for all items.
        length = tf.cast(position + 1, tf.float32)
        prior = _SMOOTHING / (1.0 - _SMOOTHING) * length * targets
        gain = length * targets * tf.math.log((counts + 1.0 + prior) / tf.maximum(counts + prior, 1e-9))
        best = tf.argmax(value + weight * tf.reduce_sum(of_partition * gain, axis=0), axis=1, output_type=tf.int32)
        value = tf.where(tf.one_hot(best, k, True, False), float("-inf"), value)
        taken = tf.gather(groups, tf.repeat(best[tf.newaxis], len(WEIGHTS), axis=0), batch_dims=2)
        counts += tf.cast(groups == taken[..., tf.newaxis], tf.float32)
        return position + 1, value, counts, order.write(position, best)

    start = (tf.zeros([], tf.int32), value, tf.zeros_like(targets), tf.TensorArray(tf.int32, k, element_shape=[None]))
    *_, taken = tf.while_loop(lambda position, *_: position < k, take_best, start)
    page = tf.range(k) // page_size
    return tf.sort(tf.transpose(taken.stack()) + k * page, axis=1) - k * page


def _is_popular(frequency: np.ndarray) -> np.ndarray:
    """[rows] bool: the most popular tenth of the items with a training event."""
    items = np.count_nonzero(frequency)
    popular = np.zeros(len(frequency), bool)
    popular[np.argsort(-frequency, kind="stable")[: -(-items // _TENTH)]] = True
    return popular & (frequency > 0)
