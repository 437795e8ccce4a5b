"""JSON values converted to arrays: nested lists, base64, NaN, strict types.

The rules are those of TensorFlow Serving's json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from serving.api.rest import errors
from serving.wire.protos import DataType

MAX_RANK = 64  # of a NumPy array
_RANGES = {
    "DT_INT8": (-(2**31), 2**31),
    "DT_INT16": (-(2**31), 2**31),
    "DT_INT32": (-(2**31), 2**31),
    "DT_INT64": (-(2**63), 2**63),
    "DT_UINT8": (-(2**31), 2**31),
    "DT_UINT32": (0, 2**32),
    "DT_UINT64": (0, 2**64),
}
"""Half-open range of integers accepted for each type; narrower types wrap around, as in C++."""
_FLOATS = ("DT_FLOAT", "DT_DOUBLE")
_PARSED_AS = dict.fromkeys(_RANGES, np.int64) | {"DT_UINT64": np.uint64, "DT_BOOL": np.bool_}
_PARSED_AS |= dict.fromkeys(_FLOATS, np.float64)
"""NumPy type that values have before the cast: without one NumPy reads [1, 2**63] as floats."""


def to_array(value: Any, dtype: int) -> np.ndarray:
    """Convert a JSON value to DataType number `dtype`; StatusError when it does not fit."""
    shape = _shape(value)
    if len(shape) > MAX_RANK:
        raise errors.too_many_levels(value, len(shape), MAX_RANK)
    flat = list(_scalars(value, 0, shape, dtype))
    if dtype == DataType.Value("DT_STRING"):
        array: np.ndarray = np.empty(len(flat), object)
        array[:] = flat
    else:
        with np.errstate(over="ignore"):  # a number too large for a float becomes infinite
            array = np.array(flat, _PARSED_AS.get(DataType.Name(dtype))).astype(tf.as_dtype(dtype).as_numpy_dtype)
    return array.reshape(shape)


def is_base64(value: Any) -> bool:
    """True for {"b64": "..."}, which is a string, not an object of named values."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _scalars(value: Any, level: int, shape: tuple[int, ...], dtype: int) -> Iterator[Any]:
    """The scalars of a nested list, row by row; StatusError where it does not have `shape`."""
    if not isinstance(value, list):
        if level != len(shape):
            raise errors.value_at_wrong_level(value, level + 1, len(shape))
        yield _scalar(value, dtype)
        return
    if level >= len(shape):
        raise errors.list_at_wrong_level(level, len(shape))
    if len(value) != shape[level]:
        raise errors.list_of_wrong_size(len(value), level, shape[level])
    for element in value:
        yield from _scalars(element, level + 1, shape, dtype)


def _scalar(value: Any, dtype: int) -> Any:
    name = DataType.Name(dtype)
    if name == "DT_STRING":
        return _string(value, dtype)
    if name in _FLOATS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise errors.wrong_type(value, dtype)
        return value
    if name in _RANGES:
        low, high = _RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise errors.wrong_type(value, dtype)
        return value
    if name == "DT_BOOL":
        if not isinstance(value, bool):
            raise errors.wrong_type(value, dtype)
        return value
    raise errors.unsupported_type(value, dtype)


def _string(value: Any, dtype: int) -> bytes:
    if isinstance(value, dict):
        if not is_base64(value):
            raise errors.base64_not_object(value)
        return _base64(value["b64"])
    if not isinstance(value, str):
        raise errors.wrong_type(value, dtype)
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise errors.invalid_surrogate() from error


def _base64(text: str) -> bytes:
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.invalid_base64() from error
