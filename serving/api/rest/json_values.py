"""JSON values to arrays as TensorFlow Serving converts them: nested lists, base64, NaN, strict types.

Texts and rules are those of its json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
import tensorflow as tf

from serving.api.rest.json_text import echo
from serving.request.status import Code, StatusError, invalid
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
"""The half-open range of integers that is taken for each type; narrower types wrap around, as in C++."""
_FLOATS = ("DT_FLOAT", "DT_DOUBLE")
_WIDEST = dict.fromkeys(_RANGES, np.int64) | {"DT_UINT64": np.uint64, "DT_BOOL": np.bool_}
_WIDEST |= dict.fromkeys(_FLOATS, np.float64)
"""What NumPy is told to read values as: by itself it takes 1 and 2**63 for floats."""


def to_array(value: Any, dtype: int) -> np.ndarray:
    """The array of a JSON value; StatusError when it is ragged or holds what is not of DataType `dtype`."""
    shape = _shape(value)
    if len(shape) > MAX_RANK:
        raise invalid(f"JSON Value: {echo(value)} is nested {len(shape)} deep; a tensor has at most {MAX_RANK} levels")
    flat: list[Any] = []
    _fill(value, 0, shape, dtype, flat)
    if dtype == DataType.Value("DT_STRING"):
        array: np.ndarray = np.empty(len(flat), object)
        array[:] = flat
    else:
        with np.errstate(over="ignore"):  # what is too great for a float is infinite
            array = np.array(flat, _WIDEST.get(DataType.Name(dtype))).astype(tf.as_dtype(dtype).as_numpy_dtype)
    return array.reshape(shape)


def is_base64(value: Any) -> bool:
    """Whether a JSON value is {"b64": "..."}: a string, not an object of named values."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def json_type(value: Any) -> str:
    """What RapidJSON calls the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _JSON_TYPES.get(type(value), "Number")


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: int, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {echo(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _fill(element, level + 1, shape, dtype, flat)


def _scalar(value: Any, dtype: int) -> Any:
    name = DataType.Name(dtype)
    if name == "DT_STRING":
        return _string(value, dtype)
    if name in _FLOATS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _type_error(value, dtype)
        return value
    if name in _RANGES:
        low, high = _RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise _type_error(value, dtype)
        return value
    if name == "DT_BOOL":
        if not isinstance(value, bool):
            raise _type_error(value, dtype)
        return value
    text = f"Conversion of JSON Value: {echo(value)} to type: {_type_name(dtype)}"
    raise StatusError(Code.UNIMPLEMENTED, text)


def _string(value: Any, dtype: int) -> bytes:
    if isinstance(value, dict):
        if not is_base64(value):
            raise invalid(f"JSON Value: {echo(value)} not formatted correctly for base64 data")
        return _base64(value["b64"])
    if not isinstance(value, str):
        raise _type_error(value, dtype)
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from error


def _base64(text: str) -> bytes:
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _type_error(value: Any, dtype: int) -> StatusError:
    return invalid(f"JSON Value: {echo(value)} Type: {json_type(value)} is not of expected type: {_type_name(dtype)}")


_JSON_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}


def _type_name(dtype: int) -> str:
    return DataType.Name(dtype).removeprefix("DT_").lower()
