"""Body of a REST predict reply: arrays to JSON, by row ("predictions") or column ("outputs").

The rules are those of TensorFlow Serving's json_tensor.cc; only the white space differs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.api.rest import errors
from serving.wire.tensors import as_array, dtype_name

_WRITABLE = [np.dtype(name) for name in ("O", "?", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "f4", "f8")]
"""Types that the stock server writes; uint16 and half are not among them."""


def reply(outputs: Mapping[str, Any], by_row: bool) -> bytes:
    """The reply body.

    StatusError for a type that JSON lacks and, by row, for outputs of unequal batch size.
    """
    arrays = {name: as_array(value) for name, value in outputs.items()}
    if by_row:
        _check_batches(arrays)
    values = {name: _json_value(array, name.endswith("_bytes")) for name, array in arrays.items()}
    content: Any
    if len(values) == 1:
        (content,) = values.values()
    elif by_row:
        content = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        content = values
    text = json.dumps({"predictions" if by_row else "outputs": content}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _check_batches(outputs: Mapping[str, np.ndarray]) -> None:
    batch = -1
    for name, array in outputs.items():
        if not array.shape:
            raise errors.output_without_batch(name)
        if batch not in (-1, array.shape[0]):
            raise errors.unequal_batch(name, array.shape[0], batch)
        batch = array.shape[0]


def _json_value(array: np.ndarray, as_bytes: bool) -> Any:
    """The JSON value of an array, floats in their shortest digits.

    Strings are text, or {"b64": ...} if `as_bytes`.
    """
    if array.size and array.dtype not in _WRITABLE:
        raise errors.unwritable_type(dtype_name(array).removeprefix("DT_").lower())
    if array.dtype == np.object_:
        flat: np.ndarray = np.empty(array.size, object)
        flat[:] = [_text(value, as_bytes) for value in array.ravel().tolist()]
        return flat.reshape(array.shape).tolist()
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = array.astype(np.str_).astype(np.float64)  # otherwise 0.2 is written as 0.20000000298023224
    return array.tolist()


def _text(value: Any, as_bytes: bool) -> Any:
    raw = value if isinstance(value, bytes) else str(value).encode()
    return {"b64": base64.b64encode(raw).decode()} if as_bytes else raw.decode("utf-8", "surrogateescape")
