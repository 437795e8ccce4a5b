"""Request bodies to arrays, where the contract of tests/serving/conformance has no row."""

from __future__ import annotations

import numpy as np
import pytest

from serving.api.rest.json_request import inputs
from serving.request.status import StatusError
from serving.wire.protos import DataType

TWO_INPUTS = {"a": DataType.Value("DT_STRING"), "b": DataType.Value("DT_FLOAT")}


def test_a_bare_base64_value_is_the_value_of_the_first_input() -> None:
    arrays = inputs({"instances": [{"b64": "dGVl"}]}, TWO_INPUTS)
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [b"tee"]}


def test_objects_give_each_input_by_name() -> None:
    arrays = inputs({"instances": [{"a": "x", "b": 1.5}, {"a": "y", "b": 2.5}]}, TWO_INPUTS)
    assert arrays["a"].tolist() == [b"x", b"y"]
    np.testing.assert_array_equal(arrays["b"], np.array([1.5, 2.5], np.float32))


def test_plain_values_for_two_inputs_are_refused() -> None:
    with pytest.raises(StatusError, match="instances is a plain list, but expecting list of objects"):
        inputs({"instances": ["x"]}, TWO_INPUTS)
