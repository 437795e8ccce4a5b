"""Arrays to the JSON of the REST API and back, and values that do not match the signature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.client.connection import SignatureMismatch
from serving.client.model_info import Tensor
from serving.client.rest.json_tensors import from_json, to_json
from tfrec.errors import ServingError


def test_strings_are_text_unless_they_are_not_utf8_or_hold_a_nul() -> None:
    array = np.array([["tea", b"\xff"], ["a\0b", "茶"]], object)
    assert to_json(array) == [["tea", {"b64": "/w=="}], [{"b64": "YQBi"}, "茶"]]


def test_numbers_and_empty_lists_keep_their_shape() -> None:
    assert to_json(np.array([[1, 2]], np.int64)) == [[1, 2]]
    assert to_json(np.zeros((1, 0), object)) == [[]]
    assert to_json(np.array(True)) is True


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ([], (-1, 3), (0, 3)),
        ([[], []], (-1, -1), (2, 0)),
        ([[1, 2, 3]], (-1, 3), (1, 3)),
        (7, (), ()),
        ([], None, (0,)),
    ],
)
def test_a_single_output_is_a_bare_value_of_the_signatures_shape(
    value: Any, shape: tuple[int, ...] | None, expected: tuple[int, ...]
) -> None:
    assert from_json(value, {"n": Tensor("int64", shape)})["n"].shape == expected


def test_several_outputs_are_an_object_by_name() -> None:
    outputs = {"id": Tensor("string", (-1,)), "score": Tensor("float", (-1,)), "seen": Tensor("bool", (-1,))}
    arrays = from_json({"score": [1, 0.1], "id": ["茶", {"b64": "/w=="}], "seen": [True, False]}, outputs)
    assert arrays["id"].tolist() == ["茶".encode(), b"\xff"]
    assert (arrays["score"].dtype, arrays["score"].tolist()) == (np.float32, [1.0, np.float32(0.1)])
    assert arrays["seen"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"id": ["a"]}, "the server returns id but its signature has id, n; send the request again"),
        ([1, 2], "the server returns list but its signature has id, n"),
        ({"id": ["a"], "n": ["b"]}, "output n is not int64 .* as in its signature"),
        ({"id": [1], "n": [1]}, "output id is not string .*1 is not a string"),
        ({"id": [["a"], ["b", "c"]], "n": [1]}, "output id is not string"),
    ],
)
def test_a_value_that_does_not_match_the_signature_is_refused(value: Any, text: str) -> None:
    with pytest.raises(SignatureMismatch, match=text):
        from_json(value, {"id": Tensor("string", (-1,)), "n": Tensor("int64", (-1,))})


def test_a_type_without_json_is_refused() -> None:
    with pytest.raises(ServingError, match="output x has type half, which REST can't carry; use gRPC"):
        from_json([1.0], {"x": Tensor("half", (-1,))})
