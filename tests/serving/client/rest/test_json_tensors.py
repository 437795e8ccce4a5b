"""Arrays to the JSON of the REST API and back, and what is done with an answer that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.client.connection import ChangedAnswer
from serving.client.model_info import Tensor
from serving.client.rest.json_tensors import from_json, to_json
from serving.client.rest.rest_connection import CODES
from serving.request.status import HTTP_STATUS
from tfrec.errors import ServingError


def test_strings_are_text_unless_they_are_none_or_would_be_cut() -> None:
    array = np.array([["tea", b"\xff"], ["a\0b", "茶"]], object)
    assert to_json(array) == [["tea", {"b64": "/w=="}], [{"b64": "YQBi"}, "茶"]]


def test_numbers_and_empty_lists_keep_their_shape() -> None:
    assert to_json(np.array([[1, 2]], np.int64)) == [[1, 2]]
    assert to_json(np.zeros((1, 0), object)) == [[]]
    assert to_json(np.array(True)) is True


@pytest.mark.parametrize(
    ("answer", "shape", "expected"),
    [
        ([], (-1, 3), (0, 3)),
        ([[], []], (-1, -1), (2, 0)),
        ([[1, 2, 3]], (-1, 3), (1, 3)),
        (7, (), ()),
        ([], None, (0,)),
    ],
)
def test_one_output_is_a_value_alone_of_the_shape_that_the_signature_gives(
    answer: Any, shape: tuple[int, ...] | None, expected: tuple[int, ...]
) -> None:
    assert from_json(answer, {"n": Tensor("int64", shape)})["n"].shape == expected


def test_several_outputs_are_an_object_each_of_its_type() -> None:
    outputs = {"id": Tensor("string", (-1,)), "score": Tensor("float", (-1,)), "seen": Tensor("bool", (-1,))}
    found = from_json({"score": [1, 0.1], "id": ["茶", {"b64": "/w=="}], "seen": [True, False]}, outputs)
    assert found["id"].tolist() == ["茶".encode(), b"\xff"]
    assert (found["score"].dtype, found["score"].tolist()) == (np.float32, [1.0, np.float32(0.1)])
    assert found["seen"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"id": ["a"]}, "the server answers id but its signature says id, n; ask it again"),
        ([1, 2], "the server answers list but its signature says id, n"),
        ({"id": ["a"], "n": ["b"]}, "output n is no int64 .* as its signature says"),
        ({"id": [1], "n": [1]}, "output id is no string .*1 is no string"),
        ({"id": [["a"], ["b", "c"]], "n": [1]}, "output id is no string"),
    ],
)
def test_an_answer_that_is_not_of_the_signature_is_told(answer: Any, text: str) -> None:
    with pytest.raises(ChangedAnswer, match=text):
        from_json(answer, {"id": Tensor("string", (-1,)), "n": Tensor("int64", (-1,))})


def test_a_type_that_has_no_json_is_told() -> None:
    with pytest.raises(ServingError, match="output x is of half, which REST can't carry; ask by gRPC"):
        from_json([1.0], {"x": Tensor("half", (-1,))})


def test_a_status_becomes_a_code_that_the_server_has_it_for() -> None:
    served = {(status, code) for code, status in HTTP_STATUS.items()}
    assert {(status, code) for status, code in CODES.items() if status != 502} <= served
    assert CODES.keys() - {502} == set(HTTP_STATUS.values()) - {200}
