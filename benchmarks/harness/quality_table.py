"""Quality tables as Markdown and JSON: means, 95 % intervals, spread over seeds, paired gains."""

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
    """A model's scores, with per-user values of the shown metrics."""

    name: str
    scores: Scores
    cpu_minutes: float = math.nan

    def values(self, column: Column) -> np.ndarray:
        """Return the metric of each user in the slice: [users], possibly empty."""
        slice_, metric = column
        return np.asarray(self.scores.slices[slice_].per_user.get(metric, np.empty(0)))


def format_rows(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Format a line for each row: mean ± half the width of its interval.

    A model with several seeds gets a further line with mean and spread.
    """
    lines = [_format_line(["", *(f"{slice_} {metric}" for slice_, metric in columns), "CPU minutes"])]
    lines += ["| --- " * (len(columns) + 2) + "|"]
    for row in rows:
        means = [_format_mean(row.values(column)) for column in columns]
        lines.append(_format_line([row.name, *means, _format_minutes(row.cpu_minutes)]))
    for model, seeds in _group_by_model(rows).items():
        values = np.array([[_mean(row.values(column)) for column in columns] for row in seeds])
        cells = [f"{m:.4f} sd {sd:.4f}" for m, sd in zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)]
        cost = float(np.mean([row.cpu_minutes for row in seeds]))
        lines.append(_format_line([f"**{model}, mean of {len(seeds)} seeds**", *cells, _format_minutes(cost)]))
    return "\n".join([*lines, "", "±: half the 95 % bootstrap interval over users; sd: over seeds"])


def format_gains(rows: Sequence[Row], bases: Sequence[Row], columns: Sequence[Column]) -> str:
    """Format a line for each row and its base: mean difference over users and its 95 % interval."""
    lines = [_format_line(["", *(f"{slice_} {metric}" for slice_, metric in columns)])]
    lines += ["| --- " * (len(columns) + 1) + "|"]
    for row, base in zip(rows, bases, strict=True):
        differences = [row.values(column) - base.values(column) for column in columns]
        lines.append(_format_line([f"{row.name} minus {base.name}", *map(_format_difference, differences)]))
    return "\n".join(lines)


def summarize(rows: Iterable[Row], columns: Sequence[Column]) -> dict[str, dict[str, dict[str, float]]]:
    """Summarize as row -> column -> mean, low, high."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        ends = {column: (_mean(row.values(column)), *_interval(row.values(column))) for column in columns}
        result[row.name] = {" ".join(c): dict(zip(("mean", "low", "high"), ends[c], strict=True)) for c in columns}
        if not math.isnan(row.cpu_minutes):
            result[row.name]["cpu_minutes"] = {"mean": row.cpu_minutes}
    return result


def _group_by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group rows by model, without models of a single seed."""
    models: dict[str, list[Row]] = {}
    for row in rows:
        match = re.fullmatch(r"(.*), seed \d+", row.name)
        if match:
            models.setdefault(match[1], []).append(row)
    return {model: seeds for model, seeds in models.items() if len(seeds) > 1}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _interval(values: np.ndarray) -> tuple[float, float]:
    return interval(values) if len(values) > 1 else (math.nan, math.nan)


def _format_mean(values: np.ndarray) -> str:
    low, high = _interval(values)
    return f"{_mean(values):.4f} ± {(high - low) / 2:.4f}" if len(values) else "no users"


def _format_difference(values: np.ndarray) -> str:
    low, high = _interval(values)
    return f"{_mean(values):+.4f} [{low:+.4f}, {high:+.4f}]" if len(values) else "no users"


def _format_minutes(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"


def _format_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
