"""A server's answer as a person reads it: the items ranked, or beside what the user really did then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pandas as pd

from tfrec.data.lookup import read_items
from tfrec.errors import DataError
from tfrec.reports import terminal
from tfrec.schema import TableSet

LATER = 10  # items of the truth that are shown
BY_WEIGHT = ("purchase", "rating", "cart", "click", "view")  # of several things done with an item the first is told


class Answered(Protocol):
    """An item of an answer, as serving.client gives it."""

    @property
    def item_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def score(self) -> float: ...


class Chance(Protocol):
    """How likely each kind of event is with an item, as serving.client gives it."""

    @property
    def item_id(self) -> str: ...
    @property
    def by_kind(self) -> Mapping[str, float]: ...


def render_answer(answer: Sequence[Answered]) -> str:
    """A line for each item: rank, score, id, title."""
    return terminal.render_recommendations(_rows(answer))


def render_beside(answer: Sequence[Answered], later: pd.DataFrame, tables: TableSet) -> str:
    """The answer with what the user did with each item in the `later` events, and the first items of those."""
    events = later.dropna(subset="item_id")
    weight = events["kind"].map({kind: place for place, kind in enumerate(BY_WEIGHT)})
    first = events.assign(weight=weight).sort_values("weight", kind="stable").drop_duplicates("item_id")
    first = first.sort_values("timestamp", kind="stable")
    rows = _rows(answer, dict(zip(first["item_id"], first["kind"], strict=True)))
    shown = first.head(LATER)
    titles = read_items(tables, shown["item_id"])["title"].to_dict() if len(shown) else {}
    truth = [
        f"      {event.timestamp:%Y-%m-%d}  {event.kind}  {event.item_id}  {titles.get(event.item_id) or ''}".rstrip()
        for event in shown.itertuples()
    ]
    summary = f"What really came next: {len(first)} different items, {len(shown)} of them:"
    return "\n".join([terminal.render_recommendations(rows), "", summary, *truth])


def render_chances(answer: Sequence[Chance], tables: TableSet) -> str:
    """A line for each item: the chance of each kind of event, id, title."""
    kinds = list(answer[0].by_kind)
    ids = [item.item_id for item in answer]
    titles = read_items(tables, ids).reindex(ids)["title"].fillna("")
    width = max(map(len, ("item", *ids)))
    lines = ["  ".join([*(f"{kind:>8}" for kind in kinds), f"{'item':<{width}}", "title"])]
    for item, title in zip(answer, titles, strict=True):
        chances = (f"{item.by_kind[kind]:>8.4f}" for kind in kinds)
        lines.append("  ".join([*chances, f"{item.item_id:<{width}}", terminal.one_line(title)]).rstrip())
    return "\n".join(lines)


def check_shop(answer: Sequence[Answered], tables: TableSet) -> None:
    """DataError when the tables hold none of the items that were answered: another shop's server."""
    if answer and read_items(tables, [item.item_id for item in answer]).empty:
        raise DataError(
            f"none of these items is in {tables.root}: the server has another shop's model; "
            "name its own tables by --tables, or another server by --server"
        )


def _rows(answer: Sequence[Answered], then: Mapping[str, str] | None = None) -> list[terminal.Recommendation]:
    return [
        terminal.Recommendation(
            rank, item.score, item.item_id, item.title, None if then is None else then.get(item.item_id, "")
        )
        for rank, item in enumerate(answer, start=1)
    ]
