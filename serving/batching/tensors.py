"""Tensors of several requests as one batch: size, concatenation, check of the outputs.

The rules and texts are those of TensorFlow Serving's batching_session.cc.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from serving.request.status import Code, StatusError, invalid
from serving.wire.tensors import dtype_name


def batch_size(arrays: Collection[np.ndarray]) -> int:
    """Return the first dimension that all arrays share; raises StatusError when there is none."""
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(not array.shape for array in arrays):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {array.shape[0] for array in arrays}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Join the rows of all arrays, `[rows, ...]`.

    Raises TypeError or ValueError when they differ in type or in a later dimension; `mismatch` has
    the text.
    """
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays, dtype=arrays[0].dtype, casting="no")


def mismatch(name: str, arrays: Sequence[np.ndarray]) -> StatusError:
    """The refusal of arrays for the tensor `name` that `concatenate` can't join."""
    first = arrays[0]
    if any(array.shape[1:] != first.shape[1:] for array in arrays):
        return StatusError(
            Code.FAILED_PRECONDITION,
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim.",
        )
    other = next(array for array in arrays if array.dtype != first.dtype)
    return StatusError(
        Code.INTERNAL,
        "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data "
        f"types. Got {_type_word(first)} and {_type_word(other)}.",
    )


def check_output(value: np.ndarray, rows: int) -> None:
    """Raise StatusError unless an output has one row for each of the batch's `rows`."""
    if np.ndim(value) == 0:
        raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
    if len(value) != rows:
        raise StatusError(
            Code.FAILED_PRECONDITION,
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors",
        )


def _type_word(array: np.ndarray) -> str:
    """TensorFlow's word for the type of an array in a sentence: "float", "string" ..."""
    return dtype_name(array).removeprefix("DT_").lower()
