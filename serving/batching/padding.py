"""Padding of server batches: rows are added, and short rows made longer.

Server batches are padded here and nowhere else; session.py calls this module for each batch.

- `allowed_batch_sizes`: `padded_size` and `add_rows` pad the first dimension with copies of a row,
  up to the next allowed size. Their outputs are cut off.
- `pad_variable_length_inputs`: `pad_to_largest` pads every later dimension with the tensor's own
  first value, up to the largest request in the batch. The padding stays in the outputs.

The rules and texts are those of TensorFlow Serving's batching_session.cc and batching_util.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.request.status import invalid

MAX_RANK = 6
"""Largest number of dimensions of a tensor whose later dimensions can be padded."""


def padded_size(size: int, allowed_sizes: Sequence[int]) -> int:
    """Return the number of rows that a batch of `size` rows has once it is padded.

    It is the next of the (ascending) allowed sizes. A batch without rows is not padded, nor is one
    that is larger than all of them.
    """
    if not size:
        return 0
    return next((allowed for allowed in allowed_sizes if allowed >= size), size)


def add_rows(arrays: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Append an array of `count` rows: copies of the first row of the last array that has any."""
    if not count:
        return list(arrays)
    row = next(array for array in reversed(arrays) if len(array))[:1]
    return [*arrays, np.broadcast_to(row, (count, *row.shape[1:]))]


def pad_to_largest(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Make each array as large as the largest one in every dimension but the first.

    An array is filled up with its own first value. Raises StatusError for arrays of unequal rank,
    of a rank above MAX_RANK, and for an empty array that would have to grow.
    """
    ranks = {array.ndim for array in arrays}
    if max(ranks) > MAX_RANK:
        raise invalid(f"Only tensors with rank from 1 to {MAX_RANK} can be padded.")
    if len(ranks) > 1:  # the stock server reads beyond a shape here, and may abort
        raise invalid("Only tensors with the same rank can be padded.")
    largest = np.max([array.shape[1:] for array in arrays], axis=0, initial=0).tolist()
    return [_pad(array, (len(array), *largest)) for array in arrays]


def _pad(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape == shape:
        return array
    if not array.size:
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    padded = np.full(shape, array.flat[0], array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded
