"""What a shop wants of an answer: what may not be shown, which categories, how much variety; and their tensors.

The names of the tensors are those that tfrec/export/recommender.py writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from tfrec.errors import ServingError

INPUTS = {
    "exclude": "exclude_item_id",
    "categories": "allow_category",
    "not_categories": "deny_category",
    "exclude_seen": "exclude_seen",
    "diversity": "diversity",
}
"""A wish -> the input of `recommend` and `search` that carries it."""


class UnknownInput(ServingError):
    """A wish, profile column or item attribute that the served model does not take."""


@dataclasses.dataclass(frozen=True)
class Wishes:
    """Nothing is wished by default: the whole catalogue may be shown, in the order of the scores."""

    exclude: Sequence[str] = ()
    """Items that may not be shown, such as what is out of stock; unknown ones do no harm."""
    categories: Sequence[str] = ()
    """Paths as the catalogue writes them ("Food > Pasta"), with all below them; none allows all."""
    not_categories: Sequence[str] = ()
    """Likewise, of what may not be shown."""
    exclude_seen: bool = False
    diversity: float = 0.0
    """From 0, the order of the scores, to 1, where what reads alike stands as far apart as it can."""

    def __post_init__(self) -> None:
        for name in ("exclude", "categories", "not_categories"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ServingError(f"{name} is {value!r} but must be a list of texts; write [{value!r}]")
        if not 0 <= self.diversity <= 1:
            raise ServingError(f"diversity is {self.diversity} but must lie in [0, 1]; 0 keeps the order of the scores")

    def inputs(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """The tensors of one request, those of `names` (a signature's inputs).

        Raises UnknownInput for a wish that the model does not take.
        """
        for wish, name in INPUTS.items():
            if getattr(self, wish) and name not in names:
                raise UnknownInput(
                    f"{wish} is {getattr(self, wish)!r} but the served model takes no {name}; "
                    "train and push a model with this tfrec, or drop it"
                )
        inputs = {INPUTS[wish]: _row(getattr(self, wish)) for wish in ("exclude", "categories", "not_categories")}
        inputs |= {
            "exclude_seen": np.array([self.exclude_seen]),
            "diversity": np.array([self.diversity], np.float32),
        }
        return {name: array for name, array in inputs.items() if name in names}


NO_WISHES = Wishes()


def _row(values: Sequence[str]) -> np.ndarray:
    """[1, values] of bytes."""
    return np.array([[value.encode() for value in values]], object).reshape(1, len(values))
