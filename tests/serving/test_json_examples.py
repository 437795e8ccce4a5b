"""REST classify and regress: examples are read, results written and requests refused as in the stock server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import tensorflow as tf
from google.protobuf import text_format

from serving.embedded import Server

CLASSIFY, REGRESS = "/v1/models/people:classify", "/v1/models/people:regress"
ULM, BONN = {"age": 25.0, "city": "ulm"}, {"age": 50.0, "city": "bonn"}


@pytest.fixture(scope="module")
def http(people: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{people.rest_api_port}", trust_env=False, timeout=30) as client:
        yield client


def mirrored(http: httpx.Client, body: str | bytes | dict[str, Any]) -> list[tf.train.Example]:
    """The examples that reach the model, the context merged into each."""
    document = json.loads(body) if isinstance(body, str) else body
    content = document if isinstance(document, bytes) else json.dumps({"signature_name": "mirror", **document})
    results = http.post(CLASSIFY, content=content).json()["results"]
    return [tf.train.Example.FromString(base64.urlsafe_b64decode(row[0][0])) for row in results]


def features(text: str) -> tf.train.Example:
    """An Example by its features in protobuf's text format."""
    return text_format.Parse(f"features {{ {text} }}", tf.train.Example())


def test_classify_writes_each_label_beside_its_score(http: httpx.Client) -> None:
    response = http.post(CLASSIFY, json={"examples": [ULM, BONN]})
    # The city as it is and in capitals; the age and twice the age.
    assert response.json() == {"results": [[["ulm", 25.0], ["ULM", 50.0]], [["bonn", 50.0], ["BONN", 100.0]]]}
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


def test_regress_writes_a_value_for_each_example(http: httpx.Client) -> None:
    body = {"signature_name": "twice", "examples": [ULM, BONN]}
    response = http.post("/v1/models/people/versions/1:regress", json=body)
    assert response.text == '{"results": [50.0, 100.0]}'


def test_what_a_signature_lacks_is_written_as_empty_or_zero(http: httpx.Client) -> None:
    labels = http.post(CLASSIFY, json={"signature_name": "labels", "examples": [ULM]})
    assert labels.json() == {"results": [[["ulm", 0.0], ["ULM", 0.0]]]}
    scores = http.post(CLASSIFY, json={"signature_name": "scores", "examples": [ULM]})
    assert scores.json() == {"results": [[["", 25.0], ["", 50.0]]]}


def test_floats_are_written_in_few_digits_and_nan_as_such(http: httpx.Client) -> None:
    people = '[{"age": 0.1, "city": "köln"}, {"age": NaN}, {"age": -Infinity}]'
    text = http.post(CLASSIFY, content=f'{{"examples": {people}}}').text
    rows = '[["köln", 0.1], ["KöLN", 0.2]], [["", NaN], ["", NaN]], [["", -Infinity], ["", -Infinity]]'
    assert text == f'{{"results": [{rows}]}}'
    text = http.post(REGRESS, content=f'{{"signature_name": "twice", "examples": {people}}}').text
    assert text == '{"results": [0.2, NaN, -Infinity]}'


def test_an_example_overrides_the_context(http: httpx.Client) -> None:
    body = {"signature_name": "twice", "context": ULM, "examples": [{}, {"age": 50.0}]}
    assert http.post(REGRESS, json=body).json() == {"results": [50.0, 100.0]}
    shared, own = mirrored(http, {"context": ULM, "examples": [{}, {"city": "bonn"}]})
    assert shared.features.feature["city"].bytes_list.value == [b"ulm"]
    assert own.features.feature["city"].bytes_list.value == [b"bonn"]


def test_each_json_type_becomes_the_list_of_its_kind(http: httpx.Client) -> None:
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


def test_text_that_is_no_utf8_is_passed_on_as_it_is(http: httpx.Client) -> None:
    body = b'{"signature_name": "mirror", "examples": [{"raw": "\xff"}]}'
    assert mirrored(http, body)[0].features.feature["raw"].bytes_list.value == [b"\xff"]


def of_feature(value: str) -> str:
    return f'{{"examples": [{{"x": {value}}}]}}'


