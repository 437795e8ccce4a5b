"""Tables for the terminal: scores of all models with the verdict, and recommendations.

Text of fixed width, at most 120 columns; a Chinese character takes two columns, as in a terminal.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import textwrap
from collections.abc import Mapping, Sequence

from tfrec.errors import DataError
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, SliceScores
from tfrec.reports.columns import display_width, fit, one_line
from tfrec.reports.first_clicks import render_first_clicks

WIDTH = 120

_COLUMNS = ("recall@20", "recall@100", "hit_rate@20", "mrr", "coverage@20", "novelty@20")
_NAME, _NDCG, _NUMBER, _SHORTEST_TITLE = 24, 18, 12, 20  # widths


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """One row of a list of recommendations."""

    rank: int  # from 1
    score: float
    item_id: str
    title: str
    then: str | None = None  # kind of the user's next event with the item, "" for none, None if unknown


def render_table(evaluation: Evaluation) -> str:
    """The protocol, a block for each slice, the first clicks and the verdict."""
    slices = next(iter(evaluation.scores.values())).slices if evaluation.scores else {}
    blocks = [
        _wrapped(protocol_sentence(evaluation.protocol)),
        *(_slice(evaluation, name) for name in slices),
        *filter(None, [render_first_clicks(evaluation)]),
        _verdict(evaluation),
    ]
    return "\n\n".join(blocks)


def render_comparison(evaluations: Mapping[str, Evaluation]) -> str:
    """The models of several evaluations by slice, with their differences from the first.

    DataError when they were not measured under the same protocol on the same data.
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
    for slice_ in first.model.slices:
        parts = {name: each.model.slices[slice_] for name, each in evaluations.items()}
        users = parts[names[0]].users
        header = _header(f"{slice_}: {users:,} users")
        rows = [fit(name, _NAME) + _numbers(part) for name, part in parts.items()]
        rows += [fit(f"{name}, difference", _NAME) + _differences(parts[names[0]], parts[name]) for name in names[1:]]
        blocks.append("\n".join([header, "-" * display_width(header), *rows]) if users else f"{slice_}: 0 users")
    return "\n\n".join(blocks)


def render_recommendations(rows: Sequence[Recommendation]) -> str:
    """A row for each recommendation, with the user's next event if it is known."""
    is_known = any(row.then is not None for row in rows)
    then = max(map(len, ("then", *(row.then or "" for row in rows)))) if is_known else 0
    item = max(map(display_width, ("item", *(row.item_id for row in rows))))

    def line(rank: str, score: str, what: str, item_id: str, title: str) -> str:
        start = f"{rank:>4}  {score:>8}  " + (f"{what:<{then}}  " if is_known else "") + fit(item_id, item) + "  "
        text, room = one_line(title), max(WIDTH - display_width(start), _SHORTEST_TITLE)
        return (start + (fit(text, room) if display_width(text) > room else text)).rstrip()

    header = line("rank", "score", "then", "item", "title")
    return "\n".join(
        [header, *(line(str(r.rank), f"{r.score:.3f}", r.then or "", one_line(r.item_id), r.title) for r in rows)]
    )


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


def _slice(evaluation: Evaluation, name: str) -> str:
    users = max(scores.slices[name].users for scores in evaluation.scores.values())
    title = f"{name}: {users:,} users"
    if users == 0:
        return title
    header = _header(title)
    rows = [fit(scores.name, _NAME) + _numbers(scores.slices[name]) for scores in evaluation.scores.values()]
    return "\n".join([header, "-" * display_width(header), *rows])


def _header(title: str) -> str:
    return fit(title, _NAME) + f"{'ndcg@20 (se)':>{_NDCG}}" + "".join(f"{column:>{_NUMBER}}" for column in _COLUMNS)


def _differences(first: SliceScores, other: SliceScores) -> str:
    values = {name: other.metrics[name] - first.metrics[name] for name in ("ndcg@20", *_COLUMNS)}
    ndcg, *others = values.values()
    return f"{f'{ndcg:+.4f}':>{_NDCG}}" + "".join(f"{value:>+{_NUMBER}.4f}" for value in others)


def _numbers(scores: SliceScores) -> str:
    error = "" if math.isnan(scores.ndcg_se) else f" ({scores.ndcg_se:.4f})"
    ndcg = f"{scores.metrics['ndcg@20']:.4f}{error}"
    return f"{ndcg:>{_NDCG}}" + "".join(f"{scores.metrics[column]:>{_NUMBER}.4f}" for column in _COLUMNS)


def _verdict(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    word = "BLESSED" if verdict.blessed else "REFUSED"
    return "\n".join([f"Verdict: {word}", *(_wrapped(f"- {reason}") for reason in verdict.reasons)])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")
