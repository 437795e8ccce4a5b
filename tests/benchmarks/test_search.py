"""The benchmark of searches: which titles a search should find, and which it could find by a word that both hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import search


def test_a_group_should_find_the_titles_of_its_products(shop):
    searches, titles, relevant = search.aisles(str(shop.root))
    assert {name: sorted(titles[place] for place in relevant[row].indices) for row, name in enumerate(searches)} == {
        "Drinks": ["西湖龙井 绿茶"],
        "Kitchen": ['Mug "Blue"'],
        "Light": ["Desk lamp"],
        "Pasta": ["Penne, 500 g", "Tomato sauce"],
        "Plants": ["Fern in a pot"],
    }


def test_a_word_in_common_is_one_of_letters_that_begins_one(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[CLS]\n[SEP]\n/\n##s\ntea\n12\ncafé\n", encoding="utf-8")
    words = search.begins_a_word(str(vocabulary))
    assert words == {5, 7}
    queries, documents = np.array([[1, 5, 3, 2], [1, 7, 6, 2]]), np.array([[1, 7, 3, 2], [1, 5, 5, 2], [1, 6, 2, 0]])
    assert search.share_a_word(queries, documents, words).tolist() == [[False, True, False], [True, False, False]]


def test_in_other_words_only_what_shares_no_word_is_ranked_and_asked_for():
    relevant = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 1.0]]))
    scores = np.array([[0.9, 0.5, 0.7], [0.1, 0.2, 0.3]])
    shares = np.array([[True, False, False], [False, False, True]])
    # The first search may still find title 1, second of the two that are left; nothing is left of the second search.
    np.testing.assert_allclose(search.ndcg_of_others(scores, relevant, shares), [1 / np.log2(3)])
    np.testing.assert_allclose(search.ndcg(scores, relevant), [(1 + 1 / 2) / (1 + 1 / np.log2(3)), 1.0])


def test_tfidf_prefers_the_rarer_word_in_common_and_knows_no_marks():
    documents = np.array([[1, 5, 9], [1, 6, 10], [1, 6, 11], [1, 12, 13]])
    (scores,) = search.by_tfidf(np.array([[1, 5, 6]]), documents, {1})
    assert scores[0] > scores[1] > scores[3] == 0.0


def test_a_reading_is_told_with_what_it_gains_search_by_search(capsys):
    found = search.told("words", np.array([0.5, 0.7]), np.array([0.4, 0.6]))
    assert capsys.readouterr().out.startswith("words                    0.6000 [")
    assert (found["gain"], found["gain_low"], found["gain_high"]) == pytest.approx((0.1, 0.1, 0.1))
