"""Values that a constraint does not take."""

from __future__ import annotations

from typing import Any

import pytest

from serving.client.constraints import Constraints
from tfrec.errors import ServingError


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        ({"exclude": "tea"}, r"exclude is 'tea' but must be a list of texts; write \['tea'\]"),
        ({"categories": "Food"}, "categories is 'Food' but must be a list"),
        ({"diversity": 1.5}, r"diversity is 1.5 but must lie in \[0, 1\]; 0 keeps"),
        ({"diversity": float("nan")}, r"diversity is nan but must lie in \[0, 1\]"),
        ({"list_calibration": -1.0}, r"list_calibration is -1.0 but must lie in \[0, 1\]; None is"),
    ],
)
def test_an_impossible_constraint_is_refused(constraints: dict[str, Any], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        Constraints(**constraints)