REFUSALS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "JSON Parse error: The document is empty"),
    "a list": ("[1]", "JSON Value: [1] Is not object"),
    "signature_name a number": (
        '{"signature_name": 1}',
        'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "no examples": (
        '{"instances": [1]}',
        'JSON Value: {\n    "instances": [1]\n} '
        "When method is classify, key 'examples' is expected and was not found",
    ),
    "examples no list": (
        '{"examples": {}}',
        "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array",
    ),
    "an empty list": ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
    "an example that is a list": ('{"examples": [[1]]}', "Example must be JSON object but got JSON Array"),
    "an example that is true": ('{"examples": [true]}', "Example must be JSON object but got JSON True"),
    "a context that is null": (
        '{"context": null, "examples": [{}]}',
        "Example must be JSON object but got JSON Null",
    ),
    "the context is read before the examples": (
        '{"context": "x"}',
        "Example must be JSON object but got JSON String",
    ),
    "null": (of_feature("null"), "Feature: x has element with unexpected JSON type: Null"),
    "a list of lists": (of_feature("[[1]]"), "Feature: x has element with unexpected JSON type: Array"),
    "an object": (of_feature('{"b65": ""}'), "Feature: x has element with unexpected JSON type: Object"),
    "a decimal among integers": (
        of_feature("[1, 2.0]"),
        "Unexpected element type in feature: x expecting type: int64",
    ),
    "an integer among decimals": (
        of_feature("[1.0, 2]"),
        "Unexpected element type in feature: x expecting type: float",
    ),
    "a number among strings": (of_feature('["a", 1]'), "Unexpected element type in feature: x expecting type: bytes"),
    "true among strings": (of_feature('["a", true]'), "Unexpected element type in feature: x expecting type: bytes"),
    "base64 among integers": (
        of_feature('[1, {"b64": "!"}]'),
        "Unexpected element type in feature: x expecting type: int64",
    ),
    "not base64": (of_feature('{"b64": "!"}'), "Unable to base64 decode"),
    "an unsigned integer": (
        of_feature("9223372036854775808"),
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    "an integer of 400 digits": (
        of_feature("1" + "0" * 399),
        "JSON Parse error: Number too big to be stored in double. at offset: 20",
    ),
    "half a surrogate pair": (
        of_feature('"\\ud800"'),
        "JSON Parse error: The surrogate pair in string is invalid. at offset: 21",
    ),
    "a feature's name that is no UTF-8": (
        b'{"examples": [{"\xff": 1}]}',
        'Feature: "?" has a name that is no UTF-8; send it in UTF-8',
    ),
    "an unknown signature": (
        '{"signature_name": "nope", "examples": [{}]}',
        "No signature was found with the name: nope",
    ),
    "a signature's name that is no UTF-8": (
        b'{"signature_name": "\xff", "examples": [{}]}',
        "No signature was found with the name: ?",
    ),
    "a signature that does not fit": (
        '{"signature_name": "two_inputs", "examples": [{}]}',
        "Expected one input Tensor.",
    ),
}


@pytest.mark.parametrize("path", [CLASSIFY, REGRESS])
@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_has_the_stock_status_and_text(http: httpx.Client, path: str, case: tuple[str | bytes, str]) -> None:
    body, text = case
    response = http.post(path, content=body)
    assert (response.status_code, response.json()) == (400, {"error": text})


def test_the_json_is_read_before_the_model_is_looked_for(http: httpx.Client) -> None:
    response = http.post("/v1/models/other:classify", content=of_feature("null"))
    assert response.json() == {"error": "Feature: x has element with unexpected JSON type: Null"}
    response = http.post("/v1/models/other:classify", content=of_feature("1"))
    assert (response.status_code, response.json()) == (
        404,
        {"error": "Servable not found for request: Latest(other)"},
    )


def test_a_label_that_is_no_utf8_is_an_internal_error(http: httpx.Client) -> None:
    response = http.post(CLASSIFY, json={"signature_name": "broken_label", "examples": [ULM]})
    assert response.status_code == 500
    assert response.json()["error"].startswith(r"label b'\xff' is no UTF-8")
