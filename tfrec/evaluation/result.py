"""Result of an evaluation, in memory and as evaluation.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrec import results_json
from tfrec.evaluation.details import Details
from tfrec.evaluation.scores import Protocol, Scores, Verdict

_CURE = "give the evaluation.json of evaluate_model"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation: baselines first, then the model in production, the evaluated model last."""

    protocol: Protocol
    scores: dict[str, Scores]  # by name, in the order of the table
    verdict: Verdict
    details: Details = dataclasses.field(default_factory=Details)

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

    @staticmethod
    def read(path: Path) -> Evaluation:
        """Evaluation of a file. DataError when the file holds none."""
        return Evaluation.from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))
