"""The benchmark of searches: which titles a search should find, and which it could find by a word that both hold."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from benchmarks import search


def test_a_group_should_find_the_titles_of_its_products(shop):
    searches, titles, relevant = search.aisles(str(shop.root))
    assert {name: [titles[place] for place in relevant[row].indices] for row, name in enumerate(searches)} == {
        "Drinks": ["西湖龙井 绿茶"],
        "Kitchen": ['Mug "Blue"'],
        "Light": ["Desk lamp"],
        "Pasta": ["Penne, 500 g", "Tomato sauce"],
        "Plants": ["Fern in a pot"],
    }


def test_a_word_in_common_is_seen_and_neither_marks_nor_padding_are_words():
    queries, documents = (
        np.array([[1, 5, 2, 0], [1, 6, 7, 2]]),
        np.array([[1, 7, 8, 2, 0], [1, 5, 5, 2, 0], [1, 2, 0, 0, 0]]),
    )
    assert search.shared_pieces(queries, documents, {1, 2}).tolist() == [[False, True, False], [True, False, False]]


def test_in_other_words_only_what_shares_no_word_is_ranked_and_asked_for():
    relevant = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 1.0]]))
    scores = np.array([[0.9, 0.5, 0.7], [0.1, 0.2, 0.3]])
    shares = np.array([[True, False, False], [False, False, True]])
    # The first search may still find title 1, second of the two that are left; nothing is left of the second search.
    np.testing.assert_allclose(search.ndcg_of_others(scores, relevant, shares), [1 / np.log2(3)])
    np.testing.assert_allclose(search.ndcg(scores, relevant), [(1 + 1 / 2) / (1 + 1 / np.log2(3)), 1.0])


def test_tfidf_prefers_the_rarer_word_in_common():
    documents = np.array([[5, 6], [6, 7], [6, 8]])
    (scores,) = search.by_tfidf(np.array([[5, 6]]), documents)
    assert scores[0] == 1.0
    assert scores[1] == scores[2] < 0.5
