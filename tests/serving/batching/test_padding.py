"""Padding of batches; every array is written out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from serving.batching.padding import add_rows, pad_to_largest, padded_size
from serving.request.status import StatusError


def floats(*values: object) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(("size", "padded"), [(1, 4), (4, 4), (5, 16), (16, 16)])
def test_a_batch_is_padded_to_the_next_allowed_size(size: int, padded: int) -> None:
    assert padded_size(size, (4, 16)) == padded


def test_a_batch_keeps_its_size_without_allowed_sizes_without_rows_and_above_all_of_them() -> None:
    assert padded_size(5, ()) == 5
    assert padded_size(0, (4, 16)) == 0
    assert padded_size(17, (4, 16)) == 17


def test_added_rows_are_copies_of_the_first_row_of_the_last_array() -> None:
    padded = add_rows([floats([1, 2]), floats([3, 4], [5, 6])], 2)
    assert [array.tolist() for array in padded] == [[[1, 2]], [[3, 4], [5, 6]], [[3, 4], [3, 4]]]


def test_an_array_without_rows_is_passed_over_for_the_one_before_it() -> None:
    assert [array.tolist() for array in add_rows([floats(1, 2), floats()], 1)] == [[1, 2], [], [1]]


def test_shorter_rows_are_padded_with_the_first_value_of_their_tensor() -> None:
    padded = pad_to_largest([floats([1, 2], [3, 4]), floats([5, 6, 7])])
    assert [array.tolist() for array in padded] == [[[1, 2, 1], [3, 4, 1]], [[5, 6, 7]]]
    padded = pad_to_largest([np.array([[b"a"]], object), np.array([[b"b", b"c"]], object)])
    assert [array.tolist() for array in padded] == [[[b"a", b"a"]], [[b"b", b"c"]]]


def test_every_dimension_but_the_first_is_padded() -> None:
    padded = pad_to_largest([np.ones((1, 1, 3)), np.ones((2, 2, 1))])
    assert [array.shape for array in padded] == [(1, 2, 3), (2, 2, 3)]


def test_arrays_of_one_shape_are_not_copied() -> None:
    arrays = [floats(1, 2), floats(3)]
    padded = pad_to_largest(arrays)
    assert [padded[0] is arrays[0], padded[1] is arrays[1], len(padded)] == [True, True, 2]


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([np.ones((1, 0)), np.ones((1, 2))], "Got empty tensor in batch of non-empty tensors."),
        ([np.ones((1,) * 7)], "Only tensors with rank from 1 to 6 can be padded."),
        ([np.ones((1, 2)), np.ones(1)], "Only tensors with the same rank can be padded."),
    ],
)
def test_arrays_that_can_not_be_padded_are_an_invalid_argument(arrays: list[np.ndarray], text: str) -> None:
    with pytest.raises(StatusError, match=f"^INVALID_ARGUMENT: {re.escape(text)}$"):
        pad_to_largest(arrays)
