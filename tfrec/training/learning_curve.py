"""What each epoch of training came to, kept on disk as training goes: an interrupted run goes on with it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

FILE = "tfrec_training.json"
IN_MODEL = "assets.extra"
"""Folder of a SavedModel that servers leave alone: a model brings its curve along."""


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One pass of one phase of training."""

    phase: str
    number: int  # from 1
    loss: float  # of the last step
    seconds: float  # of this run alone, where it was interrupted
    ndcg: float = math.nan  # NDCG@20 on the validation window; NaN where it was not measured
    ndcg_novel: float = math.nan  # of what a shopper never chose before


class LearningCurve:
    """The epochs so far, in a folder if one is given."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self._file = Path(folder) / FILE if folder else None
        self.epochs = read_epochs(folder) if folder else ()

    def add(self, epoch: Epoch) -> None:
        """Keeps the epoch, in place of one that was run before."""
        before = [each for each in self.epochs if (each.phase, each.number) == (epoch.phase, epoch.number)]
        if before and math.isnan(epoch.loss):  # taken up again after its last step
            epoch = dataclasses.replace(epoch, loss=before[0].loss, seconds=before[0].seconds)
        self.epochs = (*[each for each in self.epochs if each not in before], epoch)
        if self._file:
            self.write(self._file.parent)

    def write(self, folder: str | Path) -> None:
        """Writes the epochs to a folder, whole or not at all."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        staging = Path(folder) / f"{FILE}.staging"
        staging.write_text(json.dumps([_row(epoch) for epoch in self.epochs], indent=2), encoding="utf-8")
        staging.rename(Path(folder) / FILE)


def read_epochs(folder: str | Path) -> tuple[Epoch, ...]:
    """The epochs of a folder; none where training left none."""
    path = Path(folder) / FILE
    if not path.is_file():
        return ()
    return tuple(epoch_from(row) for row in json.loads(path.read_text(encoding="utf-8")))


def epoch_from(row: dict[str, str | int | float | None]) -> Epoch:
    """The epoch of a row of JSON, in which null is NaN."""
    return Epoch(**{name: math.nan if value is None else value for name, value in row.items()})  # type: ignore[arg-type]


def _row(epoch: Epoch) -> dict[str, str | int | float | None]:
    values = dataclasses.asdict(epoch)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
