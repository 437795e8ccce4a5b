"""A server's answer as a person reads it: the items ranked, or beside what the user really chose then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from tfrec import report
from tfrec.lookup import read_items
from tfrec.schema import TableSet

LATER = 10  # items of the truth that are shown


class Answered(Protocol):
    """An item of an answer, as serving.client gives it."""

    @property
    def item_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def score(self) -> float: ...


def render_answer(answer: Sequence[Answered]) -> str:
    """A line for each item: rank, score, id, title."""
    width = max([len("item"), *(report.display_width(item.item_id) for item in answer)])
    lines = [f"{'rank':>4}  {'score':>8}  {report.fit('item', width)}  title"]
    for rank, item in enumerate(answer, start=1):
        lines.append(f"{rank:>4}  {item.score:>8.3f}  {report.fit(item.item_id, width)}  {item.title}")
    return "\n".join(lines)


def render_beside(answer: Sequence[Answered], later: pd.DataFrame, tables: TableSet) -> str:
    """The answer with a mark at each item of the user's `later` events, and the first of those events."""
    events = later.dropna(subset="item_id").drop_duplicates("item_id")
    chosen = set(events["item_id"])
    rows = [
        report.Recommendation(rank, item.title, item.score, item.item_id in chosen)
        for rank, item in enumerate(answer, start=1)
    ]
    first = events.head(LATER)
    titles = read_items(tables, first["item_id"])["title"].to_dict() if len(first) else {}
    truth = [
        f"      {moment:%Y-%m-%d}  {titles.get(item_id) or item_id}"
        for moment, item_id in zip(first["timestamp"], first["item_id"], strict=True)
    ]
    summary = f"What really came next: {len(chosen)} different items, {len(first)} of them:"
    return "\n".join([report.render_recommendations(rows), "", summary, *truth])
