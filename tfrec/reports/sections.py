"""Plotted sections of the page: recall, cold start, calibration, exposure, learning curves."""

from __future__ import annotations

import dataclasses

from tfrec.evaluation.details import CalibrationCurve, ColdStart
from tfrec.evaluation.per_user import KS
from tfrec.evaluation.result import Evaluation
from tfrec.reports import plots
from tfrec.reports.figures import (
    MISSING,
    Plot,
    Section,
    color,
    interval_text,
    model_and_baseline,
    number,
    pairs,
    plot_of,
)
from tfrec.reports.learning_section import learning_section
from tfrec.reports.plots import BASELINE, INK, MODEL, Axes, Line

COLD_START_CURVES = (
    ("all", "ndcg@20", "NDCG@20"),
    ("novel", "ndcg@20", "NDCG@20, new to the user"),
    ("all", "recall@20", "Recall@20"),
)
"""Slice, metric and title of each cold-start plot."""

PAIRED_METRIC = "ndcg@20"  # of ColdStartPoint.differences


def plotted_sections(evaluation: Evaluation) -> list[Section]:
    """All plotted sections, in the order of the page."""
    return [
        _recall(evaluation),
        _cold_start(evaluation),
        _calibration_and_exposure(evaluation),
        learning_section(evaluation),
    ]


def _recall(evaluation: Evaluation) -> Section:
    lines = [
        Line(scores.name, KS, [scores.slices["all"].metrics[f"recall@{k}"] for k in KS], color(evaluation, scores))
        for scores in evaluation.scores.values()
    ]
    axes = Axes("list length k", "recall", log_x=KS)
    plot = plot_of(
        "recall",
        "Recall@k",
        lines,
        ["k", *map(str, KS)],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )
    text = "Share of a user's labels in the window that are within the first k recommended items."
    return Section("recall-curves", "Recall by list length", text, [plot])


def _cold_start(evaluation: Evaluation) -> Section:
    curve = evaluation.details.cold_start
    if curve is None:
        return Section("cold-start", "New users and new items", f"Few events: {MISSING}", _item_ages(evaluation))
    text = (
        "The same users are scored again with only the last events of their histories and without their user id. "
        "Recent popularity (of the last 28 days) and popularity (of all time) give one list to all users, item-kNN the "
        "items of those who had the user's last item."
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
        *(Line(name, x, [value] * len(x), each) for name, value, each in _constant(curve, slice_, metric)),
    ]
    axes = Axes("events of the history", title.split(",")[0], ticks)
    plot = plot_of(
        f"cold-{slice_}-{metric.split('@')[0]}",
        f"{title}, by events of the history, {curve.users:,} users",
        lines,
        ["events", *ticks],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )
    return _with_differences(plot, curve, slice_) if metric == PAIRED_METRIC else plot


def _with_differences(plot: Plot, curve: ColdStart, slice_: str) -> Plot:
    """The plot whose table also holds the model's paired difference to each baseline."""
    names = list(curve.baselines)
    rows = []
    for row, point in zip(plot.rows, curve.points, strict=True):
        differences = [point.differences.get(name, {}).get(slice_) for name in names]
        cells = [f"{each.mean:+.4f} ({interval_text((each.low, each.high))})" if each else "–" for each in differences]
        rows.append((*row, *cells))
    header = (*plot.header, *(f"model minus {name.replace('_', ' ')}, 95 % interval" for name in names))
    return dataclasses.replace(plot, header=header, rows=rows)


def _constant(curve: ColdStart, slice_: str, metric: str) -> list[tuple[str, float, str]]:
    """Name, value and color of each baseline; of one alone in files of older versions."""
    baselines = curve.baselines or {"non-personalized": curve.non_personalized}
    return [
        (name.replace("_", " "), slices[slice_].metrics[metric], INK if index else BASELINE)
        for index, (name, slices) in enumerate(baselines.items())
    ]


def _item_ages(evaluation: Evaluation) -> list[Plot]:
    models = model_and_baseline(evaluation)
    parts = [scores.groups.get("item age", {}) for scores in models]
    if not parts[0]:
        return []
    ages = [name for name, part in parts[0].items() if part.users]
    lines = [
        Line(scores.name, range(len(ages)), [part[age].metrics["recall@20"] for age in ages], color(evaluation, scores))
        for scores, part in zip(models, parts, strict=True)
    ]
    short = {" to ": "–", " days": " d", " or more": "+", "never chosen before": "new"}  # the last one in older files
    ticks = list(ages)
    for long, replacement in short.items():
        ticks = [tick.replace(long, replacement) for tick in ticks]
    axes = Axes("age", "recall@20", ticks)
    plot = plot_of(
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
    description = f"Predicted probability and observed share: {pairs(predicted, observed)}."
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
    lines = [Line("labels", range(len(ticks)), shares)]
    lines += [
        Line(scores.name, range(len(ticks)), scores.exposure, color(evaluation, scores))
        for scores in model_and_baseline(evaluation)
    ]
    axes = Axes("tenth of the items, the most popular first", "share", ticks)
    return plot_of(
        "exposure",
        "Share of recommendations and of labels by popularity",
        lines,
        ["tenth", *ticks],
        lambda key, description: plots.draw_bars(key, description, lines, axes),
    )
