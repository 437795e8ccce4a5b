"""JSON values that NumPy cannot hold; tests/serving/conformance has the other refusals."""

from __future__ import annotations

from typing import Any

import pytest

from serving.api.rest.json_values import MAX_RANK, to_array
from serving.request.status import StatusError
from serving.wire.protos import DataType


def nested(n_levels: int) -> Any:
    value: Any = 1.0
    for _ in range(n_levels):
        value = [value]
    return value


def test_a_list_of_64_levels_is_a_tensor_and_one_of_65_is_refused() -> None:
    dtype = DataType.Value("DT_FLOAT")
    assert to_array(nested(MAX_RANK), dtype).shape == (1,) * 64
    with pytest.raises(StatusError, match="is nested 65 deep; a tensor has at most 64 levels"):
        to_array(nested(MAX_RANK + 1), dtype)
