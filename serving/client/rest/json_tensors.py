"""Numpy arrays to and from the JSON of TensorFlow Serving's REST API, on the client's side.

serving/api/rest/json_values.py is the server's side, which imports TensorFlow.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.client.connection import Arrays, SignatureMismatch
from serving.client.model_info import Tensor
from serving.wire.protos import DataType
from serving.wire.tensors import numpy_type
from tfrec.errors import ServingError


def to_json(array: np.ndarray) -> Any:
    """Nested lists of an array's values; bytes that are not UTF-8 text become {"b64": ...}."""
    if array.dtype.kind not in "OSU":
        return array.tolist()
    values = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
    flat: np.ndarray = np.empty(array.size, object)
    flat[:] = [_string_to_json(value) for value in values]
    return flat.reshape(array.shape).tolist()


def from_json(value: Any, outputs: Mapping[str, Tensor]) -> Arrays:
    """The arrays of a response's "outputs": a bare value for one output, else an object by name.


    `outputs` are those of the signature. Raises SignatureMismatch if names or types differ from
    them.
    """
    by_name = {next(iter(outputs)): value} if len(outputs) == 1 else value
    if not isinstance(by_name, dict) or by_name.keys() != outputs.keys():
        names = ", ".join(by_name) if isinstance(by_name, dict) else type(by_name).__name__
        raise SignatureMismatch(
            f"the server returns {names} but its signature has {', '.join(outputs)}; send the request again"
        )
    return {name: _to_array(name, by_name[name], tensor) for name, tensor in outputs.items()}


def _string_to_json(value: bytes) -> str | dict[str, str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    # A server in C++ may take NUL for the end of the string.
    return {"b64": base64.b64encode(value).decode()} if "\0" in text else text


def _to_array(name: str, value: Any, tensor: Tensor) -> np.ndarray:
    try:
        dtype = numpy_type(DataType.Value(f"DT_{tensor.dtype.upper()}"))
    except KeyError as error:
        raise ServingError(f"output {name} has type {tensor.dtype}, which REST can't carry; use gRPC") from error
    try:
        array = np.array(value, dtype)
        if dtype is np.object_:
            array = _to_bytes_array(array)
    except (TypeError, ValueError) as error:
        raise SignatureMismatch(
            f"output {name} is not {tensor.dtype} ({error}) as in its signature; send the request again"
        ) from error
    if not array.size and tensor.shape is not None:  # [] is the JSON of shape [0, 3] too
        return array.reshape([*array.shape, *(max(size, 0) for size in tensor.shape[array.ndim :])])
    return array


def _to_bytes_array(array: np.ndarray) -> np.ndarray:
    flat: np.ndarray = np.empty(array.size, object)
    flat[:] = [_to_bytes(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return base64.b64decode(value["b64"])
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise TypeError(f"{value!r} is not a string")
