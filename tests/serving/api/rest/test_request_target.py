"""Request targets with scheme and host, and what the routes of REST refuse."""

from __future__ import annotations

import httpx
import pytest

SUMS = {"predictions": [{"sum": 12.0, "difference": -8.0}]}  # version 1: 1 * 2 + 10, 2 - 10


@pytest.mark.parametrize(
    ("target", "status", "answer"),
    [
        ("http://127.0.0.1:8501/v1/models/toy:predict", 200, SUMS),
        ("HTTPS://user@shop.example/V1/models/toy/versions/1:predict", 200, SUMS),
        ("http://h/v1/models/t%2Foy:predict", 404, {"error": "Servable not found for request: Latest(t/oy)"}),
        ("http://h/v1/models/toy:predict?a=1", 400, {"error": "Malformed request: POST /v1/models/toy:predict?a=1"}),
        ("http://h", 404, {"error": "Not found: POST /"}),
        ("http://h?a=1", 404, {"error": "Not found: POST /?a=1"}),
        ("ftp://h/v1/models/toy:predict", 404, {"error": "Not found: POST ftp://h/v1/models/toy:predict"}),
        ("v1/models/toy:predict", 404, {"error": "Not found: POST v1/models/toy:predict"}),
    ],
)
def test_a_target_with_scheme_and_host_is_served_by_its_path(
    http: httpx.Client, target: str, status: int, answer: object
) -> None:
    body = {"instances": [{"x": 2, "y": 10}]}
    response = http.post("/", json=body, extensions={"target": target.encode()})
    assert (response.status_code, response.json()) == (status, answer)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FROB"])
def test_another_method_is_refused_in_json(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/v1/models/toy")
    assert (response.status_code, response.json()) == (405, {"error": f"Method not allowed: {method} /v1/models/toy"})
    assert "POST" in response.headers["allow"]
