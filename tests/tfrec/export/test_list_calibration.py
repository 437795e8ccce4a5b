"""Calibrated lists, worked out by hand.

An item costs price * min(max(count + 1 - target * length, 0), 1) in each partition. The price is
0.2 * strength for popularity and a twentieth of it for categories.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.export.list_calibration import ListCalibration, Partitions, calibrated_order
from tfrec.schema import EVENT_KINDS

RELEVANCE = (0.5, 0.45, 0.4, 0.35)


def order(
    popular: list[int],
    strengths: list[float],
    relevance: tuple[float, ...] = RELEVANCE,
    *,
    category: list[int] | None = None,
    page: int = 2,
) -> list[list[int]]:
    """Positions of a list for each strength: half of it popular, half of each `category` if any."""
    none = [0] * len(popular)
    groups = tf.constant([[popular] * len(strengths), [category or none] * len(strengths)])
    targets = tf.constant([[0.5 if is_popular else 1.0 for is_popular in popular], [0.5 if category else 1.0] * 4])
    partitions = Partitions(groups, tf.repeat(targets[:, tf.newaxis], len(strengths), axis=1))
    of_users = tf.constant([relevance] * len(strengths))
    return calibrated_order(partitions, of_users, tf.constant(strengths), page).numpy().tolist()


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        # The second position: 1 has 0.45 - 0.02. The third: 2 has 0.4 - 0.02, above 0.35.
        (0.1, [0, 1, 2, 3]),
        # The second position: 1 has 0.45 - 0.11 = 0.34, below 0.35.
        (0.55, [0, 3, 1, 2]),
        # The first position: 0 has 0.5 - 0.2 * 0.5 = 0.4.
        (1.0, [0, 3, 1, 2]),
    ],
)
def test_popular_items_make_room_for_others_as_the_strength_rises(strength, expected):
    assert order([1, 1, 1, 0], [strength]) == [expected]


def test_each_row_has_a_strength_of_its_own():
    assert order([1, 1, 1, 0], [0.0, 1.0]) == [[0, 1, 2, 3], [0, 3, 1, 2]]


def test_an_item_of_another_category_comes_first_if_it_is_hardly_less_likely():
    relevance = (0.5, 0.45, 0.445, 0.1)
    # The second position: 1 has 0.45 - 0.01 * strength.
    assert order([0, 0, 0, 0], [0.4, 0.6], relevance, category=[4, 4, 7, 4]) == [[0, 1, 2, 3], [0, 2, 1, 3]]


def test_the_items_of_a_page_keep_their_order():
    # 0, 3, 1 and 2 are selected, in this order; 1 comes before 3 on a page of three.
    assert order([1, 1, 1, 0], [1.0], page=3) == [[0, 1, 3, 2]]


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
        # 180 events with others: 0.8 * (20 * 10 / 28) / 200 = 0.029 of the list may be popular.
        # The first position: 1 has 0.5 - 0.2 * 0.971 = 0.306, then 0.5 - 0.2 * 0.943 = 0.311.
        ([10] * 180, "purchase", [3, 4, 1, 2]),
        # 180 events with popular ones: 0.749. The second position: 2 has 0.45 - 0.1006 = 0.349.
        ([1] * 180, "purchase", [1, 2, 3, 4]),
        ([1] * 180 + [0] * 500, "purchase", [1, 2, 3, 4]),  # row 0 is padding
        # Nothing known: 0.286. The first position: 1 has 0.5 - 0.2 * 0.714 = 0.357. The second: 2
        # has 0.45 - 0.2.
        ([], "purchase", [1, 3, 2, 4]),
        ([10] * 180, "dislike", [1, 3, 2, 4]),  # speaks against its item, counts as nothing
    ],
)
def test_the_shares_of_a_list_follow_the_history(make_catalog, events, kind, expected):
    # Of 20 items the first two are the most popular tenth. Row 0 is an empty position.
    frequency = np.array([0, 5, 5, *[1] * 18])
    calibration = ListCalibration(make_catalog([[1]] * 20, frequency=frequency), frequency, page_size=2)
    rows, relevance = tf.constant([[1, 2, 3, 4, 0]], tf.int64), tf.constant([[0.5, 0.45, 0.34, 0.32, 0.9]])
    positions = calibration.order(history(events, kind), rows, relevance, tf.constant([1.0]))
    assert tf.gather(rows, positions, batch_dims=1).numpy().tolist() == [[*expected, 0]]
