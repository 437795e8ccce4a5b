"""Columns picked for the roles of a mapping, by their names and by their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from tfrec.data.guess.kinds import guess_kinds, is_code
from tfrec.data.guess.lexicon import best_score, role_score
from tfrec.data.guess.sampling.column import Column
from tfrec.data.guess.times import guess_time

CONTEXT = ("store", "device", "channel")
"""Where and how an event happened."""

_MOST_STATUSES = 25
_MOST_CONTEXTS = 10_000
_RARELY_KNOWN = 0.1  # what a column loses that most rows lack
_MUCH_BETTER = 0.22  # a name that fits another role by so much more is left to it


@dataclasses.dataclass(frozen=True, eq=False)
class Pick:
    """A column for a role, and why."""

    column: Column
    score: float
    reason: str = ""
    doubt: str = ""

    @property
    def name(self) -> str:
        """Name of the column in the file."""
        return self.column.name


def candidates(columns: Iterable[Column], role: str) -> list[Pick]:
    """Columns whose name and values fit a role, the best first."""
    scored = [(role_score(column.name, role), column) for column in columns]
    scored = [(score, column) for score, column in scored if score > best_score(column.name) - _MUCH_BETTER]
    fitting = [Pick(column, score) for score, column in scored if score > 0 and fits(column, role)]
    return sorted(fitting, key=lambda pick: _RARELY_KNOWN * (pick.column.known_share < 0.5) - pick.score)


def pick(columns: Iterable[Column], role: str, taken: Iterable[str] = ()) -> Pick | None:
    """The best column for a role that is not taken, None if there is none."""
    used = set(taken)
    return next((found for found in candidates(columns, role) if found.name not in used), None)


def fits(column: Column, role: str) -> bool:
    """Whether the values of a column can have a role."""
    return role not in _CHECKS or _CHECKS[role](column)


def is_rating(column: Column) -> bool:
    """Whether a column holds stars or points: few numbers from 0 to 10."""
    is_few = 2 <= column.distinct <= 21 and column.number_share == 1.0 and column.share_between(0, 10) == 1.0
    return is_few and not is_flag(column)


def is_id(column: Column) -> bool:
    """Whether a column can hold ids: short values without blanks, not measured numbers."""
    is_measured = column.number_share > 0.9 and column.whole_share < 0.9
    if is_flag(column) or is_url(column):
        return False
    return not is_measured and column.distinct > 1 and column.share_matching(r"\S{1,64}") > 0.98


def is_flag(column: Column) -> bool:
    """Whether a column holds 0 and 1 alone."""
    return column.share_matching("[01]") == 1.0


def is_url(column: Column) -> bool:
    """Whether a column holds links or paths of images."""
    return column.share_matching(r"(?i)(https?:|www\.|.*\.(jpe?g|png|webp|gif)$).*") > 0.5


def is_text(column: Column) -> bool:
    """Whether a column holds words rather than numbers or times."""
    return column.number_share < 0.5 and column.mean_length >= 2 and guess_time(column) is None


_CHECKS: dict[str, Callable[[Column], bool]] = {
    "user_id": lambda c: c.mean_length <= 80 and not _is_measured(c),
    "item_id": lambda c: c.mean_length <= 120 and not _is_measured(c),
    "session": lambda c: c.mean_length <= 80 and not _is_measured(c),
    "timestamp": lambda c: guess_time(c) is not None,
    "order": lambda c: c.whole_share == 1.0 and c.share_between(0, 1e8) == 1.0,
    "kind": lambda c: guess_kinds(c) is not None or is_code(c),
    "quantity": lambda c: c.number_share >= 0.95,
    "price": lambda c: c.number_share >= 0.3,
    "line_total": lambda c: c.number_share >= 0.95,
    "position": lambda c: c.whole_share >= 0.95,
    "rating": lambda c: c.number_share >= 0.95 and c.share_between(0, 100) >= 0.99 and c.distinct <= 101,
    "dwell_seconds": lambda c: c.number_share >= 0.95,
    **{role: lambda c: _is_context(c) for role in CONTEXT},
    "status": lambda c: c.distinct <= _MOST_STATUSES and c.number_share < 0.5,
    "title": lambda c: c.mean_length >= 2 and c.number_share < 0.5 and not is_url(c),
    "description": lambda c: c.number_share < 0.5 and not is_url(c),
    "text": lambda c: c.number_share < 0.5 and c.mean_length >= 15,
    "query": lambda c: c.mean_length <= 200,
    "category": lambda c: not is_url(c) and not _is_measured(c),
    "brand": lambda c: c.mean_length <= 80 and not is_url(c) and not _is_measured(c),
    "from": lambda c: guess_time(c) is not None,
    "until": lambda c: guess_time(c) is not None,
}


def _is_context(column: Column) -> bool:
    """Whether a column holds few words or numbers, such as stores."""
    return 2 <= column.distinct <= _MOST_CONTEXTS and column.mean_length <= 60 and not _is_measured(column)


def _is_measured(column: Column) -> bool:
    """Numbers with decimals, which name nothing; 1001.0 is pandas' id, 1001.2002 a cookie."""
    is_decimal = column.number_share > 0.9 and column.whole_share < 0.9
    return is_decimal and column.share_matching(r".*[.,]\d{3,}") < 0.5
