"""The catalog arrays: ids that are trained, distinct texts."""

from __future__ import annotations

import numpy as np

from tfrec.examples.catalog import distinct_rows


def test_items_without_a_training_event_share_id_row_0(make_catalog):
    #                                              row 0  1  2  3  4  5
    catalog = make_catalog([[101]] * 5, frequency=np.array([0, 7, 0, 1, 0, 2]))
    assert catalog.id_row.tolist() == [0, 1, 0, 2, 0, 3]


def test_row_0_is_counted_among_the_rows(make_catalog):
    assert make_catalog([[101], [102]]).rows == 3


def test_distinct_texts_follow_the_empty_one_in_order_of_appearance():
    texts = np.array([[5, 6, 0], [1, 2, 3], [5, 6, 0], [0, 0, 0], [5, 6, 1]])
    distinct, text_row = distinct_rows(texts)
    assert distinct.tolist() == [[0, 0, 0], [5, 6, 0], [1, 2, 3], [5, 6, 1]]
    assert text_row.tolist() == [1, 2, 1, 0, 3]


def test_row_0_is_the_empty_text_without_an_empty_text_too():
    distinct, text_row = distinct_rows(np.array([[7], [3]]))
    assert distinct.tolist() == [[0], [7], [3]]
    assert text_row.tolist() == [1, 2]


def test_without_texts_the_empty_one_remains():
    distinct, text_row = distinct_rows(np.zeros((0, 4), np.int64))
    assert distinct.tolist() == [[0, 0, 0, 0]]
    assert text_row.tolist() == []


def test_texts_that_differ_in_one_large_number_are_distinct():
    # 256 and 1 have the same bytes in another order: a comparison of sums or of low bytes would mix
    # them up.
    distinct, _ = distinct_rows(np.array([[256, 1], [1, 256], [257, 0]]))
    assert len(distinct) == 4
