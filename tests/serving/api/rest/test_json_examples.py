"""Bodies of REST classify and regress beyond the rows of conformance/examples.py."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
import tensorflow as tf
from google.protobuf import text_format

from serving.api.rest.json_examples import classification_reply, regression_reply
from serving.server.embedded import Server
from serving.wire.protos import ClassificationResult, RegressionResult

CLASSIFY, REGRESS = "/v1/models/people:classify", "/v1/models/people:regress"
ULM = {"age": 25.0, "city": "ulm"}


@pytest.fixture(scope="module")
def server(people: Server) -> Server:
    return people


def mirrored(http: httpx.Client, body: str | bytes | dict[str, Any]) -> list[tf.train.Example]:
    """The examples that reach the model, the context merged into each."""
    document = json.loads(body) if isinstance(body, str) else body
    content = document if isinstance(document, bytes) else json.dumps({"signature_name": "mirror", **document})
    results = http.post(CLASSIFY, content=content).json()["results"]
    return [tf.train.Example.FromString(base64.urlsafe_b64decode(row[0][0])) for row in results]


def features(text: str) -> tf.train.Example:
    """An Example by its features in protobuf's text format."""
    return text_format.Parse(f"features {{ {text} }}", tf.train.Example())


def test_replies_are_on_one_line_with_floats_in_their_shortest_digits() -> None:
    classes = [{"label": "köln", "score": 0.1}, {"label": "", "score": float("nan")}]
    classified = ClassificationResult(classifications=[{"classes": classes}])
    assert classification_reply(classified).decode() == '{"results": [[["köln", 0.1], ["", NaN]]]}'
    regressed = RegressionResult(regressions=[{"value": 0.2}, {"value": float("-inf")}])
    assert regression_reply(regressed).decode() == '{"results": [0.2, -Infinity]}'


def test_each_json_type_becomes_a_feature_of_its_kind(http: httpx.Client) -> None:
    body = """{"examples": [{
        "text": "é", "texts": ["a", {"b64": "/w=="}], "int": -9223372036854775808, "ints": [1, 2],
        "bool": true, "mixed": [false, 7], "float": 1.5, "floats": [1.0, 1e3, -0.25],
        "huge": 100000000000000000000, "empty": [], "b64": "text"
    }]}"""
    expected = r"""
        feature { key: "text" value { bytes_list { value: "é" } } }
        feature { key: "texts" value { bytes_list { value: "a" value: "\377" } } }
        feature { key: "int" value { int64_list { value: -9223372036854775808 } } }
        feature { key: "ints" value { int64_list { value: 1 value: 2 } } }
        feature { key: "bool" value { int64_list { value: 1 } } }
        feature { key: "mixed" value { int64_list { value: 0 value: 7 } } }
        feature { key: "float" value { float_list { value: 1.5 } } }
        feature { key: "floats" value { float_list { value: 1.0 value: 1000.0 value: -0.25 } } }
        feature { key: "huge" value { float_list { value: 1e20 } } }
        feature { key: "empty" value { } }
        feature { key: "b64" value { bytes_list { value: "text" } } }
    """
    assert mirrored(http, body) == [features(expected)]


def test_text_that_is_not_utf8_reaches_the_model_unchanged(http: httpx.Client) -> None:
    body = b'{"signature_name": "mirror", "examples": [{"raw": "\xff"}]}'
    assert mirrored(http, body)[0].features.feature["raw"].bytes_list.value == [b"\xff"]


REFUSALS: dict[str, tuple[bytes, str]] = {
    "a feature's name": (
        b'{"examples": [{"\xff": 1}]}',
        'Feature: "?" has a name that is no UTF-8; send it in UTF-8',
    ),
    "a signature's name": (
        b'{"signature_name": "\xff", "examples": [{}]}',
        "No signature was found with the name: ?",
    ),
}


@pytest.mark.parametrize("path", [CLASSIFY, REGRESS])
@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_name_that_is_not_utf8_is_refused(http: httpx.Client, path: str, case: tuple[bytes, str]) -> None:
    """All other refusals are part of the contract: tests/serving/conformance."""
    body, text = case
    response = http.post(path, content=body)
    assert (response.status_code, response.json()) == (400, {"error": text})
