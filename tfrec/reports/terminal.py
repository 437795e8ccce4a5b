"""Recommendations for the terminal.

Text of fixed width, at most 120 columns; a Chinese character takes two columns, as in a terminal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfrec.reports.columns import display_width, fit, one_line

WIDTH = 120

_SHORTEST_TITLE = 20


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """One row of a list of recommendations."""

    rank: int  # from 1
    score: float
    item_id: str
    title: str
    then: str | None = None  # kind of the user's next event with the item, "" for none, None if unknown


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
        [header, *(line(str(r.rank), f"{r.score:.4f}", r.then or "", one_line(r.item_id), r.title) for r in rows)]
    )
