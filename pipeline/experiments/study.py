"""Random search around the best settings so far; each finished trial is a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.experiments.space import Space
from tfrec import results_json
from tfrec.atomic_file import write_text
from tfrec.config import Config
from tfrec.errors import ConfigError
from tfrec.results_json import Number
from tfrec.setting_names import with_parsed

CHANGED_SHARE = 1 / 3
"""Probability that a trial changes a setting of the best one so far."""

ATTEMPTS = 200


@dataclasses.dataclass(frozen=True)
class Trial:
    """Settings that differ from the run's, and what they reached."""

    settings: dict[str, Any]
    score: Number  # NaN: the training failed
    seconds: float


class Study:
    """Trials in a folder. The first one is of the run's own settings."""

    def __init__(self, folder: Path, space: Space, config: Config) -> None:
        """Read the trials that an earlier study with the same arguments has finished."""
        self._folder, self._space, self._config = folder, space, config
        folder.mkdir(parents=True, exist_ok=True)
        self.trials = [_read(path) for path in sorted(folder.glob("trial-*.json"))]

    @property
    def seconds(self) -> float:
        """Time of all finished trials."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def best(self) -> Trial:
        """The trial with the highest score, the first one of equal ones."""
        return max(self.trials, key=lambda trial: -math.inf if math.isnan(trial.score) else trial.score)

    def has_time(self, budget_seconds: float) -> bool:
        """True while a trial of mean length fits into the budget, and for the first one."""
        return not self.trials or self.seconds + self.seconds / len(self.trials) <= budget_seconds

    def next_settings(self) -> dict[str, Any] | None:
        """Settings of the next trial, the same after an interruption; None if all were tried."""
        if not self.trials:
            return {}
        random = np.random.default_rng([self._config.tune.seed, len(self.trials)])
        tried = [trial.settings for trial in self.trials]
        for _ in range(ATTEMPTS):
            settings = self._changed(self.best.settings, random)
            if settings not in tried and self._is_valid(settings):
                return settings
        return None

    def add(self, trial: Trial) -> None:
        """Store a finished trial, whole or not at all."""
        path = self._folder / f"trial-{len(self.trials):04}.json"
        write_text(path, results_json.dump(Trial, trial))
        self.trials.append(trial)

    def _changed(self, settings: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """The settings with some others, without those that are the run's own."""
        changed = {name: settings.get(name, values[0]) for name, values in self._space.items()}
        for name, values in self._space.items():
            if random.random() < CHANGED_SHARE:
                changed[name] = values[random.integers(len(values))]
        return {name: value for name, value in changed.items() if value != self._space[name][0]}

    def _is_valid(self, settings: Mapping[str, Any]) -> bool:
        try:
            with_parsed(self._config, settings)
        except ConfigError:  # such as heads that do not divide the dimensions
            return False
        return True


def _read(path: Path) -> Trial:
    text = path.read_text(encoding="utf-8", errors="replace")
    trial = results_json.parse(Trial, text, str(path), "a trial", "delete it to repeat the trial")
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in trial.settings.items()}
    return dataclasses.replace(trial, settings=settings)
