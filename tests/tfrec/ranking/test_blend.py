"""Blends of ranker and towers, and the NDCG@20 by which one is selected, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.ranking.blend import (
    BLENDS,
    POPULARITY,
    TOWERS,
    Blend,
    best_blend,
    best_blend_without_history,
    ndcg_of_blends,
    parts_of,
    user_ndcg,
)

SECOND = 1 / np.log2(3)  # NDCG of one relevant item at rank 2


def test_ndcg_is_of_the_users_with_a_positive():
    user = np.array([4, 4, 4, 7, 7, 9])
    scores = np.array([3.0, 2.0, 1.0, 1.0, 2.0, 5.0])
    is_positive = np.array([False, True, False, False, True, False])
    # User 4: the positive is second. User 7: it is first. User 9 has none.
    assert user_ndcg(user, scores, is_positive) == pytest.approx([SECOND, 1])


def test_only_the_first_20_count():
    user, scores = np.zeros(21, int), -np.arange(21.0)
    assert user_ndcg(user, scores, np.arange(21) == 20) == 0
    assert user_ndcg(user, scores, np.arange(21) == 19) == pytest.approx(1 / np.log2(21))


def test_users_may_come_in_any_order():
    user = np.array([1, 0, 1, 0])
    is_positive = np.array([True, False, False, True])
    assert user_ndcg(user, np.array([1.0, 2.0, 3.0, 1.0]), is_positive) == pytest.approx(SECOND)


def test_without_a_positive_there_is_no_ndcg():
    assert not len(user_ndcg(np.array([0]), np.array([1.0]), np.array([False])))
    assert not len(user_ndcg(np.empty(0, int), np.empty(0), np.empty(0, bool)))


# One user, two candidates. The first is the positive.
USER, LABELS = np.array([0, 0]), np.array([[1.0], [0.0]])


def test_towers_that_order_better_than_the_ranker_win():
    scores = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 9.0]])  # of towers, towers of new items, popularity
    ndcg = ndcg_of_blends(USER, np.array([[-9.0], [9.0]]), scores, LABELS)
    assert ndcg[TOWERS] == 1
    assert ndcg[Blend()] == ndcg[POPULARITY] == pytest.approx(SECOND)


def test_popularity_that_orders_better_than_both_wins():
    scores = np.array([[0.0, 0.0, 2.0], [9.0, 0.0, 1.0]])
    ndcg = ndcg_of_blends(USER, np.array([[-9.0], [9.0]]), scores, LABELS)
    assert [blend for blend in BLENDS if ndcg[blend] == 1] == [POPULARITY]


def test_a_blend_weighs_the_logits():
    # The ranker is 1 too low and the towers' score is 3 higher: a weight of 0.5 makes up for it.
    ndcg = ndcg_of_blends(USER, np.array([[0.0], [1.0]]), np.array([[0.0, 3.0, 0.0], [9.0, 0.0, 1.0]]), LABELS)
    assert [blend.towers_of_new for blend in BLENDS if ndcg[blend] == 1] == [0.5, 1.0, 2.0]


def test_the_order_of_high_and_low_logits_is_kept():
    # Probabilities of 1 and of 0 in float32; the positive is second.
    for low in (30.0, -30.0):
        logits = np.array([[low], [low + 1]], np.float32)
        ndcg = ndcg_of_blends(USER, logits, np.zeros((2, 3), np.float32), LABELS)
        assert ndcg[Blend()] == pytest.approx(SECOND)


def test_a_positive_of_any_head_counts():
    labels = np.array([[0.0, 0.0], [0.0, 1.0]])
    # The second candidate has the higher probability of one of the two kinds.
    logits = np.array([[0.0, -1.0], [-9.0, 2.0]])
    assert ndcg_of_blends(USER, logits, np.zeros((2, 3)), labels)[Blend()] == 1


def ndcg_by_blend(others: list[float], **values: list[float]) -> dict[Blend, np.ndarray]:
    """NDCG of users by blend: `others`, but for those that are named."""
    named = {"ranker": Blend(), "towers": TOWERS, "popularity": POPULARITY, "half": Blend(towers_of_new=0.5)}
    ndcg = dict.fromkeys(BLENDS, np.array(others))
    return ndcg | {named[name]: np.array(each) for name, each in values.items()}


def test_a_blend_replaces_the_ranker_where_it_is_surely_better():
    ranker = [0.1, 0.5, 0.2, 0.4]
    # Better by 0.1 for each user; then by 0.1 in the mean, with a standard error of 0.1.
    assert best_blend(ndcg_by_blend([0.0] * 4, ranker=ranker, half=[0.2, 0.6, 0.3, 0.5])) == Blend(towers_of_new=0.5)
    assert best_blend(ndcg_by_blend([0.0] * 4, ranker=ranker, half=[0.4, 0.4, 0.5, 0.3])) == Blend()


@pytest.mark.parametrize(("name", "expected"), [("towers", TOWERS), ("popularity", POPULARITY)])
def test_a_ranker_below_the_towers_or_popularity_is_left_out(name, expected):
    assert best_blend(ndcg_by_blend([0.0, 0.0], ranker=[0.5, 0.0], **{name: [0.0, 0.6]})) == expected


def test_a_blend_that_is_better_still_replaces_such_a_ranker():
    ndcg = ndcg_by_blend([0.0, 0.0], ranker=[0.5, 0.0], towers=[0.0, 0.6], half=[0.4, 0.4])
    assert best_blend(ndcg) == Blend(towers_of_new=0.5)


def test_of_equal_blends_and_without_users_the_ranker_stays():
    assert best_blend(ndcg_by_blend([0.5, 0.5])) == Blend()
    assert best_blend(ndcg_by_blend([])) == Blend()


def test_without_a_history_popularity_stays_unless_another_is_better_by_a_standard_error():
    popular = [0.1, 0.5, 0.2, 0.4]
    # Better by 0.1 in the mean, with standard errors of 0.035 and of 0.112.
    better, uncertain = [0.2, 0.6, 0.2, 0.6], [0.4, 0.4, 0.5, 0.3]
    assert best_blend_without_history(ndcg_by_blend([0.0] * 4, popularity=popular, ranker=better)) == Blend()
    assert best_blend_without_history(ndcg_by_blend([0.0] * 4, popularity=popular, half=uncertain)) == POPULARITY
    assert best_blend_without_history(ndcg_by_blend([0.5, 0.5])) == POPULARITY
    assert best_blend_without_history(ndcg_by_blend([])) == POPULARITY


def test_histories_have_parts_by_their_number_of_events():
    features = np.log1p([[9.0, events] for events in (0, 1, 2, 20, 21, 1000)]).astype(np.float32)
    assert parts_of(tf.constant(features), ("towers", "user_events")).numpy().tolist() == [0, 1, 1, 1, 2, 2]


def test_a_blend_says_its_weights():
    assert [str(blend) for blend in (Blend(), Blend(towers_of_new=0.5), TOWERS)] == [
        "ranker",
        "ranker + 0.5 x towers_of_new",
        "towers",
    ]
