"""Exact top-k of the index, without excluded items."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.export.top_k_index import Index

# Row 0 stands for no item: its score would be the best of all, were it an answer. The last column
# is the bias.                 x     y  bias
EMBEDDINGS = [[9.0, 9.0, 9.0], [3.0, 0.0, 0.0], [0.0, 2.0, 0.5], [1.0, 1.0, -1.0], [-4.0, 0.0, 0.0]]
ONE_QUERY = [[1.0, 1.0, 1.0]]  # scores of rows 1 to 4: 3, 2.5, 1, -4


def top_k(index: Index, queries: list[list[float]], excluded: list[list[int]]) -> tuple[list, list]:
    all_scores = tf.matmul(tf.constant(queries), index.embeddings, transpose_b=True)
    scores, rows = index.top_k(all_scores, tf.constant(excluded, tf.int64, [len(excluded), len(excluded[0])]))
    return scores.numpy().tolist(), rows.numpy().tolist()


def test_items_come_by_falling_score_without_row_0():
    assert top_k(Index(tf.constant(EMBEDDINGS), 3), ONE_QUERY, [[]]) == ([[3.0, 2.5, 1.0]], [[1, 2, 3]])


def test_the_next_item_takes_the_position_of_an_excluded_one():
    # The same row twice, and a 0 that pads a shorter list, change nothing.
    assert top_k(Index(tf.constant(EMBEDDINGS), 3), ONE_QUERY, [[1, 1, 0]]) == ([[2.5, 1.0, -4.0]], [[2, 3, 4]])


def test_positions_without_an_item_have_row_0_and_minus_infinity():
    rest = [-np.inf, -np.inf]
    assert top_k(Index(tf.constant(EMBEDDINGS), 3), ONE_QUERY, [[1, 2, 4]]) == ([[1.0, *rest]], [[3, 0, 0]])
    assert top_k(Index(tf.constant(EMBEDDINGS), 3), ONE_QUERY, [[4, 3, 2, 1]]) == ([[-np.inf, *rest]], [[0, 0, 0]])


def test_each_user_has_exclusions_of_their_own():
    _, rows = top_k(Index(tf.constant(EMBEDDINGS), 2), ONE_QUERY * 3, [[1, 0], [0, 0], [2, 1]])
    assert rows == [[2, 3], [1, 2], [3, 4]]


def test_a_catalog_of_fewer_than_k_items_leaves_positions_empty():
    scores, rows = top_k(Index(tf.constant(EMBEDDINGS), 6), ONE_QUERY, [[]])
    assert rows == [[1, 2, 3, 4, 0, 0]]
    assert scores == [[3.0, 2.5, 1.0, -4.0, -np.inf, -np.inf]]


def test_nearest_ranks_by_cosine_without_bias_and_leaves_out_the_item():
    index = Index(tf.constant(EMBEDDINGS), 3)
    scores, rows = index.nearest(tf.constant([3, 1], tf.int64))
    # Row 3 lies at 45 degrees to rows 1 and 2 (cosine 0.7071) and at 135 to row 4 (-0.7071).
    # Row 1 lies at 45 to row 3, at 90 to row 2, opposite row 4.
    np.testing.assert_allclose(scores, [[0.7071, 0.7071, -0.7071], [0.7071, 0.0, -1.0]], atol=1e-4)
    assert set(rows[0].numpy()[:2]) == {1, 2}
    assert rows[0, 2] == 4
    assert rows[1].numpy().tolist() == [3, 2, 4]


def test_an_unknown_item_has_no_nearest_items():
    scores, rows = Index(tf.constant(EMBEDDINGS), 3).nearest(tf.constant([0], tf.int64))
    assert rows.numpy().tolist() == [[0, 0, 0]]
    assert np.isneginf(scores).all()


def test_an_item_with_a_zero_embedding_has_cosine_0():
    scores, rows = Index(tf.constant([[0.0] * 3, [0.0] * 3, [1.0, 2.0, 0.0]]), 2).nearest(tf.constant([2], tf.int64))
    assert rows.numpy().tolist() == [[1, 0]]
    assert scores.numpy().tolist() == [[0.0, -np.inf]]


def test_top_k_equals_numpy_on_random_scores():
    random = np.random.default_rng(5)
    embeddings = random.normal(size=(60, 9)).astype(np.float32)
    queries = random.normal(size=(7, 9)).astype(np.float32)
    excluded = random.integers(0, 60, size=(7, 12))
    expected = queries @ embeddings.T
    scores, rows = Index(tf.constant(embeddings), 10).top_k(tf.constant(expected), tf.constant(excluded))
    expected[:, 0] = -np.inf
    expected[np.arange(7)[:, None], excluded] = -np.inf
    order = np.argsort(-expected, axis=1)[:, :10]
    assert rows.numpy().tolist() == order.tolist()
    np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), rtol=1e-5)
