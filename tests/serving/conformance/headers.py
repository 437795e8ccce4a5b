"""REST headers: CORS, gzip, content types."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.serving.conformance.routes import BY_2, ROWS_BODY
from tests.serving.conformance.row import ANY, Rest, Row

PATH = "/v1/models/toy:predict"
ORIGIN = {"Origin": "https://shop.example"}
GZIP = {"Content-Encoding": "gzip"}
ALLOWED = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}
BODY = json.dumps(ROWS_BODY).encode()


def preflight(status: int, **headers: str) -> Rest:
    return Rest(method="OPTIONS", path=PATH, headers=headers, status=status, answered_headers=ALLOWED)


def posted(body: bytes = BODY, **expected: Any) -> Rest:
    return Rest(path=PATH, body=body, **{"answer": BY_2, **expected})


ROWS: dict[str, Row] = {
    "a preflight from a web page": preflight(200, **ORIGIN),
    "an origin without TLS": preflight(200, Origin="http://shop.example:8080"),
    "a preflight without an origin": preflight(400),
    "a preflight from a file": preflight(400, Origin="file://page"),
    "an answer to a web page": posted(headers=ORIGIN, answered_headers=ALLOWED),
    "a refusal to a web page": posted(
        b"", headers=ORIGIN, status=400, answer=None, error=ANY, answered_headers=ALLOWED
    ),
    "the content type of a request is ignored": posted(headers={"Content-Type": "text/plain"}),
    "the content type of an answer is JSON": posted(answered_headers={"content-type": "application/json"}),
    "a gzip body": posted(gzip.compress(BODY), headers=GZIP),
    "gzip among other encodings": posted(gzip.compress(BODY), headers={"Content-Encoding": "identity, gzip"}),
    "a body that is not gzip": posted(headers=GZIP, status=400, answer=None, error=ANY),
    "a truncated gzip body": posted(gzip.compress(BODY)[:-12], headers=GZIP, status=400, answer=None, error=ANY),
    "an answer is not compressed": posted(
        headers={"Accept-Encoding": "gzip"}, answered_headers={"content-encoding": None}
    ),
}
