"""HTML page of an evaluation, in a single file that loads nothing.

All text of the shop is escaped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfrec.atomic_file import write_text
from tfrec.errors import DataError
from tfrec.evaluation.details import GroupGain
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Scores, SliceScores
from tfrec.reports.columns import one_line
from tfrec.reports.exposure import exposure_header, exposure_tables
from tfrec.reports.figures import MISSING, interval_text, number
from tfrec.reports.score_tables import protocol_sentence
from tfrec.reports.sections import plotted_sections

TEMPLATE = Path(__file__).with_suffix(".html")

COLUMNS = {
    "NDCG@20": ("all", "ndcg@20"),
    "NDCG@20, new to the user": ("novel", "ndcg@20"),
    "Recall@20": ("all", "recall@20"),
    "Hit rate@20": ("all", "hit_rate@20"),
    "Recall@20 among cold items": ("cold_among", "recall@20"),
    "Coverage@20": ("all", "coverage@20"),
    "Diversity@20 by text": ("all", "diversity@20"),
}
"""Column of the table -> slice and metric. For the last two, higher is not always better."""

GROUP_HEADER = ("group", "users", "model", "baseline", "difference", "95 % interval")
SHOWN_GROUPS = 5  # gains, and losses


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of the table of scores."""

    value: str
    interval: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A model in the table of scores."""

    name: str
    is_model: bool
    cells: list[Cell]


def render_page(evaluation: Evaluation, title: str, seconds: Mapping[str, float] = {}) -> str:
    """HTML of an evaluation; `seconds` are those of each step of the run, if they are known.

    DataError when the evaluation holds no model.
    """
    import jinja2

    if not evaluation.scores:
        raise DataError("the evaluation holds no model, so there is nothing to report; run `tfrec train` again")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["plain"] = one_line
    details = evaluation.details
    gains, losses = _largest(details.gains)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        headline=_headline(evaluation),
        verdict=evaluation.verdict,
        columns=tuple(COLUMNS),
        table=[_row(scores, scores is evaluation.model) for scores in evaluation.scores.values()],
        plotted=plotted_sections(evaluation),
        baseline=details.baseline,
        exposure_header=exposure_header(evaluation),
        exposure=exposure_tables(evaluation),
        group_header=GROUP_HEADER,
        gains=[_gain_row(gain) for gain in gains],
        losses=[_gain_row(gain) for gain in losses],
        sample_users=details.sample_users,
        seconds=_seconds(evaluation, seconds),
        protocol=protocol_sentence(evaluation.protocol),
        missing=MISSING,
    )


def write_page(text: str, out: str | Path) -> Path:
    """Write the page atomically; returns its absolute path.

    DataError when it can't be written there.
    """
    path = Path(out)
    try:
        write_text(path, text)
    except OSError as error:
        raise DataError(
            f"--out is {str(out)!r}, which can't be written ({error}); give a file in a folder that exists"
        ) from error
    return path.absolute()


def _headline(evaluation: Evaluation) -> str:
    model, name = evaluation.model, evaluation.details.baseline
    headline = f"NDCG@20: {model.name} {number(_ndcg(model))}"
    baseline = evaluation.scores.get(name)
    return headline if baseline is None else f"{headline}, strongest baseline ({name}) {number(_ndcg(baseline))}"


def _ndcg(scores: Scores) -> float:
    return scores.slices["all"].metrics["ndcg@20"]


def _row(scores: Scores, is_model: bool) -> Row:
    cells = []
    for slice_, metric in COLUMNS.values():
        part = scores.slices.get(slice_, SliceScores(0, math.nan, {}))
        cells.append(Cell(number(part.metrics.get(metric, math.nan)), interval_text(part.intervals.get(metric))))
    return Row(scores.name, is_model, cells)


def _largest(gains: Sequence[GroupGain]) -> tuple[list[GroupGain], list[GroupGain]]:
    """The largest gains, and the largest losses, without the ages of items, which have a plot."""
    ordered = sorted((gain for gain in gains if gain.partition != "item age"), key=lambda gain: gain.difference)
    up = [gain for gain in reversed(ordered) if gain.difference > 0]
    down = [gain for gain in ordered if gain.difference < 0]
    return up[:SHOWN_GROUPS], down[:SHOWN_GROUPS]


def _gain_row(gain: GroupGain) -> tuple[str, ...]:
    return (
        f"{gain.partition}: {one_line(gain.group)}",
        f"{gain.users:,}",
        number(gain.model_ndcg),
        number(gain.baseline_ndcg),
        f"{gain.difference:+.4f}",
        interval_text((gain.low, gain.high)),
    )


def _seconds(evaluation: Evaluation, node_seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    """Seconds of the run's steps, of each phase of training, and of the scoring by each model."""
    seconds = dict(node_seconds)
    for epoch in evaluation.details.training:
        name = f"training: {epoch.phase}"
        seconds[name] = seconds.get(name, 0.0) + epoch.seconds
    seconds |= {f"scoring: {scores.name}": scores.score_seconds for scores in evaluation.scores.values()}
    return [(name, f"{value:,.1f}") for name, value in seconds.items()]
