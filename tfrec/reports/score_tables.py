"""Tables of scores for the terminal: a block for each slice, and the verdict.

Text of at most terminal.WIDTH columns.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import textwrap
from collections.abc import Mapping, Sequence

from tfrec.errors import DataError
from tfrec.evaluation.details import ProbabilityMetrics
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores
from tfrec.reports.columns import display_width, fit
from tfrec.reports.exposure import render_exposure
from tfrec.reports.first_clicks import render_first_clicks
from tfrec.reports.metric_names import DEFAULT_METRICS, MetricNames
from tfrec.reports.terminal import WIDTH

WITH_ERROR = "ndcg@20"
"""Metric whose standard error is known."""

_NAME, _NUMBER, _NUMBER_AND_ERROR = 24, 12, 18  # widths


def render_table(evaluation: Evaluation, metrics: MetricNames = DEFAULT_METRICS) -> str:
    """The protocol, a block for each slice, the first clicks, the exposure and the verdict.

    Metrics of probabilities have a block of their own. DataError when the evaluation lacks one of
    the metrics.
    """
    probabilities = {evaluation.model.name: evaluation.details.probabilities} if evaluation.scores else {}
    blocks = [
        render_scores(evaluation.protocol, evaluation.scores, metrics),
        *([_probability_block(probabilities, metrics.probability)] if metrics.probability else []),
        *filter(None, [render_first_clicks(evaluation), render_exposure(evaluation)]),
        _verdict(evaluation),
    ]
    return "\n\n".join(blocks)


def render_scores(protocol: Protocol, scores: Mapping[str, Scores], metrics: MetricNames = DEFAULT_METRICS) -> str:
    """The protocol, and a block for each slice with a row for each model by its name.

    DataError when none of the models has one of the metrics.
    """
    slices = next(iter(scores.values())).slices if scores and metrics.ranking else {}
    blocks = [
        _block(slice_, {name: _slice(each, slice_) for name, each in scores.items()}, metrics.ranking)
        for slice_ in slices
    ]
    return "\n\n".join([_wrapped(protocol_sentence(protocol)), *filter(None, blocks)])


def render_comparison(evaluations: Mapping[str, Evaluation], metrics: MetricNames = DEFAULT_METRICS) -> str:
    """The models of several evaluations by slice, with their differences from the first.

    DataError when they were not measured under the same protocol on the same data, or when one of
    them lacks one of the metrics.
    """
    names = list(evaluations)
    first = evaluations[names[0]]
    for name in names[1:]:
        differences = [
            f"{field.name} is {here!r} in {names[0]} but {there!r} in {name}"
            for field in dataclasses.fields(Protocol)
            if (here := getattr(first.protocol, field.name))
            != (there := getattr(evaluations[name].protocol, field.name))
        ]
        if differences:
            raise DataError(
                f"these evaluations can't be compared: {'; '.join(differences)}; evaluate both on the same data"
            )
    blocks = [_wrapped(protocol_sentence(first.protocol))]
    for slice_ in first.model.slices if metrics.ranking else ():
        parts = {name: _slice(each.model, slice_) for name, each in evaluations.items()}
        blocks.append(_block(slice_, parts, metrics.ranking, with_differences=True))
    if metrics.probability:
        of_models = {name: each.details.probabilities for name, each in evaluations.items()}
        blocks.append(_probability_block(of_models, metrics.probability))
    return "\n\n".join(filter(None, blocks))


def _slice(scores: Scores, name: str) -> SliceScores:
    """Scores of a slice; without users in an evaluation of an older version that lacks it."""
    return scores.slices.get(name, SliceScores(0, math.nan, {}))


def protocol_sentence(protocol: Protocol) -> str:
    """Sentence on the conditions of the measurement."""
    start = f"position {protocol.window_start} of an order (leave-last-out)"
    if protocol.clock == "utc":
        start = f"{datetime.datetime.fromtimestamp(protocol.window_start, datetime.UTC):%Y-%m-%d %H:%M} UTC"
        if protocol.split == "leave_last_out":
            start += " on (leave-last-out: of other users also later events are known)"
    return (
        f"Protocol: {protocol.window} window from {start}; "
        f"{protocol.users:,} users, {protocol.new_users:,} of them new; "
        f"{protocol.items:,} candidates ({protocol.candidates}), {protocol.cold_items:,} cold, none sampled; "
        f"labels: {', '.join(protocol.label_kinds)}; ties: {protocol.ties}; masked: {protocol.masks}."
    )


def _block(
    slice_: str, parts: Mapping[str, SliceScores], metrics: Sequence[str], *, with_differences: bool = False
) -> str:
    """Rows of the models by name, as many tables as the metrics need to fit into WIDTH.

    "" for a slice without users.
    """
    users = max(part.users for part in parts.values())
    title = f"{slice_}: {users:,} users"
    if users == 0:
        return ""
    missing = [metric for metric in metrics if not any(metric in part.metrics for part in parts.values())]
    if missing:
        raise DataError(f"this evaluation has no {missing[0]}; evaluate again with `tfrec train`, which has it")
    first, *others = parts.items()
    tables = []
    for columns in _tables_of(metrics):
        header = fit(title, _NAME) + "".join(f"{_heading(metric):>{_width(metric)}}" for metric in columns)
        rows = [fit(name, _NAME) + _numbers(part, columns) for name, part in parts.items()]
        if with_differences:
            rows += [fit(f"{name}, difference", _NAME) + _differences(first[1], part, columns) for name, part in others]
        tables.append("\n".join([header, "-" * display_width(header), *rows]))
    return "\n".join(tables)


def _tables_of(metrics: Sequence[str]) -> list[list[str]]:
    """The metrics, cut where another column would not fit into WIDTH."""
    tables: list[list[str]] = [[]]
    for metric in metrics:
        if _NAME + sum(map(_width, (*tables[-1], metric))) > WIDTH:
            tables.append([])
        tables[-1].append(metric)
    return tables


def _heading(metric: str) -> str:
    return f"{metric} (se)" if metric == WITH_ERROR else metric


def _width(metric: str) -> int:
    return _NUMBER_AND_ERROR if metric == WITH_ERROR else max(_NUMBER, len(metric) + 1)


def _differences(first: SliceScores, other: SliceScores, metrics: Sequence[str]) -> str:
    nan = math.nan
    values = {name: other.metrics.get(name, nan) - first.metrics.get(name, nan) for name in metrics}
    return "".join(f"{value:>+{_width(name)}.4f}" for name, value in values.items())


def _numbers(scores: SliceScores, metrics: Sequence[str]) -> str:
    error = "" if math.isnan(scores.ndcg_se) else f" ({scores.ndcg_se:.4f})"
    return "".join(
        f"{f'{scores.metrics.get(name, math.nan):.4f}' + (error if name == WITH_ERROR else ''):>{_width(name)}}"
        for name in metrics
    )


def _probability_block(models: Mapping[str, ProbabilityMetrics | None], metrics: Sequence[str]) -> str:
    """Metrics of the probabilities of each model's own candidates, with their protocol."""
    known = {name: part for name, part in models.items() if part is not None and part.candidates}
    if not known:
        raise DataError(
            f"this evaluation has no {metrics[0]}: probabilities come from a second stage (ranking.epochs of 1 or "
            "more), and from an evaluation of this version; evaluate again with `tfrec train`"
        )
    header = fit("candidates", _NAME) + "".join(f"{metric:>{_NUMBER}}" for metric in (*metrics, "candidates", "labels"))
    rows = [
        fit(name, _NAME)
        + "".join(f"{getattr(part, metric):>{_NUMBER}.4f}" for metric in metrics)
        + f"{part.candidates:>{_NUMBER},}{part.labels:>{_NUMBER},}"
        for name, part in known.items()
    ]
    no_label = min(1 - part.labels / part.candidates for part in known.values())
    text = (
        "Protocol of the probabilities: each model's own candidates of all users together, not the whole catalog; "
        f"accuracy at a threshold of 0.5, where a constant 0 reaches {no_label:.4f}."
    )
    return "\n".join([_wrapped(text), header, "-" * display_width(header), *rows])


def _verdict(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    word = "BLESSED" if verdict.blessed else "REFUSED"
    marks = ("- NOT MET: " if reason in verdict.unmet else "- " for reason in verdict.reasons)
    sentences = (mark + reason for mark, reason in zip(marks, verdict.reasons, strict=True))
    return "\n".join([f"Verdict: {word}", *map(_wrapped, sentences)])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")
