"""Arrays as the JSON of TensorFlow Serving's REST API, as its clients write and read it.

The server's side is json_values.py, which wants TensorFlow.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.client.connection import Arrays, ChangedAnswer
from serving.client.model_info import Tensor
from serving.wire.protos import DataType
from serving.wire.tensors import numpy_type
from tfrec.errors import ServingError


def to_json(array: np.ndarray) -> Any:
    """Nested lists; strings that are no text become {"b64": ...}."""
    if array.dtype.kind not in "OSU":
        return array.tolist()
    flat: np.ndarray = np.empty(array.size, object)
    flat[:] = [_string(value if isinstance(value, bytes) else str(value).encode()) for value in array.ravel().tolist()]
    return flat.reshape(array.shape).tolist()


def from_json(answer: Any, outputs: Mapping[str, Tensor]) -> Arrays:
    """The arrays of what is under the key "outputs": a value alone where there is one output, else an object of them.

    `outputs` are those of the signature; ChangedAnswer where the answer is not of their names and types.
    """
    named = {next(iter(outputs)): answer} if len(outputs) == 1 else answer
    if not isinstance(named, dict) or named.keys() != outputs.keys():
        names = ", ".join(named) if isinstance(named, dict) else type(named).__name__
        raise ChangedAnswer(f"the server answers {names} but its signature says {', '.join(outputs)}; ask it again")
    return {name: _array(name, named[name], known) for name, known in outputs.items()}


def _string(value: bytes) -> str | dict[str, str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    # A server in C++ may take NUL for the end.
    return {"b64": base64.b64encode(value).decode()} if "\0" in text else text


def _array(name: str, value: Any, known: Tensor) -> np.ndarray:
    try:
        dtype = numpy_type(DataType.Value(f"DT_{known.dtype.upper()}"))
    except KeyError as error:
        raise ServingError(f"output {name} is of {known.dtype}, which REST can't carry; ask by gRPC") from error
    try:
        array = np.array(value, dtype)
        if dtype is np.object_:
            array = _bytes(array)
    except (TypeError, ValueError) as error:
        raise ChangedAnswer(f"output {name} is no {known.dtype} ({error}) as its signature says; ask again") from error
    if not array.size and known.shape is not None:  # [] is the JSON of shape [0, 3] too
        return array.reshape([*array.shape, *(max(size, 0) for size in known.shape[array.ndim :])])
    return array


def _bytes(array: np.ndarray) -> np.ndarray:
    flat: np.ndarray = np.empty(array.size, object)
    flat[:] = [_one(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def _one(value: Any) -> bytes:
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return base64.b64decode(value["b64"])
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise TypeError(f"{value!r} is no string")
