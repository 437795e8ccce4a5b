"""Classify and regress over REST: classes, values and every refusal."""

from __future__ import annotations

import re
from typing import Any

from tests.serving.conformance.row import Like, Rest, Row

VERBS = ("classify", "regress")
ULM, BONN = {"age": 25.0, "city": "ulm"}, {"age": 50.0, "city": "bonn"}
TWO = {"examples": [ULM, BONN]}


def posted(path: str, body: Any, results: Any) -> Rest:
    return Rest(path=f"/v1/models/{path}", body=body, answer={"results": results})


def twice(results: Any, *examples: Any, **more: Any) -> Rest:
    return posted("people:regress", {"signature_name": "twice", "examples": examples, **more}, results)


def of_feature(value: str) -> str:
    return f'{{"examples": [{{"x": {value}}}]}}'


def raw(verb: str, signature: str, examples: str, results: str) -> Rest:
    """A row whose reply is `results` with any white space."""
    spaced = r"\s*".join(re.escape(part) for part in re.findall(r"[\w.-]+|\W", results))
    body = f'{{"signature_name": "{signature}", "examples": {examples}}}'
    return Rest(path=f"/v1/models/people:{verb}", body=body, raw=Like(rf"\s*{spaced}\s*"))


# Labels are the city and the city in capitals; scores are the age and twice the age.
CLASSES = [[["ulm", 25.0], ["ULM", 50.0]], [["bonn", 50.0], ["BONN", 100.0]]]

ANSWERS: dict[str, Row] = {
    "REST: classify writes each label beside its score": posted("people:classify", TWO, CLASSES),
    "REST: classify by a version": posted("people/versions/1:classify", TWO, CLASSES),
    "REST: classify by an encoded name": posted("a%2Fb%20c:classify", TWO, CLASSES),
    "REST: labels alone have no scores": posted(
        "people:classify", {"signature_name": "labels", "examples": [ULM]}, [[["ulm", 0.0], ["ULM", 0.0]]]
    ),
    "REST: scores alone have no labels": posted(
        "people:classify", {"signature_name": "scores", "examples": [ULM]}, [[["", 25.0], ["", 50.0]]]
    ),
    "REST: regress writes a value for each example": twice([50.0, 100.0], ULM, BONN),
    "REST: an example overrides the context": twice([50.0, 100.0], {}, {"age": 50.0}, context=ULM),
    "REST: a feature may be a list": twice([3.0], {"age": [1.5]}),
    "REST: unknown features are ignored": twice([50.0], {"rank": 1, "tags": ["a", "b"], **ULM}),
    "REST: an empty list is a missing feature": twice([0.0], {"age": []}),
    "REST: a text may be base64": posted(
        "people:classify",
        {"signature_name": "labels", "examples": [{"city": {"b64": "dWxt"}}]},
        [[["ulm", 0.0], ["ULM", 0.0]]],
    ),
    "REST: values are written in their shortest digits, with NaN and infinities": raw(
        "regress", "twice", '[{"age": 0.1}, {"age": NaN}, {"age": -Infinity}]', '{"results":[0.2,NaN,-Infinity]}'
    ),
    "REST: a decimal beyond a float is infinite": raw("regress", "twice", '[{"age": 1e39}]', '{"results":[Infinity]}'),
    "REST: an integer beyond 64 bits is a decimal": twice([2e20], {"age": 100000000000000000000}),
}

REFUSALS: dict[str, tuple[str, Any]] = {
    "nothing": ("", "JSON Parse error: The document is empty"),
    "no JSON": ("examples", "JSON Parse error: Invalid value. at offset: 0"),
    "a list for an object": ("[1]", "JSON Value: [1] Is not object"),
    "signature_name a number": (
        '{"signature_name": 1}',
        'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "no examples": (  # the stock server says "classify" for regress too
        '{"instances": [1]}',
        'JSON Value: {\n    "instances": [1]\n} '
        "When method is classify, key 'examples' is expected and was not found",
    ),
    "examples that are not a list": (
        '{"examples": {}}',
        "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array",
    ),
    "an empty list": ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
    "an example that is a list": ('{"examples": [[1]]}', "Example must be JSON object but got JSON Array"),
    "an example that is true": ('{"examples": [true]}', "Example must be JSON object but got JSON True"),
    "a context that is null": ('{"context": null, "examples": [{}]}', "Example must be JSON object but got JSON Null"),
    "the context is read before the examples": ('{"context": "x"}', "Example must be JSON object but got JSON String"),
    "null": (of_feature("null"), "Feature: x has element with unexpected JSON type: Null"),
    "a list of lists": (of_feature("[[1]]"), "Feature: x has element with unexpected JSON type: Array"),
    "an object": (of_feature('{"b65": ""}'), "Feature: x has element with unexpected JSON type: Object"),
    "a decimal among integers": (of_feature("[1, 2.0]"), "Unexpected element type in feature: x expecting type: int64"),
    "an integer among decimals": (
        of_feature("[1.0, 2]"),
        "Unexpected element type in feature: x expecting type: float",
    ),
    "a number among texts": (of_feature('["a", 1]'), "Unexpected element type in feature: x expecting type: bytes"),
    "true among texts": (of_feature('["a", true]'), "Unexpected element type in feature: x expecting type: bytes"),
    "base64 among integers": (
        of_feature('[1, {"b64": "!"}]'),
        "Unexpected element type in feature: x expecting type: int64",
    ),
    "not base64": (of_feature('{"b64": "!"}'), "Unable to base64 decode"),
    "an unsigned integer": (
        of_feature("9223372036854775808"),
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    "half a surrogate pair": (
        of_feature('"\\ud800"'),
        "JSON Parse error: The surrogate pair in string is invalid. at offset: 21",
    ),
    "an unknown signature": (
        '{"signature_name": "nope", "examples": [{}]}',
        "No signature was found with the name: nope",
    ),
    "a signature of two inputs": ('{"signature_name": "two_inputs", "examples": [{}]}', "Expected one input Tensor."),
}

OTHER_MODELS: dict[str, Row] = {
    "REST: the JSON is checked before the model": Rest(
        path="/v1/models/other:classify",
        body=of_feature("null"),
        status=400,
        error="Feature: x has element with unexpected JSON type: Null",
    ),
    "REST: classify by an unknown model": Rest(
        path="/v1/models/other:classify",
        body=of_feature("1"),
        status=404,
        error="Servable not found for request: Latest(other)",
    ),
    "REST: regress by an unknown label": Rest(
        path="/v1/models/people/labels/nope:regress",
        body=of_feature("1"),
        status=400,
        error="Unrecognized servable version label: nope",
    ),
    "REST: classify a model that predicts": Rest(
        path="/v1/models/toy:classify", body=of_feature("1"), status=400, error="Expected one input Tensor."
    ),
    "REST: the runtime refuses a feature of another type": Rest(
        path="/v1/models/people:classify",
        body='{"examples": [{"age": "old"}]}',
        status=400,
        error=Like(".*Data types don't match. .*"),
    ),
}

ROWS = (
    ANSWERS
    | OTHER_MODELS
    | {
        f"REST: {verb} refused: {name}": Rest(path=f"/v1/models/people:{verb}", body=body, status=400, error=error)
        for verb in VERBS
        for name, (body, error) in REFUSALS.items()
    }
)
