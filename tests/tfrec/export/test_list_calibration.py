"""Calibrated lists, worked out by hand.

An item adds length * target * log((count + 1 + prior) / (count + prior)) of each partition, where
prior = 0.01 / 0.99 * length * target; a position costs 0.01 * (1 - strength).
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.export.list_calibration import ListCalibration, Partitions, calibrated_order
from tfrec.schema import EVENT_KINDS


def order(
    popular: list[int], category: list[int], strengths: list[float], *, page: int = 2, items: int = 9
) -> list[list[int]]:
    """Positions of a list for each strength; every group should have half of it."""
    groups = tf.tile(tf.constant([popular, category])[:, tf.newaxis], [1, len(strengths), 1])
    is_item = tf.constant([[index < items for index in range(len(popular))]] * len(strengths))
    partitions = Partitions(groups, tf.fill(groups.shape, 0.5))
    return calibrated_order(partitions, is_item, tf.constant(strengths), page).numpy().tolist()


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        # The second position: 1 has -0.00999 + 0.001 * log(2.01 / 1.01) = -0.0093,
        # 3 has -0.02997 + 0.001 * log(1.01 / 0.01) = -0.0254. The third: 2 has -0.0194, 3 has
        # -0.02997 + 0.001 * 1.5 * log(1.015 / 0.015) = -0.0237.
        (0.001, [0, 1, 2, 3]),
        # The second position: 1 has -0.005 + 0.5 * 0.69 = 0.34, 3 has -0.015 + 0.5 * 4.6 = 2.29.
        (0.5, [0, 3, 1, 2]),
        (1.0, [0, 3, 1, 2]),
    ],
)
def test_popular_items_make_room_for_others_as_the_strength_rises(strength, expected):
    assert order([1, 1, 1, 0], [0, 0, 0, 0], [strength]) == [expected]


def test_each_row_has_a_strength_of_its_own():
    assert order([1, 1, 1, 0], [0, 0, 0, 0], [0.0, 1.0]) == [[0, 1, 2, 3], [0, 3, 1, 2]]


def test_a_missing_category_comes_up_too():
    # The second position: 1 has -0.005 + 0.5 * 0.02 * 0.69 = 0.002,
    # 2 has -0.01 + 0.5 * 0.02 * 4.6 = 0.036.
    assert order([0, 0, 0], [4, 4, 7], [0.5]) == [[0, 2, 1]]


def test_the_items_of_a_page_keep_their_order():
    # 0, 3, 1 and 2 are selected, in this order; 1 comes before 3 on a page of three.
    assert order([1, 1, 1, 0], [0, 0, 0, 0], [1.0], page=3) == [[0, 1, 3, 2]]


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_empty_positions_stay_at_the_end(strength):
    # The empty positions are of the group that the list lacks.
    assert order([1, 1, 1, 0, 0], [0] * 5, [strength], items=3) == [[0, 1, 2, 3, 4]]
    assert order([1, 1, 1, 0, 0], [0] * 5, [strength], items=0) == [[0, 1, 2, 3, 4]]


def history(rows: list[int], kind: str = "purchase") -> History:
    shape = [1, len(rows)]
    return History(
        row=tf.constant([rows], tf.int64, shape),
        kind=tf.fill(shape, np.int64(1 + EVENT_KINDS.index(kind))),
        timestamp=tf.zeros(shape, tf.int64),
        price=tf.zeros(shape),
        valid=tf.constant([rows], tf.int64, shape) > 0,
    )


@pytest.mark.parametrize(
    ("events", "kind", "expected"),
    [
        # Popular items have 10 of 28 interactions; an average history of 20 events is added.
        # 20 events with others: a popular item should have (20 * 10 / 28) / 40 = 0.18 of the list.
        # Third position: popular 3 * 0.18 * log(2.005 / 1.005) = 0.37, others 1.68.
        ([10] * 20, "purchase", [1, 3, 4, 2]),
        # 20 events with popular ones: 0.68. Third position: popular 1.39, others 0.66.
        ([1] * 20, "purchase", [1, 2, 3, 4]),
        ([1] * 20 + [0] * 60, "purchase", [1, 2, 3, 4]),  # row 0 is padding
        # Nothing known: 10 / 28 = 0.36. Third position: popular 0.74, others 1.32.
        ([], "purchase", [1, 3, 4, 2]),
        ([1] * 20, "dislike", [1, 3, 4, 2]),  # speaks against its item, counts as nothing
    ],
)
def test_the_shares_of_a_list_follow_the_history(make_catalog, events, kind, expected):
    # Of 20 items the first two are the most popular tenth.
    catalog = make_catalog([[1]] * 20, frequency=np.array([0, 5, 5, *[1] * 18]))
    calibration, rows = ListCalibration(catalog, page_size=3), tf.constant([[1, 2, 3, 4]], tf.int64)
    positions = calibration.order(history(events, kind), rows, tf.constant([1.0]))
    assert tf.gather(rows, positions, batch_dims=1).numpy().tolist() == [expected]
