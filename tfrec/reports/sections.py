"""Plotted sections of the page: recall, cold start, calibration, exposure, learning curves."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

from tfrec.evaluation.details import CalibrationCurve, ColdStart
from tfrec.evaluation.per_user import KS
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Scores
from tfrec.reports import plots
from tfrec.reports.plots import BASELINE, MODEL, Axes, Line
from tfrec.training.learning_curve import Epoch

MISSING = "This evaluation does not hold these numbers; evaluate the model again."

COLD_START_CURVES = (
    ("all", "ndcg@20", "NDCG@20"),
    ("novel", "ndcg@20", "NDCG@20, new to the user"),
    ("all", "recall@20", "Recall@20"),
)
"""Slice, metric and title of each cold-start plot."""


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


def plotted_sections(evaluation: Evaluation) -> list[Section]:
    """All plotted sections, in the order of the page."""
    return [_recall(evaluation), _cold_start(evaluation), _calibration_and_exposure(evaluation), _learning(evaluation)]


def number(value: float, digits: int = 4) -> str:
    """The number as text, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def interval_text(ends: tuple[float, float] | None) -> str:
    """The ends of an interval as text, "" when they do not exist."""
    if ends is None or any(math.isnan(end) for end in ends):
        return ""
    return f"{number(ends[0])} to {number(ends[1])}"


def _recall(evaluation: Evaluation) -> Section:
    lines = [
        Line(scores.name, KS, [scores.slices["all"].metrics[f"recall@{k}"] for k in KS], _color(evaluation, scores))
        for scores in evaluation.scores.values()
    ]
    axes = Axes("list length k", "recall", log_x=KS)
    plot = _plot(
        "recall",
        "Recall@k",
        lines,
        ["k", *map(str, KS)],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )
    text = "Share of a user's interactions in the window that are within the first k recommended items."
    return Section("recall-curves", "Recall by list length", text, [plot])


def _cold_start(evaluation: Evaluation) -> Section:
    curve = evaluation.details.cold_start
    if curve is None:
        return Section("cold-start", "New users and new items", f"Few events: {MISSING}", _item_ages(evaluation))
    text = (
        "The same users are scored again with only the last events of their histories and without their user id. The "
        "non-personalized list is equal for all users: the most popular items of the last 28 days."
    )
    shown = [_cold_start_plot(curve, *each) for each in COLD_START_CURVES]
    return Section("cold-start", "New users and new items", text, shown + _item_ages(evaluation))


def _cold_start_plot(curve: ColdStart, slice_: str, metric: str, title: str) -> Plot:
    parts = [point.slices[slice_] for point in curve.points]
    ticks = ["all" if point.events is None else str(point.events) for point in curve.points]
    x = list(range(len(ticks)))
    ends = [part.intervals[metric] for part in parts if metric in part.intervals]
    low, high = zip(*ends, strict=True) if len(ends) == len(parts) else ((), ())
    lines = [
        Line("model", x, [part.metrics[metric] for part in parts], MODEL, low, high),
        Line("non-personalized", x, [curve.non_personalized[slice_].metrics[metric]] * len(x), BASELINE),
    ]
    axes = Axes("events of the history", title.split(",")[0], ticks)
    return _plot(
        f"cold-{slice_}-{metric.split('@')[0]}",
        f"{title}, by events of the history, {curve.users:,} users",
        lines,
        ["events", *ticks],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )


def _item_ages(evaluation: Evaluation) -> list[Plot]:
    models = _model_and_baseline(evaluation)
    parts = [scores.groups.get("item age", {}) for scores in models]
    if not parts[0]:
        return []
    ages = [name for name, part in parts[0].items() if part.users]
    lines = [
        Line(
            scores.name, range(len(ages)), [part[age].metrics["recall@20"] for age in ages], _color(evaluation, scores)
        )
        for scores, part in zip(models, parts, strict=True)
    ]
    short = {" to ": "–", " days": " d", " or more": "+", "never chosen before": "new"}  # the last one in older files
    ticks = list(ages)
    for long, replacement in short.items():
        ticks = [tick.replace(long, replacement) for tick in ticks]
    axes = Axes("age", "recall@20", ticks)
    plot = _plot(
        "item-age",
        "Recall@20 by age of the item",
        lines,
        ["age", *ages],
        lambda key, description: plots.draw_bars(key, description, lines, axes),
    )
    caption = "Age: days since the first interaction with the item. New items have none before the window."
    return [dataclasses.replace(plot, caption=caption)]


def _calibration_and_exposure(evaluation: Evaluation) -> Section:
    details, shown, text = evaluation.details, [], []
    if details.calibration and details.calibration.bins:
        text.append(
            f"The predicted probabilities are off by {number(details.calibration.error)} on average over "
            f"{sum(each.candidates for each in details.calibration.bins):,} candidates (expected calibration error)."
        )
        shown.append(_calibration(details.calibration))
    else:
        text.append("This model predicts no probabilities.")
    if details.label_shares:
        text.append(
            "The popularity of an item is its number of users before the window. Each tenth has equally many items."
        )
        shown.append(_exposure(evaluation))
    return Section("calibration-and-exposure", "Calibration and exposure", " ".join(text), shown)


def _calibration(curve: CalibrationCurve) -> Plot:
    predicted, observed = [each.predicted for each in curve.bins], [each.observed for each in curve.bins]
    description = f"Predicted probability and observed share: {_pairs(predicted, observed)}."
    return Plot(
        "Calibration of the probabilities",
        "Each point is a bin of equally many candidates. On the dashed line, the observed share equals the predicted "
        "probability.",
        plots.draw_calibration("calibration", description, predicted, observed),
        ("predicted probability", "observed share", "candidates"),
        [(number(each.predicted, 5), number(each.observed, 5), f"{each.candidates:,}") for each in curve.bins],
    )


