"""Constraints of a request: which items and categories may be shown, and how diverse the result is.

The tensors have the names that tfrec/export/recommender.py writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from serving.client.texts import strings
from tfrec.errors import ServingError

INPUTS = {
    "exclude": "exclude_item_id",
    "categories": "allow_category",
    "not_categories": "deny_category",
    "exclude_seen": "exclude_seen",
    "diversity": "diversity",
    "list_calibration": "list_calibration",
}
"""Constraint -> the input of `recommend` and `search` that carries it."""

_MODEL_SETTING = -1.0  # of `list_calibration`: the one that the model was exported with


class UnknownInput(ServingError):
    """A constraint, profile column or item attribute that the served model does not take."""


@dataclasses.dataclass(frozen=True)
class Constraints:
    """Constraints of a request.

    By default the whole catalog may be shown, in the order of the scores.
    """

    exclude: Sequence[str] = ()
    """Ids of items that may not be shown, such as those out of stock; unknown ids are ignored."""
    categories: Sequence[str] = ()
    """Allowed category paths ("Food > Pasta"), with all below; empty allows all."""
    not_categories: Sequence[str] = ()
    """Denied category paths, with all below them."""
    exclude_seen: bool = False
    """Leave out the items of the history."""
    diversity: float = 0.0
    """0 keeps the order of the scores, 1 puts items of similar text as far apart as possible."""
    list_calibration: float | None = None
    """0 keeps the order of the scores; towards 1 the shares of popular items and of categories come
    closer to those in the history. None: the model's own setting."""

    def __post_init__(self) -> None:
        for name in ("exclude", "categories", "not_categories"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ServingError(f"{name} is {value!r} but must be a list of texts; write [{value!r}]")
        if not 0 <= self.diversity <= 1:
            raise ServingError(f"diversity is {self.diversity} but must lie in [0, 1]; 0 keeps the order of the scores")
        if self.list_calibration is not None and not 0 <= self.list_calibration <= 1:
            raise ServingError(
                f"list_calibration is {self.list_calibration} but must lie in [0, 1]; None is the model's own setting"
            )

    def inputs(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """The tensors of one request, restricted to `names` (a signature's inputs).

        Raises UnknownInput for a constraint that the model does not take.
        """
        for constraint, name in INPUTS.items():
            value = getattr(self, constraint)
            if value and name not in names:
                raise UnknownInput(
                    f"{constraint} is {value!r} but the served model takes no {name}; "
                    "train and push a model with this tfrec, or drop it"
                )
        inputs = {
            "exclude_item_id": strings("exclude", self.exclude)[None],
            "allow_category": strings("categories", self.categories)[None],
            "deny_category": strings("not_categories", self.not_categories)[None],
            "exclude_seen": np.array([self.exclude_seen]),
            "diversity": np.array([self.diversity], np.float32),
            "list_calibration": np.array(
                [_MODEL_SETTING if self.list_calibration is None else self.list_calibration], np.float32
            ),
        }
        return {name: array for name, array in inputs.items() if name in names}


NO_CONSTRAINTS = Constraints()
