"""Plots of an evaluation as SVG in the colors of the page, readable on light and on dark.

No text of the shop is drawn. Each plot has a description for screen readers; its numbers are in a
table of the page.
"""

from __future__ import annotations

import dataclasses
import html
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

WIDTH, HEIGHT = 4.6, 3.1  # inches of 72 points: as wide as a phone, so that text keeps its size there

INK, FAINT, MODEL, BASELINE = "#010203", "#020304", "#030405", "#040506"
COLORS = {INK: "var(--ink)", FAINT: "var(--faint)", MODEL: "var(--model)", BASELINE: "var(--baseline)"}
"""Colors that occur nowhere else -> those of the page's style."""

MAX_TICKS = 12

DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 3)))


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a plot, or a color of bars, with the interval of each point if there is one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str = INK
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Axes:
    """Labels and scales of the two axes."""

    x_label: str
    y_label: str
    ticks: Sequence[str] = ()  # names of x = 0, 1, 2 ...
    log_x: Sequence[float] = ()  # labeled values of a logarithmic x axis
    starts_at_zero: bool = True  # the y axis


def draw_lines(key: str, description: str, lines: Sequence[Line], labels: Axes) -> str:
    """SVG of lines over numbers, over named ticks, or over a logarithmic axis."""
    with _axes(key, description) as (axes, svg):
        n_muted = 0
        for line in lines:
            is_muted = line.color == INK
            n_muted += is_muted
            style: Any = DASHES[n_muted % len(DASHES)] if is_muted else "-"
            marker = "" if is_muted or len(line.x) > MAX_TICKS else "o"
            axes.plot(
                line.x, line.y, color=line.color, linestyle=style, linewidth=1.2 if is_muted else 2.2, marker=marker,
                markersize=4, alpha=0.75 if is_muted else 1, label=line.name,
            )  # fmt: skip
            if len(line.low):
                axes.fill_between(line.x, line.low, line.high, color=line.color, alpha=0.18, linewidth=0)
        _set_x_axis(axes, lines, labels)
        if labels.starts_at_zero:
            axes.set_ylim(bottom=0)
        _set_labels(axes, labels)
    return svg[0]


def draw_bars(key: str, description: str, lines: Sequence[Line], labels: Axes) -> str:
    """SVG of a bar of each line at each named tick, side by side."""
    with _axes(key, description) as (axes, svg):
        width = 0.8 / max(len(lines), 1)
        for index, line in enumerate(lines):
            x = [tick + (index - (len(lines) - 1) / 2) * width for tick in range(len(labels.ticks))]
            heights = [0 if math.isnan(value) else value for value in line.y]
            alpha = 0.55 if line.color == INK else 1
            axes.bar(x, heights, width, color=line.color, alpha=alpha, label=line.name)
        axes.set_xticks(range(len(labels.ticks)), labels.ticks)
        _set_labels(axes, labels)
    return svg[0]


def draw_calibration(key: str, description: str, predicted: Sequence[float], observed: Sequence[float]) -> str:
    """SVG of observed shares over predicted probabilities, on logarithmic axes.

    A bin without a label is drawn on the lower edge.
    """
    with _axes(key, description) as (axes, svg):
        positive = [value for value in (*predicted, *observed) if value > 0]
        low, high = (min(positive) / 2, min(max(positive) * 2, 1.0)) if positive else (0.001, 1.0)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1, label="perfect calibration")
        axes.plot(
            [max(value, low) for value in predicted], [max(value, low) for value in observed],
            color=MODEL, linewidth=1.6, marker="o", markersize=4, label="model",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.minorticks_off()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        _set_labels(axes, Axes("predicted probability", "observed share"))
    return svg[0]


def _set_x_axis(axes: Any, lines: Sequence[Line], labels: Axes) -> None:
    if labels.log_x:
        axes.set_xscale("log")
        axes.set_xticks(labels.log_x, [f"{value:g}" for value in labels.log_x])
        axes.minorticks_off()
    elif labels.ticks:
        axes.set_xticks(range(len(labels.ticks)), labels.ticks)
    elif len(lines[0].x) > MAX_TICKS:
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        axes.set_xticks(lines[0].x)


def _set_labels(axes: Any, labels: Axes) -> None:
    axes.set_xlabel(labels.x_label)
    axes.set_ylabel(labels.y_label)


@contextmanager
def _axes(key: str, description: str) -> Iterator[tuple[Any, list[str]]]:
    """Axes to draw on, and a list that holds the SVG once the context is left."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), FAINT),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "font.size": 10,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": key,
    }
    svg: list[str] = []
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        yield axes, svg
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9, borderpad=0)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg.append(_inline(file.getvalue(), key, description))


def _inline(text: str, key: str, description: str) -> str:
    """The SVG for use inside a page: with unique ids, the page's colors and a description."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    start, rest = drawing.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', start)
    rest = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", rest).replace("xlink:href", "href")
    rest = re.sub(r"<style.*?</style>", "", rest, flags=re.DOTALL)  # it would apply to the whole page
    rest = re.sub(r" font-family: [^;\"]*;", "", rest)
    for sentinel, color in COLORS.items():
        rest = rest.replace(sentinel, color)
    head = f'<svg {view[0] if view else ""} role="img" aria-labelledby="{key}-title">'
    return f'{head}<title id="{key}-title">{html.escape(description)}</title>{rest.strip()}'
