"""Tensors merged, padded and checked; every array is written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from serving.batching.padding import batch_size, check_output, merge, mismatch, pad_to_largest
from serving.request.status import Code, StatusError


def floats(*values: object) -> np.ndarray:
    return np.array(values, np.float32)


def strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def refused(error: StatusError) -> tuple[Code, str]:
    return error.code, error.message


def test_rows_are_merged_in_order() -> None:
    merged = merge([floats(1, 2), floats(3)], 0)
    assert (merged.tolist(), merged.dtype) == ([1, 2, 3], np.float32)
    assert merge([strings(b"a"), strings(b"", b"c")], 0).tolist() == [b"a", b"", b"c"]


def test_padding_repeats_the_first_row_of_the_last_array() -> None:
    assert merge([floats([1, 2]), floats([3, 4], [5, 6])], 2).tolist() == [[1, 2], [3, 4], [5, 6], [3, 4], [3, 4]]
    assert merge([floats(7)], 3).tolist() == [7, 7, 7, 7]


def test_an_array_without_rows_lends_none_for_padding() -> None:
    assert merge([floats(1, 2), floats()], 1).tolist() == [1, 2, 1]


@pytest.mark.parametrize("other", [floats([1, 2, 3]), floats(1), np.array([[1, 2]], np.float64), strings(b"a", b"b")])
def test_arrays_that_differ_are_not_merged(other: np.ndarray) -> None:
    with pytest.raises((TypeError, ValueError)):
        merge([floats([1, 2]), other], 0)


def test_why_arrays_differ_is_told_in_the_stock_words() -> None:
    shapes = mismatch("x:0", [floats([1, 2]), floats([1, 2, 3])])
    assert refused(shapes) == (
        Code.FAILED_PRECONDITION,
        "Tensors with name 'x:0' from different tasks have different shapes and padding is turned off. Set "
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
        "starting with the first dim.",
    )
    types = mismatch("x:0", [floats(1), np.array([1], np.int64)])
    assert refused(types) == (
        Code.INTERNAL,
        "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data types. "
        "Got float and int64.",
    )


def test_shorter_rows_are_padded_with_their_own_first_value() -> None:
    padded = pad_to_largest([floats([1, 2], [3, 4]), floats([5, 6, 7])])
    assert [array.tolist() for array in padded] == [[[1, 2, 1], [3, 4, 1]], [[5, 6, 7]]]
    padded = pad_to_largest([np.array([[b"a"]], object), np.array([[b"b", b"c"]], object)])
    assert [array.tolist() for array in padded] == [[[b"a", b"a"]], [[b"b", b"c"]]]


def test_every_dimension_but_the_first_is_padded() -> None:
    padded = pad_to_largest([np.ones((1, 1, 3)), np.ones((2, 2, 1))])
    assert [array.shape for array in padded] == [(1, 2, 3), (2, 2, 3)]


def test_what_needs_no_padding_is_left_alone() -> None:
    given = [floats(1, 2), floats(3)]
    assert all(padded is array for padded, array in zip(pad_to_largest(given), given, strict=True))


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([np.ones((1, 0)), np.ones((1, 2))], "Got empty tensor in batch of non-empty tensors."),
        ([np.ones((1,) * 7)], "Only tensors with rank from 1 to 6 can be padded."),
        ([np.ones((1, 2)), np.ones(1)], "Only tensors with the same rank can be padded."),
    ],
)
def test_what_can_not_be_padded_is_an_invalid_argument(arrays: list[np.ndarray], text: str) -> None:
    with pytest.raises(StatusError) as caught:
        pad_to_largest(arrays)
    assert refused(caught.value) == (Code.INVALID_ARGUMENT, text)


def test_the_size_of_a_request_is_the_first_dimension_of_all_its_tensors() -> None:
    assert batch_size([np.ones((3, 2)), np.ones(3)]) == 3


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([], "Batching Run() must have at least one input tensor"),
        ([floats(1), np.array(1.0)], "Batching Run() input tensors must have at least one dimension"),
        ([floats(1), floats(1, 2)], "Batching Run() input tensors must have equal 0th-dimension size"),
    ],
)
def test_a_request_without_a_size_is_an_invalid_argument(arrays: list[np.ndarray], text: str) -> None:
    with pytest.raises(StatusError) as caught:
        batch_size(arrays)
    assert refused(caught.value) == (Code.INVALID_ARGUMENT, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(1), "Batched output tensor has 0 dimensions"),
        (
            np.ones(3),
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors",
        ),
    ],
)
def test_an_output_that_can_not_be_cut_up_is_a_failed_precondition(value: np.ndarray, text: str) -> None:
    check_output(np.ones((4, 2)), 4)
    with pytest.raises(StatusError) as caught:
        check_output(value, 4)
    assert refused(caught.value) == (Code.FAILED_PRECONDITION, text)
