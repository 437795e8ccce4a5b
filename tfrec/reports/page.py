"""The page that a person reads: one evaluation as HTML in a single file that loads nothing from anywhere.

It shows what the evaluation says and computes nothing of its own. All text of the shop is escaped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfrec.errors import DataError
from tfrec.evaluation.per_user import KS
from tfrec.evaluation.scores import Details, Evaluation, Gain, Scores, SliceScores
from tfrec.reports import plots
from tfrec.reports.plots import OURS, THEIRS, Line
from tfrec.reports.terminal import one_line, protocol_sentence

TEMPLATE = Path(__file__).with_suffix(".html")
MISSING = "This evaluation does not hold it; evaluate the model again."

COLUMNS = {
    "NDCG@20": ("all", "ndcg@20"),
    "NDCG@20, never chosen before": ("novel", "ndcg@20"),
    "Recall@20": ("all", "recall@20"),
    "hit rate@20": ("all", "hit_rate@20"),
    "Recall@20 among new items": ("cold_among", "recall@20"),
    "coverage@20": ("all", "coverage@20"),
    "diversity@20 by text": ("all", "diversity@20"),
}
"""Column of the table -> slice and metric. The last two are no matter of better or worse."""

GROUP_HEADER = ("group", "users", "ours", "theirs", "difference", "95 % interval")
SHOWN_GROUPS = 5  # gains, and losses


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot with what it says in words and in numbers."""

    title: str
    caption: str
    svg: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Section:
    """Plots under one headline."""

    id: str
    title: str
    text: str
    plots: list[Plot]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of the table."""

    value: str
    interval: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A model of the table."""

    name: str
    is_judged: bool
    cells: list[Cell]


def render_page(evaluation: Evaluation, title: str, seconds: Mapping[str, float] = {}) -> str:
    """HTML of an evaluation; `seconds` are those of each step of the run, where they are known.

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
        table=[_row(scores, scores is evaluation.judged) for scores in evaluation.scores.values()],
        plotted=[section(evaluation) for section in SECTIONS],
        baseline=details.baseline,
        group_header=GROUP_HEADER,
        gains=[_gain_row(gain) for gain in gains],
        losses=[_gain_row(gain) for gain in losses],
        shoppers=details.shoppers,
        costs=_costs(evaluation, seconds),
        protocol=protocol_sentence(evaluation.protocol),
        missing=MISSING,
    )


def write_page(text: str, out: str | Path) -> Path:
    """Where the page now lies, whole; DataError when it can't be written there."""
    path = Path(out)
    staging = path.with_name(f"{path.name}.staging")
    try:
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise DataError(
            f"--out is {str(out)!r}, which can't be written ({error}); give a file in a folder that exists"
        ) from error
    return path.absolute()


def _headline(evaluation: Evaluation) -> str:
    ours, name = evaluation.judged, evaluation.details.baseline
    found = f"NDCG@20: {ours.name} {_number(_ndcg(ours))}"
    theirs = evaluation.scores.get(name)
    return found if theirs is None else f"{found}, the strongest baseline ({name}) {_number(_ndcg(theirs))}"


def _row(scores: Scores, is_judged: bool) -> Row:
    cells = []
    for slice_, metric in COLUMNS.values():
        part = scores.slices.get(slice_, SliceScores(0, math.nan, {}))
        cells.append(Cell(_number(part.metrics.get(metric, math.nan)), _interval(part.intervals.get(metric))))
    return Row(scores.name, is_judged, cells)


def _recall(evaluation: Evaluation) -> Section:
    models = evaluation.scores.values()
    found = [
        Line(scores.name, KS, [scores.slices["all"].metrics[f"recall@{k}"] for k in KS], _color(evaluation, scores))
        for scores in models
    ]
    plot = _plot(
        "recall",
        "Recall@k of all choices",
        found,
        [str(k) for k in KS],
        "k",
        lambda key, told: plots.lines(key, told, found, "items shown (k)", "recall", log_x=KS),
    )
    return Section("recall-curves", "How much is found", "Of all that a user chose, the share in the first k.", [plot])


def _cold(evaluation: Evaluation) -> Section:
    details = evaluation.details
    text = (
        "The same users are asked for again with the last events of their histories alone, and with no name; beside "
        "them what everybody would be shown, the favourites of the last 28 days."
        if details.cold_start
        else f"Few events: {MISSING}"
    )
    shown = (("all", "ndcg@20", "NDCG@20"), ("novel", "ndcg@20", "NDCG@20, never chosen before"))
    found = (
        [_curve(details, *each) for each in (*shown, ("all", "recall@20", "Recall@20"))] if details.cold_start else []
    )
    ages = _ages(evaluation)
    return Section("cold-start", "New shoppers and new items", text, found + ages)


