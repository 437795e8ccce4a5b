"""The bodies of REST classify and regress: JSON objects to tf.Examples, results to JSON.

Texts and rules are those of TensorFlow Serving's json_tensor.cc; only the white space differs.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from serving.api.rest.json_request import signature_name
from serving.api.rest.json_text import echo, parse
from serving.api.rest.json_values import is_base64, json_type, to_array
from serving.request.status import invalid
from serving.wire.protos import (
    ClassificationRequest,
    ClassificationResult,
    DataType,
    Example,
    Feature,
    RegressionRequest,
    RegressionResult,
)

_FLOAT, _STRING = DataType.Value("DT_FLOAT"), DataType.Value("DT_STRING")


def fill(request: ClassificationRequest | RegressionRequest, body: bytes) -> None:
    """Adds the signature name and the examples of a JSON body to `request`; StatusError when they do not fit."""
    document = parse(body)
    # A name that is not UTF-8 is that of no signature, but it would not fit into the message.
    request.model_spec.signature_name = signature_name(document).encode("utf-8", "replace").decode()
    listed = request.input.example_list
    if "context" in document:
        listed = request.input.example_list_with_context
        _fill_example(listed.context, document["context"])
    for value in _examples(document):
        _fill_example(listed.examples.add(), value)


def classification_reply(result: ClassificationResult) -> bytes:
    """The reply body of classify: for each example its [label, score] pairs."""
    rows = [[[each.label, _decimal(each.score)] for each in row.classes] for row in result.classifications]
    return json.dumps({"results": rows}, ensure_ascii=False).encode()


def regression_reply(result: RegressionResult) -> bytes:
    """The reply body of regress: a value for each example."""
    return json.dumps({"results": [_decimal(each.value) for each in result.regressions]}).encode()


def _examples(document: dict[str, Any]) -> list[Any]:
    if "examples" not in document:  # the stock server says "classify" of regress too
        raise invalid(
            f"JSON Value: {echo(document)} When method is classify, key 'examples' is expected and was not found"
        )
    if not isinstance(document["examples"], list):
        raise invalid(f"JSON Value: {echo(document)} Expecting 'examples' value to be an list/array")
    if not document["examples"]:
        raise invalid(f"JSON Value: {echo(document)} 'examples' value is an empty array")
    return document["examples"]


def _fill_example(example: Example, value: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type(value)}")
    for name, content in value.items():
        feature = Feature()
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)
        try:
            example.features.feature[name].CopyFrom(feature)
        except UnicodeEncodeError as error:
            raise invalid(f"Feature: {echo(name)} has a name that is no UTF-8; send it in UTF-8") from error


def _add(value: Any, name: str, feature: Feature) -> None:
    kind = _kind(value, name)
    given = feature.WhichOneof("kind") or kind
    if kind != given:
        expected = given.removesuffix("_list")
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {expected}")
    if kind == "bytes_list":
        feature.bytes_list.value.append(to_array(value, _STRING).item())
    elif kind == "float_list":
        feature.float_list.value.append(to_array(value, _FLOAT).item())
    elif value >= 2**63:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    else:
        feature.int64_list.value.append(int(value))


def _kind(value: Any, name: str) -> str:
    """The list of a Feature that a JSON value belongs into; true and false are 1 and 0."""
    if isinstance(value, str) or is_base64(value):
        return "bytes_list"
    if isinstance(value, int):
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def _decimal(value: float) -> float:
    """The double of a float's shortest digits, else 0.2 is written as 0.20000000298023224."""
    return float(str(np.float32(value)))
