"""REST routes: paths, methods, names, versions and labels."""

from __future__ import annotations

from typing import Any

from tests.serving.conformance.row import ANY, Rest, Row

ROWS_BODY = {"instances": [{"x": 1, "y": 10}]}
BY_2 = {"predictions": [{"sum": 12.0, "difference": -9.0}]}  # 2 * 1 + 10, 1 - 10
BY_1 = {"predictions": [{"sum": 11.0, "difference": -9.0}]}  # 1 * 1 + 10


def predict(path: str, **expected: Any) -> Rest:
    return Rest(path=path, body=ROWS_BODY, **expected)


def malformed(method: str, path: str) -> Rest:
    body = ROWS_BODY if method == "POST" else b""
    return Rest(method=method, path=path, body=body, status=400, error=f"Malformed request: {method} {path}")


def missing_name(path: str) -> Rest:
    return Rest(method="GET", path=path, status=400, error="Missing model name in request.")


def elsewhere(method: str, path: str) -> Rest:
    """A row of a 404 whose page is the HTTP library's own."""
    return Rest(method=method, path=path, status=404, answered_headers={})


MALFORMED = [
    ("POST", "/v1/models"),
    ("POST", "/v1/models/toy"),
    ("POST", "/v1/models/toy:ask"),
    ("POST", "/v1/models/toy:predict/"),
    ("POST", "/v1/models/toy:predict?key=1"),
    ("POST", "/v1/models/toy/metadata"),
    ("POST", "/v1/models/:predict"),
    ("POST", "/v1/models/toy/version/1:predict"),
    ("POST", "/v1/models/toy/versions/one:predict"),
    ("POST", "/v1/models/toy/versions/-1:predict"),
    ("POST", "/v1/models/toy/label/stable:predict"),
    ("POST", "/v1/models/toy/versions/1/labels/stable:predict"),
    ("POST", "/v1/models/toy:multi_inference"),
    ("GET", "/v1/models/"),
    ("GET", "/v1/models/toy/"),
    ("GET", "/v1/models/toy:predict"),
    ("GET", "/v1/models/toy/versions/one"),
    ("GET", "/v1/models/debug/toy"),
    ("GET", "/v1/foo"),
    ("GET", "/v1/"),
    ("PUT", "/v1/models/toy:predict"),
    ("DELETE", "/v1/models/toy"),
    ("PATCH", "/v1/models/toy"),
]

ROWS: dict[str, Row] = {
    "predict by the latest version": predict("/v1/models/toy:predict", answer=BY_2),
    "predict by a version": predict("/v1/models/toy/versions/1:predict", answer=BY_1),
    "predict by a label": predict("/v1/models/toy/labels/stable:predict", answer=BY_1),
    "predict by an encoded label": predict("/v1/models/toy/labels/canary%2F2%20b:predict", answer=BY_2),
    "the route ignores case": predict("/V1/Models/toy/Versions/1:Predict", answer=BY_1),
    "a model's name is case-sensitive": predict(
        "/v1/models/Toy:predict", status=404, error="Servable not found for request: Latest(Toy)"
    ),
    "predict by an unknown model": predict(
        "/v1/models/other:predict", status=404, error="Servable not found for request: Latest(other)"
    ),
    "an encoded name is decoded in the error": predict(
        "/v1/models/o%2Fther:predict", status=404, error="Servable not found for request: Latest(o/ther)"
    ),
    "predict by an unknown version": predict(
        "/v1/models/toy/versions/7:predict", status=404, error="Servable not found for request: Specific(toy, 7)"
    ),
    "predict by an unknown label": predict(
        "/v1/models/toy/labels/nope:predict", status=400, error="Unrecognized servable version label: nope"
    ),
    "zeros may lead a version": predict(f"/v1/models/toy/versions/{'0' * 5000}1:predict", answer=BY_1),
    # The stock server answers these two with no body at all.
    "a version too long for an int64": Rest(
        method="GET", path="/v1/models/toy/versions/9223372036854775808", status=400, raw=ANY
    ),
    "a version of 5,000 digits": Rest(method="GET", path=f"/v1/models/toy/versions/{'9' * 5000}", status=400, raw=ANY),
    "the largest int64 is a version": Rest(
        method="GET",
        path="/v1/models/toy/versions/9223372036854775807",
        status=404,
        error="Could not find version 9223372036854775807 of model toy",
    ),
    "a query string is part of the name": Rest(
        method="GET", path="/v1/models/toy?a=1", status=404, error="Could not find any versions of model toy?a=1"
    ),
    "metadata may be a model's name": Rest(
        method="GET", path="/v1/models/metadata", status=404, error="Could not find any versions of model metadata"
    ),
    "no model name": missing_name("/v1/models"),
    "no model name before a version": missing_name("/v1/models/versions/1"),
    "no model name before a label": missing_name("/v1/models/labels/stable"),
    "no model name before metadata": missing_name("/v1/models/versions/1/metadata"),
    "outside of /v1/": elsewhere("GET", "/statuspage"),
    "the root": elsewhere("GET", "/"),
    "another version of the protocol": elsewhere("POST", "/v2/models/toy/infer"),
    "a preflight outside of /v1/": elsewhere("OPTIONS", "/statuspage"),
} | {f"malformed: {method} {path}": malformed(method, path) for method, path in MALFORMED}