def _curve(details: Details, slice_: str, metric: str, name: str) -> Plot:
    curve = details.cold_start
    assert curve is not None
    parts = [point.slices[slice_] for point in curve.points]
    ticks = ["all" if point.events is None else str(point.events) for point in curve.points]
    places = list(range(len(ticks)))
    ends = [part.intervals.get(metric) for part in parts]
    known = [each for each in ends if each is not None]
    low, high = zip(*known, strict=True) if len(known) == len(ends) else ((), ())
    found = [
        Line("the model", places, [part.metrics[metric] for part in parts], OURS, low, high),
        Line("the same for all", places, [curve.stranger[slice_].metrics[metric]] * len(places), THEIRS),
    ]
    return _plot(
        f"cold-{slice_}-{metric.split('@')[0]}",
        f"{name} by events of history, {curve.users:,} users",
        found,
        ticks,
        "events",
        lambda key, told: plots.lines(key, told, found, "events of history", name.split(",")[0], ticks),
    )


def _ages(evaluation: Evaluation) -> list[Plot]:
    models = _ours_and_theirs(evaluation)
    parts = [scores.groups.get("item age", {}) for scores in models]
    if not parts[0]:
        return []
    ticks = [name for name, part in parts[0].items() if part.users]
    found = [
        Line(
            scores.name,
            range(len(ticks)),
            [part[tick].metrics["recall@20"] for tick in ticks],
            _color(evaluation, scores),
        )
        for scores, part in zip(models, parts, strict=True)
    ]
    short = [
        tick.replace(" days", " d").replace(" or more", "+").replace("never chosen before", "new") for tick in ticks
    ]
    return [
        _plot(
            "item-age",
            "Recall@20 by days since an item was first chosen",
            found,
            ticks,
            "age",
            lambda key, told: plots.bars(
                key, told, [tick.replace(" to ", "–") for tick in short], found, "age", "recall@20"
            ),
        )
    ]


def _trust(evaluation: Evaluation) -> Section:
    details, found, text = evaluation.details, [], []
    reliability = details.reliability
    if reliability and reliability.bins:
        predicted, observed = [b.predicted for b in reliability.bins], [b.observed for b in reliability.bins]
        text.append(
            f"Chances are off by {_number(reliability.error)} on average over "
            f"{sum(b.candidates for b in reliability.bins):,} candidates (expected calibration error)."
        )
        told = f"Predicted chance against the share that was chosen: {_pairs(predicted, observed)}."
        found.append(
            Plot(
                "Reliability of the chances",
                "Bins of equally many candidates; on the dashed line a chance of 1 in 10 comes true 1 time in 10.",
                plots.reliability("reliability", told, predicted, observed),
                ("predicted chance", "share chosen", "candidates"),
                [(_number(b.predicted, 5), _number(b.observed, 5), f"{b.candidates:,}") for b in reliability.bins],
            )
        )
    else:
        text.append("This model gives no chances.")
    if details.chosen:
        text.append("Popularity counts the users who chose an item before the window, in tenths of the items.")
        found.append(_exposure(evaluation))
    return Section("reliability-and-exposure", "Can it be trusted, and whom does it show", " ".join(text), found)


def _exposure(evaluation: Evaluation) -> Plot:
    ticks = [str(tenth + 1) for tenth in range(len(evaluation.details.chosen))]
    places = range(len(ticks))
    found = [Line("chosen", places, evaluation.details.chosen)]
    found += [Line(s.name, places, s.exposure, _color(evaluation, s)) for s in _ours_and_theirs(evaluation)]
    return _plot(
        "exposure",
        "Share of recommendations and of choices by popularity",
        found,
        ticks,
        "tenth",
        lambda key, told: plots.bars(key, told, ticks, found, "tenth of the items, the most popular first", "share"),
    )


