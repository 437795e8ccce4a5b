"""A server's response as text: ranked items, the user's later events, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pandas as pd

from tfrec.data.lookup import read_items
from tfrec.errors import DataError
from tfrec.reports import terminal
from tfrec.reports.columns import one_line
from tfrec.schema import TableSet

MAX_LATER_ITEMS = 10
KINDS_BY_WEIGHT = ("purchase", "rating", "cart", "click", "view")
"""Only the first of several kinds of events with an item is shown."""


class RankedItem(Protocol):
    """An item of a response, such as serving.client.Recommendation."""

    @property
    def item_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def score(self) -> float: ...


class ItemProbabilities(Protocol):
    """Probabilities by kind of event, such as serving.client.Probabilities."""

    @property
    def item_id(self) -> str: ...
    @property
    def by_kind(self) -> Mapping[str, float]: ...


def render_items(items: Sequence[RankedItem]) -> str:
    """Format a line for each item: rank, score, id, title."""
    return terminal.render_recommendations(_rows(items))


def render_with_later_events(items: Sequence[RankedItem], later: pd.DataFrame, tables: TableSet) -> str:
    """Format items, each with the kind of its `later` event, and the first `later` items below."""
    events = later.dropna(subset="item_id")
    weight = events["kind"].map({kind: index for index, kind in enumerate(KINDS_BY_WEIGHT)})
    first = events.assign(weight=weight).sort_values("weight", kind="stable").drop_duplicates("item_id")
    first = first.sort_values("timestamp", kind="stable")
    rows = _rows(items, dict(zip(first["item_id"], first["kind"], strict=True)))
    shown = first.head(MAX_LATER_ITEMS)
    titles = read_items(tables, shown["item_id"])["title"].to_dict() if len(shown) else {}
    truth = [
        f"      {event.timestamp:%Y-%m-%d}  {event.kind}  {event.item_id}  {titles.get(event.item_id) or ''}".rstrip()
        for event in shown.itertuples()
    ]
    summary = f"What really came next: {len(first)} different items, {len(shown)} of them:"
    return "\n".join([terminal.render_recommendations(rows), "", summary, *truth])


def render_probabilities(items: Sequence[ItemProbabilities], tables: TableSet) -> str:
    """Format a line for each item: the probability of each kind of event, id, title."""
    kinds = list(items[0].by_kind)
    ids = [item.item_id for item in items]
    titles = read_items(tables, ids).reindex(ids)["title"].fillna("")
    width = max(map(len, ("item", *ids)))
    lines = ["  ".join([*(f"{kind:>8}" for kind in kinds), f"{'item':<{width}}", "title"])]
    for item, title in zip(items, titles, strict=True):
        probabilities = (f"{item.by_kind[kind]:>8.4f}" for kind in kinds)
        lines.append("  ".join([*probabilities, f"{item.item_id:<{width}}", one_line(title)]).rstrip())
    return "\n".join(lines)


def check_shop(items: Sequence[RankedItem], tables: TableSet) -> None:
    """Raise DataError if the tables hold none of the items: the server has another shop's model."""
    if items and read_items(tables, [item.item_id for item in items]).empty:
        raise DataError(
            f"none of these items is in {tables.root}: the server has another shop's model; "
            "name its own tables by --tables, or another server by --server"
        )


def search_note(items: Sequence[RankedItem]) -> str:
    """A warning where no item found has a title, "" else: without texts no words can be found."""
    if not items or any(item.title for item in items):
        return ""
    return "warning: none of these items has a title; in a catalog without texts a search knows no words"


def _rows(items: Sequence[RankedItem], later_kinds: Mapping[str, str] | None = None) -> list[terminal.Recommendation]:
    return [
        terminal.Recommendation(
            rank,
            item.score,
            item.item_id,
            item.title,
            then=None if later_kinds is None else later_kinds.get(item.item_id, ""),
        )
        for rank, item in enumerate(items, start=1)
    ]