def _exposure(evaluation: Evaluation) -> Plot:
    shares = evaluation.details.label_shares
    ticks = [str(tenth + 1) for tenth in range(len(shares))]
    lines = [Line("interactions", range(len(ticks)), shares)]
    lines += [
        Line(scores.name, range(len(ticks)), scores.exposure, _color(evaluation, scores))
        for scores in _model_and_baseline(evaluation)
    ]
    axes = Axes("tenth of the items, the most popular first", "share", ticks)
    return _plot(
        "exposure",
        "Share of recommendations and of interactions by popularity",
        lines,
        ["tenth", *ticks],
        lambda key, description: plots.draw_bars(key, description, lines, axes),
    )


def _learning(evaluation: Evaluation) -> Section:
    epochs = evaluation.details.training
    phases = {
        phase: [epoch for epoch in epochs if epoch.phase == phase] for phase in dict.fromkeys(e.phase for e in epochs)
    }
    shown = [_loss(f"loss-{index}", phase, own) for index, (phase, own) in enumerate(phases.items())]
    scored = [epoch for epoch in epochs if not math.isnan(epoch.ndcg)]
    if scored:
        shown.append(_validation(scored))
    text = MISSING
    if epochs:
        text = "The loss of each phase of training, and the NDCG@20 on the validation window after each epoch."
    return Section("learning", "Learning curves", text, shown)


def _loss(key: str, phase: str, epochs: Sequence[Epoch]) -> Plot:
    """Loss by step with the means of the epochs; of files without steps, the loss of each epoch."""
    title = f"Loss: {phase}"
    if not all(epoch.steps for epoch in epochs):
        losses = {"loss": [epoch.loss for epoch in epochs]}
        plot = _by_epoch(key, title, Axes("epoch", "loss", starts_at_zero=False), [e.number for e in epochs], losses)
        return dataclasses.replace(plot, caption="Loss of the last step of each epoch.")
    ends = [0]  # steps before each epoch, over all epochs
    for epoch in epochs:
        ends.append(ends[-1] + epoch.steps[-1][0])
    steps = [(start + step, loss) for start, epoch in zip(ends, epochs, strict=False) for step, loss in epoch.steps]
    mean_x = [x for pair in itertools.pairwise(ends) for x in pair]
    lines = [
        Line("loss by step", [step for step, _ in steps], [loss for _, loss in steps], MODEL),
        Line("mean of the epoch", mean_x, [epoch.loss for epoch in epochs for _ in range(2)], BASELINE),
    ]
    by_epoch = "; ".join(f"epoch {epoch.number} {number(epoch.loss)}" for epoch in epochs)
    axes = Axes("step, over all epochs", "loss", starts_at_zero=False)
    rows: list[tuple[str, ...]] = []
    for start, epoch in zip(ends, epochs, strict=False):
        means = [""] * (len(epoch.steps) - 1) + [number(epoch.loss)]
        rows += [
            (str(epoch.number), f"{start + step:,}", number(loss), mean)
            for (step, loss), mean in zip(epoch.steps, means, strict=True)
        ]
    return Plot(
        title,
        "Mean loss of the steps between two points, and mean over the steps of each epoch.",
        plots.draw_lines(key, f"{title}. Means: {by_epoch}.", lines, axes),
        ("epoch", "step", "loss by step", "mean of the epoch"),
        rows,
    )


def _validation(epochs: Sequence[Epoch]) -> Plot:
    values = {"all items": [epoch.ndcg for epoch in epochs], "new to the user": [epoch.ndcg_novel for epoch in epochs]}
    axes = Axes("epoch, over all phases", "NDCG@20")
    plot = _by_epoch("validation", "NDCG@20 on the validation window", axes, list(range(1, len(epochs) + 1)), values)
    phases = ", ".join(
        f"{sum(epoch.phase == phase for epoch in epochs)} of phase {phase}"
        for phase in dict.fromkeys(e.phase for e in epochs)
    )
    return dataclasses.replace(plot, caption=f"Epochs: {phases}.")


def _by_epoch(key: str, title: str, axes: Axes, numbers: list[int], values: dict[str, list[float]]) -> Plot:
    lines = [Line(name, numbers, y, color) for (name, y), color in zip(values.items(), (MODEL, BASELINE), strict=False)]
    return _plot(
        key,
        title,
        lines,
        ["epoch", *map(str, numbers)],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )


def _plot(key: str, title: str, lines: Sequence[Line], column: Sequence[str], draw: Callable[[str, str], str]) -> Plot:
    """Plot of lines with a table of their numbers; `column` is the heading and its ticks."""
    heading, *ticks = column
    description = "; ".join(f"{line.name}: {_pairs(ticks, line.y)}" for line in lines)
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


def _pairs(ticks: Sequence[str | float], values: Sequence[float]) -> str:
    return ", ".join(
        f"{number(value)} at {number(tick) if isinstance(tick, float) else tick}"
        for tick, value in zip(ticks, values, strict=True)
    )


def _model_and_baseline(evaluation: Evaluation) -> list[Scores]:
    """Scores of the evaluated model, and of the strongest baseline if it is known."""
    baseline = evaluation.scores.get(evaluation.details.baseline)
    return [evaluation.model, *([baseline] if baseline else [])]


def _color(evaluation: Evaluation, scores: Scores) -> str:
    if scores is evaluation.model:
        return MODEL
    return BASELINE if scores.name == evaluation.details.baseline else plots.INK
