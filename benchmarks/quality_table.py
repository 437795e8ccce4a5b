"""Rows of a quality table as Markdown and as JSON: means with their 95 % intervals, spreads over seeds, gains."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from tfrec.evaluation.bootstrap import interval
from tfrec.evaluation.scores import Scores

Column = tuple[str, str]
"""Slice and metric."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A model's scores, with users' own values of what the columns show."""

    name: str
    scores: Scores
    cpu_minutes: float = math.nan

    def values(self, column: Column) -> np.ndarray:
        """[users] of the slice; empty where nobody is in it."""
        slice_, metric = column
        return np.asarray(self.scores.slices[slice_].per_user.get(metric, np.empty(0)))


def markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A line a row, each mean with half the width of its interval; after the seeds of a model their mean and spread."""
    lines = [_line(["", *(f"{slice_} {metric}" for slice_, metric in columns), "CPU minutes"])]
    lines += ["| --- " * (len(columns) + 2) + "|"]
    for row in rows:
        lines.append(_line([row.name, *(_cell(row.values(column)) for column in columns), _number(row.cpu_minutes)]))
    for model, seeds in _by_model(rows).items():
        means = np.array([[_mean(row.values(column)) for column in columns] for row in seeds])
        cells = [f"{m:.4f} sd {sd:.4f}" for m, sd in zip(means.mean(axis=0), means.std(axis=0, ddof=1), strict=True)]
        cost = float(np.mean([row.cpu_minutes for row in seeds]))
        lines.append(_line([f"**{model}, mean of {len(seeds)} seeds**", *cells, _number(cost)]))
    return "\n".join([*lines, "", "±: half the 95 % bootstrap interval over users; sd: over seeds"])


def gains(rows: Sequence[Row], bases: Sequence[Row], columns: Sequence[Column]) -> str:
    """A line for each row and its base: the mean difference over users with the ends of its 95 % interval."""
    lines = [_line(["", *(f"{slice_} {metric}" for slice_, metric in columns)])]
    lines += ["| --- " * (len(columns) + 1) + "|"]
    for row, base in zip(rows, bases, strict=True):
        differences = [row.values(column) - base.values(column) for column in columns]
        lines.append(_line([f"{row.name} minus {base.name}", *map(_difference, differences)]))
    return "\n".join(lines)


def summary(rows: Iterable[Row], columns: Sequence[Column]) -> dict[str, dict[str, dict[str, float]]]:
    """Row -> column -> mean, low, high."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        ends = {column: (_mean(row.values(column)), *_interval(row.values(column))) for column in columns}
        found[row.name] = {" ".join(c): dict(zip(("mean", "low", "high"), ends[c], strict=True)) for c in columns}
        if not math.isnan(row.cpu_minutes):
            found[row.name]["cpu_minutes"] = {"mean": row.cpu_minutes}
    return found


def _by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each model that was measured with more than one seed."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        match = re.fullmatch(r"(.*), seed \d+", row.name)
        if match:
            found.setdefault(match[1], []).append(row)
    return {model: seeds for model, seeds in found.items() if len(seeds) > 1}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _interval(values: np.ndarray) -> tuple[float, float]:
    return interval(values) if len(values) > 1 else (math.nan, math.nan)


def _cell(values: np.ndarray) -> str:
    low, high = _interval(values)
    return f"{_mean(values):.4f} ± {(high - low) / 2:.4f}" if len(values) else "nobody"


def _difference(values: np.ndarray) -> str:
    low, high = _interval(values)
    return f"{_mean(values):+.4f} [{low:+.4f}, {high:+.4f}]" if len(values) else "nobody"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
