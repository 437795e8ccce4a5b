"""Result of an evaluation, in memory and as evaluation.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from tfrec import results_json
from tfrec.atomic_file import write_text
from tfrec.evaluation.analysis.user_scores import UserScores
from tfrec.evaluation.details import Details
from tfrec.evaluation.scores import Protocol, Scores, Verdict

PRODUCTION = "in production"
"""Name of the scores of the model in production."""

EVALUATION_FILE = "evaluation.json"

_CURE = "give the evaluation.json of evaluate_model"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation: baselines first, then the model in production, the evaluated model last."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)
    protocol: Protocol
    scores: dict[str, Scores]  # by name, in the order of the table
    verdict: Verdict
    details: Details = dataclasses.field(default_factory=Details)
    # of the model, of the one in production and of the strongest baseline; left out of JSON
    users: Annotated[UserScores | None, Field(exclude=True)] = dataclasses.field(
        default=None, compare=False, repr=False
    )

    @property
    def model(self) -> Scores:
        """Scores of the model that the verdict is about."""
        return list(self.scores.values())[-1]

    def to_json(self) -> str:
        """Indented JSON in the order of the table, without the values of single users."""
        return results_json.dump(Evaluation, self)

    @staticmethod
    def from_json(text: str, source: str = "the text") -> Evaluation:
        """Evaluation that `to_json` wrote.

        DataError that names `source` when the text is damaged or something else.
        """
        return results_json.parse(Evaluation, text, source, "an evaluation", _CURE)

    def write(self, folder: Path) -> None:
        """Write the evaluation, and the scores of its users if they are known."""
        if self.users is not None:
            self.users.write(folder)
        write_text(folder / EVALUATION_FILE, self.to_json())

    @staticmethod
    def read(path: Path) -> Evaluation:
        """Evaluation of a file, with the scores of its users if they lie beside it.

        DataError when the file holds none.
        """
        evaluation = Evaluation.from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))
        return dataclasses.replace(evaluation, users=UserScores.read(path.parent))
