"""The plots of an evaluation as SVG that takes its colours from the page: readable on light and on dark.

Nothing of the shop's own text is drawn. Whoever does not see a plot reads its description, and its numbers in a
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

INK, FAINT, OURS, THEIRS = "#010203", "#020304", "#030405", "#040506"
COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", OURS: "var(--ours)", THEIRS: "var(--theirs)"}
"""Colours that nothing else has -> those of the page's style."""

MOST_TICKS = 12

DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 3)))


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a plot, with the interval of each point where there is one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str = INK
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def lines(
    key: str,
    description: str,
    found: Sequence[Line],
    x_label: str,
    y_label: str,
    ticks: Sequence[str] = (),
    log_x: Sequence[float] = (),
) -> str:
    """Lines over whole numbers, over named `ticks` at 0, 1, 2 ..., or over a logarithmic axis named at `log_x`."""
    with _axes(key, description) as (axes, svg):
        muted = 0
        for line in found:
            is_other = line.color == INK
            muted += is_other
            style: Any = DASHES[muted % len(DASHES)] if is_other else "-"
            width = 1.2 if is_other else 2.2
            alpha = 0.75 if is_other else 1
            marker = "" if is_other or len(line.x) > MOST_TICKS else "o"
            axes.plot(
                line.x, line.y, color=line.color, linestyle=style, linewidth=width, marker=marker, markersize=4,
                alpha=alpha, label=line.name,
            )  # fmt: skip
            if len(line.low):
                axes.fill_between(line.x, line.low, line.high, color=line.color, alpha=0.18, linewidth=0)
        if log_x:
            axes.set_xscale("log")
            axes.set_xticks(log_x, [f"{value:g}" for value in log_x])
            axes.minorticks_off()
        elif ticks:
            axes.set_xticks(range(len(ticks)), ticks)
        elif len(found[0].x) > MOST_TICKS:
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            axes.set_xticks(found[0].x)
        axes.set_ylim(bottom=0)
        _name(axes, x_label, y_label)
    return svg[0]


def bars(key: str, description: str, ticks: Sequence[str], found: Sequence[Line], x_label: str, y_label: str) -> str:
    """A bar of each line at each named tick, side by side."""
    with _axes(key, description) as (axes, svg):
        width = 0.8 / max(len(found), 1)
        for index, line in enumerate(found):
            places = [place + (index - (len(found) - 1) / 2) * width for place in range(len(ticks))]
            heights = [0 if math.isnan(value) else value for value in line.y]
            alpha = 0.55 if line.color == INK else 1
            axes.bar(places, heights, width, color=line.color, alpha=alpha, label=line.name)
        axes.set_xticks(range(len(ticks)), ticks)
        _name(axes, x_label, y_label)
    return svg[0]


def reliability(key: str, description: str, predicted: Sequence[float], observed: Sequence[float]) -> str:
    """Observed shares over predicted chances on logarithmic axes, beside what is perfectly reliable.

    A bin in which nothing was chosen stands on the lower edge.
    """
    with _axes(key, description) as (axes, svg):
        seen = [value for value in (*predicted, *observed) if value > 0]
        low, high = (min(seen) / 2, min(max(seen) * 2, 1.0)) if seen else (0.001, 1.0)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1, label="perfectly reliable")
        axes.plot(
            [max(value, low) for value in predicted], [max(value, low) for value in observed],
            color=OURS, linewidth=1.6, marker="o", markersize=4, label="the model",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.minorticks_off()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        _name(axes, "predicted chance", "share that was chosen")
    return svg[0]


@contextmanager
def _axes(key: str, description: str) -> Iterator[tuple[Any, list[str]]]:
    """Axes to draw on; when they are drawn on, the list holds the SVG."""
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


def _name(axes: Any, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _inline(text: str, key: str, description: str) -> str:
    """The drawing as a part of a page: its names are its own, its colours the page's, and it has a description."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    start, rest = drawing.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', start)
    rest = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", rest).replace("xlink:href", "href")
    rest = re.sub(r"<style.*?</style>", "", rest, flags=re.DOTALL)  # would hold for the whole page
    rest = re.sub(r" font-family: [^;\"]*;", "", rest)
    for sentinel, color in COLOURS.items():
        rest = rest.replace(sentinel, color)
    head = f'<svg {view[0] if view else ""} role="img" aria-labelledby="{key}-title">'
    return f'{head}<title id="{key}-title">{html.escape(description)}</title>{rest.strip()}'
