"""Arrays to TensorProtos and back, as TensorFlow converts them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving.wire.protos import TensorProto
from serving.wire.tensors import from_proto, to_proto

ARRAYS = [
    np.array([[1.5, -2.0, np.inf]], np.float32),
    np.array([0.1, np.nan], np.float64),
    np.array([-128, 127], np.int8),
    np.array([-5, 5], np.int16),
    np.array(7, np.int32),
    np.array([[2**63 - 1], [-(2**63)]], np.int64),
    np.array([0, 255], np.uint8),
    np.array([65535], np.uint16),
    np.array([2**32 - 1], np.uint32),
    np.array([2**64 - 1, 0], np.uint64),
    np.array([[True, False]], np.bool_),
    np.array([b"a", "茶".encode(), b"\xff\x00"], object),
    np.zeros((0, 5), np.float32),
    np.array([], object),
    np.array([1.5, -2.25], np.float16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype} {array.shape}")
def test_tensorflow_reads_and_writes_the_same_protos(array: np.ndarray) -> None:
    for converted in (tf.make_ndarray(to_proto(array)), from_proto(tf.make_tensor_proto(array))):
        assert converted.dtype == array.dtype
        np.testing.assert_array_equal(converted, array)


def test_missing_values_repeat_the_last_one_and_none_means_zero() -> None:
    proto = TensorProto(dtype=1, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=4)
    assert from_proto(proto).tolist() == [1.0, 2.0, 2.0, 2.0]
    del proto.float_val[:]
    assert from_proto(proto).tolist() == [0.0, 0.0, 0.0, 0.0]


def test_large_unsigned_integers_keep_every_bit() -> None:
    values = [1, 2**63 + 1, 2**64 - 1]
    assert from_proto(TensorProto(dtype=23, uint64_val=values, tensor_shape={"dim": [{"size": 3}]})).tolist() == values


def test_a_small_message_that_claims_a_huge_tensor_is_refused_before_memory_is_taken() -> None:
    proto = TensorProto(dtype=2, tensor_shape={"dim": [{"size": 2**31}]})  # 16 GiB of zeros
    with pytest.raises(ValueError, match=r"a message of \d+ bytes claims a tensor of 2147483648 elements"):
        from_proto(proto)


def test_packed_values_of_a_wrong_length_are_refused() -> None:
    proto = TensorProto(dtype=1, tensor_content=b"\0" * 12)
    proto.tensor_shape.dim.add(size=4)
    with pytest.raises(ValueError, match="reshape"):
        from_proto(proto)
