"""Maximal marginal relevance on four items, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.export.mmr import mmr_order

# Items 0 and 1 are nearly alike, as are 2 and 3; relevance is 1, 3/4, 1/2 and 1/4.
SIMILARITY = np.array(
    [
        [1.0, 0.9, 0.1, 0.0],
        [0.9, 1.0, 0.2, 0.0],
        [0.1, 0.2, 1.0, 0.8],
        [0.0, 0.0, 0.8, 1.0],
    ],
    np.float32,
)


def order(diversity: list[float], items: int = 4) -> list[list[int]]:
    batch = len(diversity)
    is_item = tf.constant([[index < items for index in range(4)]] * batch)
    return mmr_order(tf.constant([SIMILARITY] * batch), is_item, tf.constant(diversity)).numpy().tolist()


@pytest.mark.parametrize(
    ("diversity", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        # After 0: item 1 has 0.9 * 0.75 - 0.1 * 0.9 = 0.585,
        # item 2 has 0.9 * 0.5 - 0.1 * 0.1 = 0.44.
        (0.1, [0, 1, 2, 3]),
        # After 0: 1 has 0.375 - 0.45 = -0.075, 2 has 0.25 - 0.05 = 0.2, 3 has 0.125.
        # After 2: 1 has -0.075, 3 has 0.125 - 0.4 = -0.275.
        (0.5, [0, 2, 1, 3]),
        # Relevance has no weight: 3 is least similar to 0 (0.0). Then 2 is
        # 0.8 similar to 3, and 1 is 0.9 similar to 0.
        (1.0, [0, 3, 2, 1]),
    ],
)
def test_each_position_goes_to_a_relevant_item_unlike_those_before(diversity, expected):
    assert order([diversity]) == [expected]


def test_each_row_has_a_diversity_of_its_own():
    assert order([0.0, 1.0, 0.5]) == [[0, 1, 2, 3], [0, 3, 2, 1], [0, 2, 1, 3]]


def test_opposite_items_count_as_less_similar_than_unrelated_ones():
    similarity = tf.constant([[[1.0, 0.0, -0.9], [0.0, 1.0, 0.0], [-0.9, 0.0, 1.0]]])
    # After 0 at a weight of 0.5: 1 has 1/3 - 0, 2 has 1/6 + 0.45.
    assert mmr_order(similarity, tf.constant([[True] * 3]), tf.constant([0.5])).numpy().tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_empty_positions_stay_at_the_end(diversity):
    # Of three items relevance is 1, 2/3, 1/3: at 0.5 item 1 has 1/3 - 0.45, item 2 has 1/6 - 0.05.
    assert order([diversity], items=3) == [[0, 1, 2, 3] if diversity == 0 else [0, 2, 1, 3]]
    assert order([diversity], items=0) == [[0, 1, 2, 3]]
