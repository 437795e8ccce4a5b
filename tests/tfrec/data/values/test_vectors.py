"""Vectors read from text."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.values.vectors import Vectors, read_vectors


def _read(*texts: str | None) -> Vectors:
    return read_vectors(pa.chunked_array([pa.array(texts, pa.string())]))


@pytest.mark.parametrize(
    "text", ["[0.5, -1, 2e1]", "0.5 -1 20", "0.5;-1;20", "0.5 > -1 > 20", "( 0.5,-1.0,20 )", "{0.5|-1|20}"]
)
def test_a_vector_is_read_in_each_usual_form(text: str) -> None:
    vectors = _read(None, text)
    assert vectors.values.to_pylist() == [None, [0.5, -1.0, 20.0]]
    assert (vectors.length, vectors.unreadable) == (3, 0)


@pytest.mark.parametrize("text", ["0,1 0,2 3", "[0,1; 0,2; 3]", "0,1 > 0,2 > 3", "0,1|0,2|3"])
def test_commas_are_decimal_where_other_signs_part_the_numbers(text: str) -> None:
    assert _read(text).values.to_pylist() == [pytest.approx([0.1, 0.2, 3.0])]


def test_commas_beside_points_or_blanks_part_the_numbers() -> None:
    assert _read("0.5,1 2.5", "1, 2 3", "1,2,3").values.to_pylist() == [[0.5, 1, 2.5], [1, 2, 3], [1, 2, 3]]


def test_text_that_is_no_vector_or_of_another_length_is_unknown() -> None:
    vectors = _read("1 2", "3 x", "4", "5 6", "7 nan", "", "8 1e39")
    assert vectors.values.to_pylist() == [[1.0, 2.0], None, None, [5.0, 6.0], None, None, None]
    assert (vectors.length, vectors.unreadable, vectors.example) == (2, 5, "3 x")


def test_a_column_without_vectors_is_unknown() -> None:
    assert _read(None, None).values.to_pylist() == [None, None]
