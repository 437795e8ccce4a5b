"""Gzip bodies of REST requests."""

from __future__ import annotations

import gzip

import pytest

from serving.api.rest.gzip_body import MAX_BYTES, unzipped
from serving.request.status import StatusError

BODY = b'{"instances": [{"x": 1, "y": 10}]}'


def test_a_gzip_body_is_unpacked() -> None:
    assert unzipped(gzip.compress(BODY)) == BODY


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (BODY, "INVALID_ARGUMENT: the body is said to be gzip but can't be unpacked"),
        (gzip.compress(BODY, mtime=0)[:-12], "INVALID_ARGUMENT: the body is said to be gzip but it ends in the middle"),
        (
            gzip.compress(bytes(MAX_BYTES + 1), 1, mtime=0),
            f"RESOURCE_EXHAUSTED: the body unpacks to more than {MAX_BYTES} bytes",
        ),
    ],
    ids=["not gzip", "truncated", "too large"],
)
def test_a_body_that_cannot_be_unpacked_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(StatusError, match=text):
        unzipped(body)
