"""Tensors of several requests merged along their first dimension, and padded; an output cut up again.

The rules and texts are those of TensorFlow Serving's batching_session.cc and batching_util.cc.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from serving.request.status import Code, StatusError, invalid
from serving.wire.tensors import dtype_name

MAX_RANK = 6  # of what can be padded


def batch_size(arrays: Collection[np.ndarray]) -> int:
    """The first dimension that all have; StatusError when there is none."""
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(not array.shape for array in arrays):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {array.shape[0] for array in arrays}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def merge(arrays: Sequence[np.ndarray], repeats: int) -> np.ndarray:
    """The rows of all arrays, then the first row of the last one that has any, `repeats` times.

    Raises TypeError or ValueError when they differ in type or in a later dimension: see `mismatch`.
    """
    if repeats:
        row = next(array for array in reversed(arrays) if len(array))[:1]
        arrays = [*arrays, np.broadcast_to(row, (repeats, *row.shape[1:]))]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays, dtype=arrays[0].dtype, casting="no")


def mismatch(name: str, arrays: Sequence[np.ndarray]) -> StatusError:
    """Why arrays for the tensor `name` can't be merged."""
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
        f"types. Got {_type(first)} and {_type(other)}.",
    )


def pad_to_largest(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each array made as large as the largest one in every dimension but the first, by repeating its first value."""
    ranks = {array.ndim for array in arrays}
    if max(ranks) > MAX_RANK:
        raise invalid(f"Only tensors with rank from 1 to {MAX_RANK} can be padded.")
    if len(ranks) > 1:  # the stock server reads beyond a shape here, and may abort
        raise invalid("Only tensors with the same rank can be padded.")
    largest = np.max([array.shape[1:] for array in arrays], axis=0, initial=0).tolist()
    return [_padded(array, (len(array), *largest)) for array in arrays]


def check_output(value: np.ndarray, rows: int) -> None:
    """StatusError when an output has not a row for each row of the batch."""
    if np.ndim(value) == 0:
        raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
    if len(value) != rows:
        raise StatusError(
            Code.FAILED_PRECONDITION,
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors",
        )


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape == shape:
        return array
    if not array.size:
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    padded = np.full(shape, array.flat[0], array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded


def _type(array: np.ndarray) -> str:
    """What TensorFlow calls the type of an array in a sentence: "float", "string" ..."""
    return dtype_name(array).removeprefix("DT_").lower()
