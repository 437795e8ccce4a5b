"""Blends of ranker and towers, and the NDCG@20 by which one is selected, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.ranking.blend import BLENDS, POPULARITY, TOWERS, Blend, blend_scores, mean_ndcg

SECOND = 1 / np.log2(3)  # NDCG of one relevant item at rank 2


def test_ndcg_is_the_mean_over_users_with_a_positive():
    user = np.array([4, 4, 4, 7, 7, 9])
    scores = np.array([3.0, 2.0, 1.0, 1.0, 2.0, 5.0])
    is_positive = np.array([False, True, False, False, True, False])
    # User 4: the positive is second. User 7: it is first. User 9 has none.
    assert mean_ndcg(user, scores, is_positive) == pytest.approx((SECOND + 1) / 2)


def test_only_the_first_20_count():
    user, scores = np.zeros(21, int), -np.arange(21.0)
    assert mean_ndcg(user, scores, np.arange(21) == 20) == 0
    assert mean_ndcg(user, scores, np.arange(21) == 19) == pytest.approx(1 / np.log2(21))


def test_users_may_come_in_any_order():
    user = np.array([1, 0, 1, 0])
    is_positive = np.array([True, False, False, True])
    assert mean_ndcg(user, np.array([1.0, 2.0, 3.0, 1.0]), is_positive) == pytest.approx(SECOND)


def test_without_a_positive_there_is_no_ndcg():
    assert np.isnan(mean_ndcg(np.array([0]), np.array([1.0]), np.array([False])))
    assert np.isnan(mean_ndcg(np.empty(0, int), np.empty(0), np.empty(0, bool)))


# One user, two candidates. The first is the positive.
USER, LABELS = np.array([0, 0]), np.array([[1.0], [0.0]])


def test_towers_that_order_better_than_the_ranker_win():
    scores = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 9.0]])  # of towers, towers of new items, popularity
    ndcg = blend_scores(USER, np.array([[-9.0], [9.0]]), scores, LABELS)
    assert ndcg[TOWERS] == 1
    assert ndcg[Blend()] == ndcg[POPULARITY] == pytest.approx(SECOND)


def test_popularity_that_orders_better_than_both_wins():
    scores = np.array([[0.0, 0.0, 2.0], [9.0, 0.0, 1.0]])
    ndcg = blend_scores(USER, np.array([[-9.0], [9.0]]), scores, LABELS)
    assert [blend for blend in BLENDS if ndcg[blend] == 1] == [POPULARITY]


def test_a_blend_weighs_the_logits():
    # The ranker is 1 too low and the towers' score is 3 higher: a weight of 0.5 makes up for it.
    ndcg = blend_scores(USER, np.array([[0.0], [1.0]]), np.array([[0.0, 3.0, 0.0], [9.0, 0.0, 1.0]]), LABELS)
    assert [blend.towers_of_new for blend in BLENDS if ndcg[blend] == 1] == [0.5, 1.0, 2.0]


def test_a_positive_of_any_head_counts():
    labels = np.array([[0.0, 0.0], [0.0, 1.0]])
    # The second candidate has the higher probability of one of the two kinds.
    logits = np.array([[0.0, -1.0], [-9.0, 2.0]])
    assert blend_scores(USER, logits, np.zeros((2, 3)), labels)[Blend()] == 1


def test_a_blend_says_its_weights():
    assert [str(blend) for blend in (Blend(), Blend(towers_of_new=0.5), TOWERS)] == [
        "ranker",
        "ranker + 0.5 x towers_of_new",
        "towers",
    ]
