"""Search benchmark: relevant titles, shared words, NDCG in other words, TF-IDF, report."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import search


def test_the_titles_of_a_category_are_relevant_to_its_name(shop):
    searches, titles, relevant = search.read_aisles(str(shop.root))
    assert {name: sorted(titles[index] for index in relevant[row].indices) for row, name in enumerate(searches)} == {
        "Drinks": ["西湖龙井 绿茶"],
        "Kitchen": ['Mug "Blue"'],
        "Light": ["Desk lamp"],
        "Pasta": ["Penne, 500 g", "Tomato sauce"],
        "Plants": ["Fern in a pot"],
    }


def test_only_pieces_of_letters_that_begin_a_word_are_shared_words(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[CLS]\n[SEP]\n/\n##s\ntea\n12\ncafé\n", encoding="utf-8")
    words = search.find_word_starts(str(vocabulary))
    assert words == {5, 7}
    queries, documents = np.array([[1, 5, 3, 2], [1, 7, 6, 2]]), np.array([[1, 7, 3, 2], [1, 5, 5, 2], [1, 6, 2, 0]])
    assert search.share_a_word(queries, documents, words).tolist() == [[False, True, False], [True, False, False]]


def test_ndcg_in_other_words_ignores_titles_with_a_shared_word():
    relevant = sp.csr_matrix(np.array([[1, 1, 0], [0, 0, 1.0]]))
    scores = np.array([[0.9, 0.5, 0.7], [0.1, 0.2, 0.3]])
    shares = np.array([[True, False, False], [False, False, True]])
    # Of the first search, relevant title 1 ranks second of two; the second search is left out.
    np.testing.assert_allclose(search.ndcg_in_other_words(scores, relevant, shares), [1 / np.log2(3)])
    np.testing.assert_allclose(search.ndcg(scores, relevant), [(1 + 1 / 2) / (1 + 1 / np.log2(3)), 1.0])


def test_tfidf_weighs_rare_words_more_and_ignores_separators():
    documents = np.array([[1, 5, 9], [1, 6, 10], [1, 6, 11], [1, 12, 13]])
    (scores,) = search.score_by_tfidf(np.array([[1, 5, 6]]), documents, {1})
    assert scores[0] > scores[1] > scores[3] == 0.0


def test_the_report_has_the_mean_and_the_paired_gain(capsys):
    result = search.report("words", np.array([0.5, 0.7]), np.array([0.4, 0.6]))
    assert capsys.readouterr().out.startswith("words                    0.6000 [")
    assert (result["gain"], result["gain_low"], result["gain_high"]) == pytest.approx((0.1, 0.1, 0.1))
