"""Conversion of arrays to TensorProtos and back, without TensorFlow.

It accepts what `Tensor::FromProto` accepts. Strings are object arrays of bytes. Types that NumPy
lacks (bfloat16 ...) go through TensorFlow's own converter, which is imported for the first of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from serving.wire.protos import DataType, TensorProto

_NUMERIC: dict[int, tuple[Any, str]] = {
    DataType.Value("DT_FLOAT"): (np.float32, "float_val"),
    DataType.Value("DT_DOUBLE"): (np.float64, "double_val"),
    DataType.Value("DT_INT8"): (np.int8, "int_val"),
    DataType.Value("DT_INT16"): (np.int16, "int_val"),
    DataType.Value("DT_INT32"): (np.int32, "int_val"),
    DataType.Value("DT_INT64"): (np.int64, "int64_val"),
    DataType.Value("DT_UINT8"): (np.uint8, "int_val"),
    DataType.Value("DT_UINT16"): (np.uint16, "int_val"),
    DataType.Value("DT_UINT32"): (np.uint32, "uint32_val"),
    DataType.Value("DT_UINT64"): (np.uint64, "uint64_val"),
    DataType.Value("DT_BOOL"): (np.bool_, "bool_val"),
}
MAX_ELEMENTS = 2**24
"""A tensor with more elements than this needs a message of at least a byte for each."""
_STRING = DataType.Value("DT_STRING")
_TYPE_OF = {np.dtype(numpy_type): dtype for dtype, (numpy_type, _) in _NUMERIC.items()}


def numpy_type(dtype: int) -> Any:
    """Return the NumPy type of a DataType's number; KeyError for a type that NumPy lacks."""
    return np.object_ if dtype == _STRING else _NUMERIC[dtype][0]


def dtype_name(array: np.ndarray) -> str:
    """Return the name of an array's DataType: DT_FLOAT ..."""
    return DataType.Name(to_proto(np.atleast_1d(array)[:0]).dtype)


def as_array(value: Any) -> np.ndarray:
    """Convert a session's output to an array; a scalar output is a plain number or bytes."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def to_proto(array: np.ndarray) -> TensorProto:
    """Convert an array; values go to the typed field (`float_val` ...), as in the stock server."""
    if array.dtype.kind in "OSU":
        proto = TensorProto(dtype=_STRING)
        proto.string_val.extend(_as_bytes(value) for value in array.ravel().tolist())
    elif array.dtype in _TYPE_OF:
        dtype = _TYPE_OF[array.dtype]
        proto = TensorProto(dtype=dtype)
        getattr(proto, _NUMERIC[dtype][1]).extend(array.ravel().tolist())
    else:
        import tensorflow as tf

        return tf.make_tensor_proto(array)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def from_proto(proto: TensorProto) -> np.ndarray:
    """Convert a TensorProto.

    As in TensorFlow, values beyond the shape are ignored, the last value fills what is missing, and
    no value at all means zeros or "". Raises ValueError or MemoryError when the proto holds no
    tensor.
    """
    shape = _shape(proto)
    count = math.prod(shape)
    _check_size(proto, count)
    if proto.dtype == _STRING:
        if proto.tensor_content:
            raise ValueError("packed strings are not supported; send string_val")
        flat: np.ndarray = np.empty(count, object)
        flat[:] = _fill(proto.string_val, count, b"")
    elif proto.dtype in _NUMERIC:
        numpy_dtype, field = _NUMERIC[proto.dtype]
        if proto.tensor_content:
            flat = np.frombuffer(proto.tensor_content, numpy_dtype)
        elif not getattr(proto, field):
            flat = np.zeros(count, numpy_dtype)
        else:
            parse_type = np.uint64 if field == "uint64_val" else None  # NumPy would make floats of [1, 2**63]
            flat = np.array(_fill(getattr(proto, field), count, 0), parse_type).astype(numpy_dtype)
    else:
        import tensorflow as tf

        return _convert(tf.make_ndarray, proto)
    return flat.reshape(shape)


def _check_size(proto: TensorProto, count: int) -> None:
    """Raise ValueError where a small message claims a tensor that would use up the memory."""
    if count > MAX_ELEMENTS and proto.ByteSize() < count:
        raise ValueError(
            f"a message of {proto.ByteSize()} bytes claims a tensor of {count} elements; send each element"
        )


def _shape(proto: TensorProto) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"shape {shape} has unknown dimensions; give every dimension")
    return shape


def _fill(values: Any, count: int, zero: Any) -> list[Any]:
    values = list(values[:count])
    return values + [values[-1] if values else zero] * (count - len(values))


def _convert(convert: Any, proto: TensorProto) -> np.ndarray:
    try:
        return convert(proto)
    except (TypeError, KeyError, OverflowError) as error:  # how TensorFlow refuses a dtype
        raise ValueError(f"no tensor of type {proto.dtype} can be read: {error}") from error


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
