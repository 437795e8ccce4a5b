"""JSON text that Python cannot hold; tests/serving/conformance has the other refusals."""

from __future__ import annotations

import pytest

from serving.api.rest.json_text import parse
from serving.request.status import StatusError


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[" * 100_000, "JSON Parse error: the values are nested too deep; send a flatter request"),
        (b'{"\xff": }', "JSON Parse error: Invalid value. at offset: 6"),
    ],
    ids=["nested too deep", "an error after bytes that are not UTF-8"],
)
def test_a_text_beyond_the_parser_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(StatusError, match=text):
        parse(body)
