"""Learning curve: loss and scores of each epoch, on disk so that a resumed run extends it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrec import results_json
from tfrec.atomic_file import write_text
from tfrec.results_json import Number

FILE = "tfrec_training.json"
IN_MODEL = "assets.extra"
"""Folder of a SavedModel that servers ignore: the curve is stored there with the model."""

POINTS = 50
"""Points of an epoch's loss by step, at most."""


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One pass of one phase of training."""

    phase: str
    number: int  # from 1
    loss: Number  # mean over the epoch's steps; after an interruption over the steps of the last run
    seconds: float  # after an interruption of the last run alone
    ndcg: Number = math.nan  # NDCG@20 on the validation window; NaN where it was not measured
    ndcg_novel: Number = math.nan  # the same for items that are new to the user
    steps: tuple[tuple[int, Number], ...] = ()  # (step of the epoch, mean loss since the previous point), see POINTS


def epoch_of(phase: str, number: int, losses: Sequence[float], seconds: float, first_step: int = 1) -> Epoch:
    """Epoch without validation scores from the `losses` of its steps from `first_step` on."""
    values = np.asarray(losses, np.float64)
    width = max(-(-len(values) // POINTS), 1)
    parts = np.split(values, range(width, len(values), width)) if len(values) else []
    ends = [first_step - 1 + min((index + 1) * width, len(values)) for index in range(len(parts))]
    points = tuple((end, float(part.mean())) for end, part in zip(ends, parts, strict=True))
    return Epoch(phase, number, float(values.mean()) if len(values) else math.nan, seconds, steps=points)


class LearningCurve:
    """The epochs so far, written to a folder if there is one."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self._file = Path(folder) / FILE if folder else None
        self.epochs = read_epochs(folder) if folder else ()

    def add(self, epoch: Epoch) -> None:
        """Add the epoch; it replaces an earlier record of the same epoch."""
        before = [each for each in self.epochs if (each.phase, each.number) == (epoch.phase, epoch.number)]
        if before and math.isnan(epoch.loss):  # resumed after its last step: this run had none
            epoch = dataclasses.replace(epoch, loss=before[0].loss, seconds=before[0].seconds, steps=before[0].steps)
        self.epochs = (*[each for each in self.epochs if each not in before], epoch)
        if self._file:
            self.write(self._file.parent)

    def write(self, folder: str | Path) -> None:
        """Write the epochs to a folder, atomically."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / FILE, results_json.dump(tuple[Epoch, ...], self.epochs))


def read_epochs(folder: str | Path) -> tuple[Epoch, ...]:
    """Epochs stored in a folder; empty if there is no learning curve."""
    path = Path(folder) / FILE
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    return results_json.parse(tuple[Epoch, ...], text, str(path), "a learning curve", "train the model again")
