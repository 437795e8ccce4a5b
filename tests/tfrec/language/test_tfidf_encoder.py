"""TF-IDF vectors agree with scikit-learn and are computed in the graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from tfrec.errors import ConfigError
from tfrec.language.tfidf_encoder import PART, WordEncoder

TEXTS = np.array([[2, 5, 6, 3, 0], [2, 5, 5, 7, 3], [2, 6, 7, 8, 3], [2, 9, 3, 0, 0], [2, 8, 9, 9, 3]])
PIECES = 12


@pytest.fixture
def encoder():
    """Of 3 dimensions, fitted to TEXTS."""
    encoder = WordEncoder(PIECES, 3)
    encoder.fit(TEXTS)
    return encoder


def test_projections_equal_those_of_scikit_learn(encoder):
    pieces = [[str(piece) for piece in text if piece] for text in TEXTS]
    weighted = TfidfVectorizer(analyzer=lambda text: text, sublinear_tf=True, max_df=4).fit_transform(pieces)
    expected = TruncatedSVD(3, random_state=0).fit_transform(weighted)
    np.testing.assert_allclose(encoder.projected(tf.constant(TEXTS)), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.mean, expected.mean(axis=0), atol=1e-5)


def test_vectors_are_centered_and_of_length_one(encoder):
    vectors = encoder(tf.constant(TEXTS)).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    centered = encoder.projected(tf.constant(TEXTS)) - encoder.mean
    np.testing.assert_allclose(vectors, centered / np.linalg.norm(centered, axis=1, keepdims=True), atol=1e-5)


def test_neither_the_order_of_words_nor_padding_changes_a_vector(encoder):
    other = tf.constant([[3, 7, 5, 2, 5, 0, 0, 0]])
    np.testing.assert_allclose(encoder(other)[0], encoder(tf.constant(TEXTS))[1], atol=1e-5)


def test_pieces_of_no_text_or_every_text_do_not_change_a_vector(encoder):
    known = encoder(tf.constant([[5, 6]]))
    np.testing.assert_allclose(encoder(tf.constant([[2, 5, 11, 6, 3]])), known, atol=1e-5)
    np.testing.assert_array_equal(encoder(tf.constant([[2, 11, 3], [0, 0, 0]])), 0.0)


def test_the_empty_text_is_not_counted_among_the_texts(encoder):
    other = WordEncoder(PIECES, 3)
    other.fit(np.concatenate([np.zeros((1, 5), np.int64), TEXTS]))
    np.testing.assert_array_equal(other.rarity > 0, encoder.rarity > 0)


def test_an_empty_dimension_stays_empty_for_new_texts():
    encoder = WordEncoder(PIECES, 4)
    # Two kinds of text, each in two orders: but one direction tells them apart, and two dimensions
    # hold them all.
    encoder.fit(np.array([[5, 6, 7], [7, 6, 5], [8, 9, 10], [10, 9, 8], [5, 7, 6]]))
    known = np.abs(encoder.projected(tf.constant([[5, 6, 7], [8, 9, 10]])).numpy()).max(axis=0) > 1e-4
    assert known.sum() == 2
    np.testing.assert_array_equal(encoder.projected(tf.constant([[5, 9, 9]])).numpy()[:, ~known], 0.0)


def test_of_many_texts_a_sample_fits_the_dimensions_and_all_the_rarity(monkeypatch):
    monkeypatch.setattr("tfrec.language.tfidf_encoder.MOST_TEXTS", 6)
    many = np.concatenate([np.tile([2, 5, 6], (20, 1)), np.tile([2, 7, 8], (20, 1)), [[2, 5, 9]]])
    encoder = WordEncoder(PIECES, 2)
    encoder.fit(many)
    # Piece 9 is in one of the 41 texts, piece 5 in 21.
    np.testing.assert_allclose(encoder.rarity.numpy()[[9, 5]], np.log([42 / 2, 42 / 22]) + 1, rtol=1e-6)
    apart = encoder(tf.constant([[2, 5, 6], [2, 7, 8]])).numpy()
    assert apart[0] @ apart[1] < -0.9


@pytest.mark.parametrize("texts", [[[0, 0]], [[2, 5], [2, 5]], [[2, 5, 3]], [[5, 0], [6, 0]]])
def test_a_catalog_of_few_words_still_gives_finite_vectors(texts):
    encoder = WordEncoder(PIECES, 3)
    encoder.fit(np.array(texts))
    assert np.isfinite(encoder(tf.constant([*texts, [9] * len(texts[0])]))).all()


def test_vectors_of_a_catalog_keep_its_order(encoder):
    many = np.tile(TEXTS, (PART // 5 + 1, 1))
    np.testing.assert_allclose(
        encoder.encode(many), np.tile(encoder(tf.constant(TEXTS)), (PART // 5 + 1, 1)), atol=1e-6
    )


def test_a_dimension_of_0_leaves_words_out():
    encoder = WordEncoder(PIECES, 0)
    encoder.fit(TEXTS)
    assert encoder.encode(TEXTS).shape == (5, 0)
    with pytest.raises(ConfigError, match=r"word_dim is -1; give 0 \(no TF-IDF\) or more"):
        WordEncoder(PIECES, -1)
