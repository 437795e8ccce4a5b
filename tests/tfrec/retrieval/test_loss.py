"""Parts of the loss, worked out by hand: sampling probability, score mask, target weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.retrieval.loss import is_repeat, kind_weights, sampling_probability, score_mask, target_weights

DAY = 86_400

# Sampling probability.


def test_the_sampling_probability_mixes_frequency_and_uniform_draws():
    # Of 5 columns 2 are drawn by frequency (6, 3, 1 of 10), 3 uniformly out of 3 items; an item is
    # expected 2 * 0.6 + 3 / 3 = 2.2, 2 * 0.3 + 1 = 1.6, 2 * 0.1 + 1 = 1.2 times. Only the ratios
    # count.
    probability = sampling_probability(tf.constant([0.6, 0.3, 0.1, 0.6]), tf.constant(2), 3 / 3)
    np.testing.assert_allclose(probability, [1, 1.6 / 2.2, 1.2 / 2.2, 1], rtol=1e-6)


def test_an_item_without_interactions_is_drawn_uniformly_only():
    # One column by frequency, one uniformly out of 2 items: 1 + 0.5 and 0 + 0.5
    probability = sampling_probability(tf.constant([1.0, 0.0]), tf.constant(1), 1 / 2)
    np.testing.assert_allclose(probability, [1, 1 / 3], rtol=1e-6)


# Score mask. User 0 viewed item 1 and bought item 2 with it, then item 3; user 1 bought item 1,
# then item 4. Columns: the targets 2, 3 | 1, 4, then the uniform negatives 2, 3, 5.
ROWS = [[1, 2, 3], [1, 4, 0]]
TIMES = [[10, 10, 20], [10, 30, 0]]
IS_TARGET = [[False, True, True], [True, True, False]]
COLUMNS = [2, 3, 1, 4, 2, 3, 5]


@pytest.mark.parametrize(
    ("mask_positives", "mask"),
    [
        # The target itself always counts; the same item in another column never.
        ("none", ["1111011", "1111101", "1111111", "1111111"]),
        # Nor do 1, 2 and 3 for user 0, 1 and 4 for user 1, context included.
        ("sequence", ["1001001", "0101001", "1110111", "1101111"]),
        # No two targets were bought at one time: user 0's item 1 is context, user 1's is another
        # user's.
        ("basket", ["1111011", "1111101", "1111111", "1111111"]),
    ],
)
def test_a_users_positives_are_masked_as_configured(mask_positives, mask):
    assert mask_of(history_of(ROWS, TIMES), IS_TARGET, COLUMNS, mask_positives) == mask


RETURN = 10  # as in preprocessing.kind_index


def test_a_returned_item_is_a_negative_of_its_user():
    # User 0 returned item 1, bought item 2, then item 1 is in the batch and drawn.
    history = history_of([[1, 2, 0]], [[10, 20, 0]])
    is_target = [[False, True, False]]
    assert mask_of(history._replace(kind=tf.constant([[4, 4, 0]], tf.int64)), is_target, [2, 1, 3], "sequence") == [
        "101"
    ]
    returned = history._replace(kind=tf.constant([[RETURN, 4, 0]], tf.int64))
    assert mask_of(returned, is_target, [2, 1, 3], "sequence") == ["111"]
    assert (
        is_repeat(history_of([[1, 1]], [[10, 20]])._replace(kind=tf.constant([[RETURN, 4]], tf.int64))).numpy().any()
        == 0
    )


def test_items_of_one_basket_are_no_negatives_of_each_other():
    # User 0 buys items 2 and 3 together; user 1 buys item 1 at that same time, which is another
    # basket.
    history = history_of(ROWS, [[5, 20, 20], [20, 30, 0]])
    mask = mask_of(history, IS_TARGET, COLUMNS, "basket")
    assert [row[:4] for row in mask] == ["1011", "0111", "1111", "1111"]


def test_with_repeats_new_items_compete_with_what_is_new_to_the_user():
    # Item 2 is bought for the first time, between two purchases of item 1, then items 1, 2 and 3
    # are drawn.
    history = history_of([[1, 2, 1]], [[10, 20, 30]])
    assert mask_of(history, [[False, True, True]], [2, 1, 1, 2, 3], "repeat") == ["10001", "11011"]


def test_with_repeats_the_items_of_one_basket_are_no_negatives_of_each_other():
    # Items 1 and 2 are bought together, and together again.
    history = history_of([[1, 2, 1, 2]], [[10, 10, 20, 20]])
    assert mask_of(history, [[False, False, True, True]], [1, 2, 3], "repeat") == ["101", "011"]


def history_of(rows: list[list[int]], times: list[list[int]]) -> History:
    row = tf.constant(rows, tf.int64)
    return History(row, row, tf.constant(times, tf.int64), tf.cast(row, tf.float32), row > 0)


def mask_of(history: History, is_target: list[list[bool]], columns: list[int], mask_positives: str) -> list[str]:
    """A row for each target, a digit for each column."""
    mask = score_mask(history, tf.constant(is_target), tf.constant(columns, tf.int64), mask_positives)
    return ["".join(map(str, line)) for line in mask.numpy().astype(int)]


# Target weights.


def test_an_event_is_a_repeat_after_an_earlier_event_of_its_item():
    # The second item 3 is bought at the time of the first one, so it is no repeat; the second item
    # 1 is one.
    history = history_of([[1, 3, 3, 1], [1, 2, 0, 0]], [[10, 10, 10, 20], [20, 20, 0, 0]])
    assert is_repeat(history).numpy().tolist() == [[False, False, False, True], [False, False, False, False]]


def test_repeats_have_a_weight_of_their_own():
    history, is_target = history_of([[1, 2, 1]], [[10, 20, 30]]), tf.constant([[False, True, True]])
    np.testing.assert_allclose(target_weights(history, is_target, 0.25, 0.0), [1.0, 0.25])


def test_a_weight_halves_with_each_half_life_before_the_latest_event():
    history = history_of([[1, 2], [3, 0]], [[DAY, 2 * DAY], [4 * DAY, 0]])
    is_target = tf.constant([[True, True], [True, False]])
    # Half-lives of two days: 3 and 2 days before the latest event, then the latest event itself.
    np.testing.assert_allclose(target_weights(history, is_target, 1.0, 2.0), [0.5**1.5, 0.5, 1.0], rtol=1e-6)


def test_other_kinds_than_the_labels_have_a_weight_of_their_own():
    # No kind, then view, click, cart, purchase and the rest, as in preprocessing.kind_index.
    weights = kind_weights(("cart", "purchase"), 0.25)
    assert weights[:5].tolist() == [0.25, 0.25, 0.25, 1.0, 1.0]
    assert set(weights[5:].tolist()) == {0.25}
    assert set(kind_weights((), 0.25).tolist()) == {1.0}
