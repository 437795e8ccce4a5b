"""Metrics of ranked lists, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tfrec import metrics

# Two users, five items. Best first: user 0 gets items 4, 2, 0, 1, 3; user 1 items 0, 1, 2, 3, 4.
SCORES = np.array([[0.5, 0.2, 0.8, 0.1, 0.9], [0.9, 0.8, 0.7, 0.6, 0.5]], np.float32)
# Labels of user 0 are items 2 and 3 (ranks 2 and 5), of user 1 items 0, 1 and 4 (ranks 1, 2 and 5).
RELEVANT = sp.csr_matrix(np.array([[0, 0, 1, 1, 0], [1, 1, 0, 0, 1]], np.float32))
TOTALS = np.array([2, 3])


def hits(k: int = 5) -> np.ndarray:
    return metrics.hits(metrics.top_k(SCORES, k), RELEVANT)


def test_the_first_k_come_best_first():
    assert metrics.top_k(SCORES, 3).tolist() == [[4, 2, 0], [0, 1, 2]]


def test_a_list_is_no_longer_than_the_catalog():
    assert metrics.top_k(SCORES, 100).tolist() == [[4, 2, 0, 1, 3], [0, 1, 2, 3, 4]]


def test_an_empty_catalog_gives_empty_lists():
    assert metrics.top_k(np.empty((2, 0), np.float32), 20).shape == (2, 0)


def test_equal_scores_rank_by_column():
    tied = np.array([[1, 3, 1, 1, 2, 1]], np.float32)
    assert metrics.top_k(tied, 4).tolist() == [[1, 4, 0, 2]]


def test_top_k_of_a_long_row_equals_sorting():
    # 5,003 items, not a multiple of anything; few distinct scores, so that the k-th score is tied;
    # a third is masked.
    random = np.random.default_rng(5)
    scores = random.integers(0, 400, (6, 5003)).astype(np.float32)
    scores[random.random(scores.shape) < 1 / 3] = -np.inf
    scores[0], scores[1, 3:] = 7, -np.inf
    for k in (1, 20, 100):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        expected = np.where(np.isneginf(np.take_along_axis(scores, expected, axis=1)), metrics.MASKED, expected)
        np.testing.assert_array_equal(metrics.top_k(scores, k), expected)


def test_precision_and_f1_count_hits_among_k_positions():
    # Hits: user 0 at rank 2 and 5 of 2 labels, user 1 at 1, 2 and 5 of 3.
    assert metrics.precision(hits(), TOTALS, 2).tolist() == [1 / 2, 1]
    assert metrics.precision(hits(), TOTALS, 10).tolist() == [2 / 10, 3 / 10]  # five of ten positions are empty
    # F1 of user 0 at 2: precision 1/2 and recall 1/2; user 1: 1 and 2/3.
    assert metrics.f1(hits(), TOTALS, 2).tolist() == pytest.approx([1 / 2, 2 * (2 / 3) / (5 / 3)])
    assert metrics.f1(hits(), TOTALS, 1).tolist() == [0, 2 * 1 / (1 + 3)]


def test_a_masked_item_is_neither_listed_nor_a_hit():
    # Columns 0 and 1 are masked, so two of four positions stay empty. MASKED in row 1 must not mean
    # the last item of row 0, which is relevant there.
    scores = np.array([[-np.inf, -np.inf, 0.1, 0.2], [-np.inf, -np.inf, 0.2, 0.1]], np.float32)
    relevant = sp.csr_matrix(np.array([[1, 0, 0, 1], [1, 0, 0, 0]], np.float32))
    top = metrics.top_k(scores, 4)
    assert top.tolist() == [[3, 2, metrics.MASKED, metrics.MASKED], [2, 3, metrics.MASKED, metrics.MASKED]]
    assert metrics.hits(top, relevant).tolist() == [[True, False, False, False], [False] * 4]


def test_a_hit_is_a_relevant_item_at_its_rank():
    assert hits().tolist() == [[False, True, False, False, True], [True, True, False, False, True]]


def test_recall_is_the_share_of_relevant_items_in_the_list():
    assert metrics.recall(hits(), TOTALS, 2).tolist() == pytest.approx([1 / 2, 2 / 3])
    assert metrics.recall(hits(), TOTALS, 5).tolist() == [1, 1]


def test_the_hit_rate_needs_one_hit():
    assert metrics.hit_rate(hits(), 1).tolist() == [0, 1]
    assert metrics.hit_rate(hits(), 2).tolist() == [1, 1]


def test_ndcg_discounts_by_rank_and_divides_by_the_ideal_list():
    # Discounts of ranks 1 to 3: 1, 1 / log2(3) = 0.63093, 1 / log2(4) = 0.5.
    # User 0: a hit at rank 2; ideal two hits: 0.63093 / 1.63093 = 0.38685.
    # User 1: hits at ranks 1 and 2; ideal three hits: 1.63093 / 2.13093 = 0.76536.
    assert metrics.ndcg(hits(3), TOTALS, 3).tolist() == pytest.approx([0.38685, 0.76536], abs=1e-5)


def test_the_ideal_list_of_ndcg_holds_no_more_than_k_hits():
    # User 1 has three labels, and two of them in two positions are a perfect list.
    assert metrics.ndcg(hits(2), TOTALS, 2)[1] == 1


def test_ndcg_of_a_short_list_still_has_the_ideal_of_k():
    # Five items in all, k = 20. User 0: ranks 2 and 5: (0.63093 + 1 / log2(6)) / 1.63093 = 0.62405.
    assert metrics.ndcg(hits(5), TOTALS, 20)[0] == pytest.approx(0.62405, abs=1e-5)


def test_ndcg_of_scores_leaves_out_users_without_a_relevant_item():
    # User 0 has nothing relevant; user 1's only relevant item has rank 2: 1 / log2(3) = 0.63093.
    scores = np.array([[3, 2, 1], [3, 2, 1]], np.float32)
    relevant = sp.csr_matrix(np.array([[0, 0, 0], [0, 1, 0]], np.float32))
    assert metrics.ndcg_of_scores(scores, relevant, 2).tolist() == pytest.approx([0.63093], abs=1e-5)
    assert metrics.ndcg_of_scores(scores[:1], relevant[:1], 2).tolist() == []


def test_what_is_in_the_history_is_not_novel():
    relevant = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 1]], np.float32))
    history = sp.csr_matrix(np.array([[3, 0, 1], [0, 0, 0]], np.float32))  # how often: user 0 knows items 0 and 2
    assert metrics.not_in_history(relevant, history).toarray().tolist() == [[0, 1, 0], [0, 0, 1]]


def test_the_average_precision_divides_by_the_possible_hits():
    # User 0: ranks 2 and 5: (1/2 + 2/5) / 2; in the first three only 1/2 / 2. User 1: (1 + 1 + 3/5)
    # / 3.
    assert metrics.average_precision(hits(), TOTALS, 5).tolist() == pytest.approx([0.45, 2.6 / 3])
    assert metrics.average_precision(hits(), TOTALS, 3).tolist() == pytest.approx([0.25, 2 / 3])
    assert metrics.average_precision(hits(), TOTALS, 2)[1] == 1


def test_gini_is_0_for_equal_items_and_near_1_for_a_single_one():
    assert metrics.gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert metrics.gini(np.array([[0], [0]]), 4) == 0.75  # 1 - 1/4
    assert metrics.gini(np.array([[0, 1, metrics.MASKED]]), 4) == 0.5
    assert metrics.gini(np.array([[metrics.MASKED]]), 4) == 0


def test_popularity_is_the_mean_share_of_buyers():
    buyers = np.array([4, 0, 2])
    assert metrics.popularity(np.array([[0, 2], [1, metrics.MASKED]]), buyers, 8).tolist() == [0.375, 0]


def test_the_reciprocal_rank_is_that_of_the_best_relevant_item():
    assert metrics.reciprocal_rank(SCORES, RELEVANT).tolist() == [1 / 2, 1]


def test_a_tied_item_takes_the_mean_of_the_ranks_it_shares():
    # One item above, three tied for ranks 2, 3 and 4: rank 3.
    scores = np.array([[2, 1, 1, 1, 0]], np.float32)
    relevant = sp.csr_matrix(np.array([[0, 1, 0, 0, 1]], np.float32))
    assert metrics.reciprocal_rank(scores, relevant).tolist() == [1 / 3]


def test_a_constant_score_gives_the_middle_rank():
    # Five items tied for ranks 1 to 5: rank 3.
    relevant = sp.csr_matrix(np.array([[1, 0, 0, 0, 0]], np.float32))
    assert metrics.reciprocal_rank(np.zeros((1, 5), np.float32), relevant).tolist() == [1 / 3]


def test_coverage_counts_each_listed_item_once():
    # Items 0, 2 and 4 of five; a masked position is no item.
    assert metrics.coverage(np.array([[4, 2], [0, 2], [metrics.MASKED, 4]]), 5) == 3 / 5


def test_novelty_is_the_mean_surprise_of_a_list():
    # 15 users. Bought by 15: 0 bits; by 7: -log2(8 / 16) = 1; by none: -log2(1 / 16) = 4.
    top = np.array([[0, 1], [1, 2], [2, metrics.MASKED], [metrics.MASKED, metrics.MASKED]])
    assert metrics.novelty(top, np.array([15, 7, 0]), 15).tolist() == [0.5, 2.5, 4, 0]


def test_diversity_is_the_mean_distance_of_the_pairs_of_a_list():
    # Items 0 and 3 have the same vector, 1 is orthogonal to it, 2 opposite. Cosines: 0 and 1: 0; 0
    # and 2: -1; 1 and 2: 0.
    vectors, row = np.array([[1, 0], [0, 1], [-1, 0]], np.float32), np.array([0, 1, 2, 0])
    none = metrics.MASKED
    top = np.array([[0, 1, none], [2, none, 0], [0, 1, 2], [0, 3, none], [1, none, none], [none] * 3])
    assert metrics.diversity(top, vectors, row).tolist() == pytest.approx([1, 2, 4 / 3, 0, 0, 0])
