"""Bodies of REST classify and regress: JSON objects to tf.Examples, results to JSON.

The rules are those of TensorFlow Serving's json_tensor.cc; only the white space of replies differs.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import numpy as np

from serving.api.rest import errors
from serving.api.rest.json_request import signature_name
from serving.api.rest.json_text import parse
from serving.api.rest.json_values import is_base64, to_array
from serving.wire.protos import (
    ClassificationRequest,
    ClassificationResult,
    DataType,
    Example,
    Feature,
    ModelSpec,
    RegressionRequest,
    RegressionResult,
)

Request = TypeVar("Request", ClassificationRequest, RegressionRequest)

_FLOAT, _STRING = DataType.Value("DT_FLOAT"), DataType.Value("DT_STRING")


def to_request(request_type: type[Request], spec: ModelSpec, body: bytes) -> Request:
    """The request of a JSON body: signature name and examples; StatusError when they do not fit."""
    document = parse(body)
    request = request_type(model_spec=spec)
    # No signature has a name that is not UTF-8, and the message could not hold it.
    request.model_spec.signature_name = signature_name(document).encode("utf-8", "replace").decode()
    listed = request.input.example_list
    if "context" in document:
        listed = request.input.example_list_with_context
        listed.context.CopyFrom(_example(document["context"]))
    for value in _examples(document):
        listed.examples.append(_example(value))
    return request


def classification_reply(result: ClassificationResult) -> bytes:
    """The reply body of classify: the [label, score] pairs of each example."""
    rows = [[[each.label, _decimal(each.score)] for each in row.classes] for row in result.classifications]
    return json.dumps({"results": rows}, ensure_ascii=False).encode()


def regression_reply(result: RegressionResult) -> bytes:
    """The reply body of regress: the value of each example."""
    return json.dumps({"results": [_decimal(each.value) for each in result.regressions]}).encode()


def _examples(document: dict[str, Any]) -> list[Any]:
    if "examples" not in document:
        raise errors.missing_examples(document)
    if not isinstance(document["examples"], list):
        raise errors.examples_not_list(document)
    if not document["examples"]:
        raise errors.examples_empty(document)
    return document["examples"]


def _example(value: Any) -> Example:
    if not isinstance(value, dict):
        raise errors.example_not_object(value)
    example = Example()
    for name, content in value.items():
        feature = _feature(name, content if isinstance(content, list) else [content])
        try:
            example.features.feature[name].CopyFrom(feature)
        except UnicodeEncodeError as error:
            raise errors.feature_name_not_utf8(name) from error
    return example


def _feature(name: str, elements: list[Any]) -> Feature:
    feature = Feature()
    for value in elements:
        kind = _kind(value, name)
        expected = feature.WhichOneof("kind") or kind
        if kind != expected:
            raise errors.mixed_feature(name, expected.removesuffix("_list"))
        if kind == "bytes_list":
            feature.bytes_list.value.append(to_array(value, _STRING).item())
        elif kind == "float_list":
            feature.float_list.value.append(to_array(value, _FLOAT).item())
        elif value >= 2**63:
            raise errors.uint64_feature(name)
        else:
            feature.int64_list.value.append(int(value))
    return feature


def _kind(value: Any, name: str) -> str:
    """The field of a Feature that takes a JSON value; true and false are 1 and 0."""
    if isinstance(value, str) or is_base64(value):
        return "bytes_list"
    if isinstance(value, int):
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    raise errors.unsupported_feature(name, value)


def _decimal(value: float) -> float:
    """The double with a float's shortest digits: 0.2 and not 0.20000000298023224."""
    return float(str(np.float32(value)))
