"""Bodies of REST predict replies."""

from __future__ import annotations

import numpy as np
import pytest

from serving.api.rest.json_response import reply
from serving.request.status import StatusError


def test_scalars_of_a_session_are_written_without_a_list() -> None:
    assert reply({"text": b"a\x00", "number": np.float32(0.2)}, by_row=False) == (
        b'{"outputs": {"text": "a\\u0000", "number": 0.2}}'
    )


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([1.0], np.float16), "half"),
        (np.array([1], np.uint16), "uint16"),
        (np.array(1j, np.complex64), "complex64"),
    ],
    ids=["half", "uint16", "complex64"],
)
def test_a_type_that_the_stock_server_does_not_write_is_refused(array: np.ndarray, dtype: str) -> None:
    with pytest.raises(StatusError, match=f"INVALID_ARGUMENT: Failed to write JSON value for tensor type: {dtype}$"):
        reply({"x": array}, by_row=False)
    assert reply({"x": np.empty(0, array.dtype)}, by_row=False) == b'{"outputs": []}'
