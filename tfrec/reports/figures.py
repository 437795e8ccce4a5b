"""Parts of the plotted sections: plots with tables of their numbers, and colors of models."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Scores
from tfrec.reports.plots import BASELINE, INK, MODEL, Line

MISSING = "This evaluation does not hold these numbers; evaluate the model again."


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot with its caption and its table of numbers."""

    title: str
    caption: str
    svg: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Section:
    """Plots under one heading."""

    id: str
    title: str
    text: str
    plots: list[Plot]


def number(value: float, digits: int = 4) -> str:
    """The number as text, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def interval_text(ends: tuple[float, float] | None) -> str:
    """The ends of an interval as text, "" when they do not exist."""
    if ends is None or any(math.isnan(end) for end in ends):
        return ""
    return f"{number(ends[0])} to {number(ends[1])}"


def plot_of(
    key: str, title: str, lines: Sequence[Line], column: Sequence[str], draw: Callable[[str, str], str]
) -> Plot:
    """Plot of lines with a table of their numbers; `column` is the heading and its ticks."""
    heading, *ticks = column
    description = "; ".join(f"{line.name}: {pairs(ticks, line.y)}" for line in lines)
    header = [heading]
    for line in lines:
        header += [line.name, f"{line.name}, 95 % interval"] if len(line.low) else [line.name]
    rows = []
    for index, tick in enumerate(ticks):
        row = [tick]
        for line in lines:
            row.append(number(line.y[index]))
            row += [interval_text((line.low[index], line.high[index]))] if len(line.low) else []
        rows.append(tuple(row))
    return Plot(title, "", draw(key, f"{title}. {description}."), tuple(header), rows)


def pairs(ticks: Sequence[str | float], values: Sequence[float]) -> str:
    return ", ".join(
        f"{number(value)} at {number(tick) if isinstance(tick, float) else tick}"
        for tick, value in zip(ticks, values, strict=True)
    )


def model_and_baseline(evaluation: Evaluation) -> list[Scores]:
    """Scores of the evaluated model, and of the strongest baseline if it is known."""
    baseline = evaluation.scores.get(evaluation.details.baseline)
    return [evaluation.model, *([baseline] if baseline else [])]


def color(evaluation: Evaluation, scores: Scores) -> str:
    if scores is evaluation.model:
        return MODEL
    return BASELINE if scores.name == evaluation.details.baseline else INK