def _learning(evaluation: Evaluation) -> Section:
    epochs, found = evaluation.details.training, []
    for index, phase in enumerate(dict.fromkeys(epoch.phase for epoch in epochs)):
        own = [epoch for epoch in epochs if epoch.phase == phase]
        found.append(
            _epochs(f"loss-{index}", f"Loss: {phase}", "loss", [e.number for e in own], {"loss": [e.loss for e in own]})
        )
    scored = [epoch for epoch in epochs if not math.isnan(epoch.ndcg)]
    if scored:
        values = {"all": [e.ndcg for e in scored], "never chosen before": [e.ndcg_novel for e in scored]}
        numbers = list(range(1, len(scored) + 1))
        found.append(_epochs("validation", "NDCG@20 on the validation window", "NDCG@20", numbers, values))
    text = "Of each epoch the loss of its last step." if epochs else MISSING
    return Section("learning", "How it learnt", text, found)


def _epochs(key: str, title: str, y_label: str, numbers: list[int], values: Mapping[str, list[float]]) -> Plot:
    found = [
        Line(name, numbers, each, color) for (name, each), color in zip(values.items(), (OURS, THEIRS), strict=False)
    ]
    ticks = [str(number) for number in numbers]
    return _plot(key, title, found, ticks, "epoch", lambda key, told: plots.lines(key, told, found, "epoch", y_label))


SECTIONS: tuple[Callable[[Evaluation], Section], ...] = (_recall, _cold, _trust, _learning)


def _plot(
    key: str, title: str, found: Sequence[Line], ticks: Sequence[str], first: str, draw: Callable[[str, str], str]
) -> Plot:
    """The plot of lines over `ticks`, which the words and the table of numbers are made of too."""
    told = "; ".join(f"{line.name}: {_pairs(ticks, line.y)}" for line in found)
    has_ends = [bool(len(line.low)) for line in found]
    header = [first]
    for line, has in zip(found, has_ends, strict=True):
        header += [line.name, f"{line.name}, 95 % interval"] if has else [line.name]
    rows = []
    for place, tick in enumerate(ticks):
        row = [tick]
        for line, has in zip(found, has_ends, strict=True):
            row.append(_number(line.y[place]))
            row += [_interval((line.low[place], line.high[place]))] if has else []
        rows.append(tuple(row))
    return Plot(title, "", draw(key, f"{title}. {told}."), tuple(header), rows)


def _pairs(ticks: Sequence[str | float], values: Sequence[float]) -> str:
    return ", ".join(
        f"{_number(value)} at {_number(tick) if isinstance(tick, float) else tick}"
        for tick, value in zip(ticks, values, strict=True)
    )


def _largest(gains: Sequence[Gain]) -> tuple[list[Gain], list[Gain]]:
    """The largest gains, and the largest losses; the ages of items have a plot of their own."""
    ordered = sorted((gain for gain in gains if gain.partition != "item age"), key=lambda gain: gain.ours - gain.theirs)
    up = [gain for gain in reversed(ordered) if gain.ours > gain.theirs]
    down = [gain for gain in ordered if gain.ours < gain.theirs]
    return up[:SHOWN_GROUPS], down[:SHOWN_GROUPS]


def _gain_row(gain: Gain) -> tuple[str, ...]:
    return (
        f"{gain.partition}: {one_line(gain.group)}",
        f"{gain.users:,}",
        _number(gain.ours),
        _number(gain.theirs),
        f"{gain.ours - gain.theirs:+.4f}",
        _interval((gain.low, gain.high)),
    )


def _costs(evaluation: Evaluation, seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    """Steps of the run where they are known, then what training and scoring say of themselves."""
    found = dict(seconds)
    for epoch in evaluation.details.training:
        name = f"training: {epoch.phase}"
        found[name] = found.get(name, 0.0) + epoch.seconds
    found |= {f"scoring: {scores.name}": scores.score_seconds for scores in evaluation.scores.values()}
    return [(name, f"{value:,.1f}") for name, value in found.items()]


def _ours_and_theirs(evaluation: Evaluation) -> list[Scores]:
    """The judged model, and the strongest baseline where it is known."""
    theirs = evaluation.scores.get(evaluation.details.baseline)
    return [evaluation.judged, *([theirs] if theirs else [])]


def _color(evaluation: Evaluation, scores: Scores) -> str:
    if scores is evaluation.judged:
        return OURS
    return THEIRS if scores.name == evaluation.details.baseline else plots.INK


def _ndcg(scores: Scores) -> float:
    return scores.slices["all"].metrics["ndcg@20"]


def _number(value: float, digits: int = 4) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(ends: tuple[float, float] | None) -> str:
    if ends is None or any(math.isnan(end) for end in ends):
        return ""
    return f"{_number(ends[0])} to {_number(ends[1])}"
