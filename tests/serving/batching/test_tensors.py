"""Tensors of several requests as one batch; the texts are the stock server's."""

from __future__ import annotations

import re

import numpy as np
import pytest

from serving.batching.tensors import batch_size, check_output, concatenate, mismatch
from serving.request.status import Code, StatusError


def floats(*values: object) -> np.ndarray:
    return np.array(values, np.float32)


def strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def code_and_text(error: StatusError) -> tuple[Code, str]:
    return error.code, error.message


def test_rows_are_joined_in_order() -> None:
    joined = concatenate([floats(1, 2), floats(3)])
    assert (joined.tolist(), joined.dtype) == ([1, 2, 3], np.float32)
    assert concatenate([strings(b"a"), strings(b"", b"c")]).tolist() == [b"a", b"", b"c"]


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (floats([1, 2, 3]), "along dimension 1, the array at index 0 has size 2"),
        (floats(1), "the array at index 1 has 1 dimension"),
        (np.array([[1, 2]], np.float64), "Cannot cast array data"),
        (strings(b"a", b"b"), "the array at index 1 has 1 dimension"),
    ],
)
def test_arrays_that_differ_are_not_joined(other: np.ndarray, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        concatenate([floats([1, 2]), other])


def test_arrays_of_different_shapes_are_a_failed_precondition() -> None:
    assert code_and_text(mismatch("x:0", [floats([1, 2]), floats([1, 2, 3])])) == (
        Code.FAILED_PRECONDITION,
        "Tensors with name 'x:0' from different tasks have different shapes and padding is turned off. Set "
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
        "starting with the first dim.",
    )


def test_arrays_of_different_types_are_an_internal_error() -> None:
    assert code_and_text(mismatch("x:0", [floats(1), np.array([1], np.int64)])) == (
        Code.INTERNAL,
        "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data types. "
        "Got float and int64.",
    )


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
    with pytest.raises(StatusError, match=f"^INVALID_ARGUMENT: {re.escape(text)}$"):
        batch_size(arrays)


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
def test_an_output_without_a_row_for_each_row_of_the_batch_is_a_failed_precondition(
    value: np.ndarray, text: str
) -> None:
    check_output(np.ones((4, 2)), 4)
    with pytest.raises(StatusError, match=f"^FAILED_PRECONDITION: {re.escape(text)}$"):
        check_output(value, 4)
