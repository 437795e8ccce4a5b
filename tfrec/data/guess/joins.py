"""Id columns of events, and the table of items or users that describes their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from tfrec.data.guess.lexicon import last_part, squeeze
from tfrec.data.guess.picks import Pick, candidates, is_id, pick
from tfrec.data.guess.sampling.column import UNIQUE, Column, count_words
from tfrec.data.guess.sampling.groups import Group

DESCRIPTIVE = ("title", "description", "category", "brand")
JOINED = 0.2
"""Share of the events' ids that a table must describe."""
SURELY_JOINED = 0.8
"""Share from which nobody needs to check that the column is the right one."""

_GENERIC_IDS = ("id", "code", "key", "number", "nr", "no", "uuid", "guid")
_GUESTS = ("0", "-1", "guest", "anonymous")
_FEW = 0.05  # share of rows


@dataclasses.dataclass(frozen=True, eq=False)
class Join:
    """The table that describes the ids of one role, and the columns that hold them."""

    described: Group | None
    ids: dict[Group, Pick]  # of the events' groups and of the one described


def join(events: Sequence[Group], described: Sequence[Group], role: str) -> Join:
    """Choose the table that describes most of the events' ids, and the columns that join them."""
    pairs = [(key, group) for group in described for key in _keys(group, role)]
    owns = [own for group in events for own in candidates(group.columns, role) if not _has_guest(own.column)]
    matches = [
        (_match_score(own, key, group), key, group)
        for own in owns
        for key, group in pairs
        if own.column.share_in(key.column) >= JOINED
    ]
    if not matches:
        return _unmatched(events, described, role)
    _, key, best = max(matches, key=lambda match: match[0])
    ids = {best: dataclasses.replace(key, reason=count_rows(key.column))}
    for group in events:
        if found := _best_match(group, key, role, best) or best_id(group, role):
            ids[group] = found
    return Join(best, ids)


def best_id(group: Group, role: str) -> Pick | None:
    """The best named id column, without those in which one value stands for "unknown"."""
    found = candidates(group.columns, role)
    sure = [each for each in found if not _has_guest(each.column)]
    best = next(iter(sure or found), None)
    return dataclasses.replace(best, reason=count_rows(best.column)) if best else None


def generic_ids(group: Group) -> list[Pick]:
    """Columns called id and the like whose values do not repeat."""
    return [
        Pick(column, 0.5)
        for column in group.columns
        if squeeze(last_part(column.name)) in _GENERIC_IDS and column.unique_share >= UNIQUE and is_id(column)
    ]


def count_rows(column: Column) -> str:
    """Distinct values, rows and share of missing values, in words."""
    words = ", ".join(column.missing_words)
    missing = f", {1 - column.known_share:.0%} missing".replace("%", " %") if column.known_share < 0.995 else ""
    rows = f"{len(column.values):,} row" + "s" * (len(column.values) != 1)
    return f"{count_words(column)} in {rows}{missing}" + (f" ({words})" if missing and words else "")


def _match_score(own: Pick, key: Pick, group: Group) -> float:
    """The share of ids that are described counts most, then what describes them, then the names."""
    share = own.column.share_in(key.column)
    return share + 0.3 * (_richness(group)[0] > 0) + 0.2 * own.score + 0.1 * key.score + 0.05 * key.column.unique_share


def _best_match(group: Group, key: Pick, role: str, described: Group) -> Pick | None:
    found = [own for own in candidates(group.columns, role) if not _has_guest(own.column)]
    shares = [(own.column.share_in(key.column), own.score, own) for own in found]
    share, _, best = max(shares, key=lambda each: each[:2], default=(0.0, 0.0, None))
    if best is None or share < JOINED:
        return None
    reason = f"{share:.0%} of its values are ids of {described.name}".replace("%", " %")
    doubt = f"the others stay undescribed; name another column if it has the ids of {described.name}"
    doubt = doubt if share < SURELY_JOINED else ""
    return dataclasses.replace(best, reason=reason, doubt=doubt)


def _unmatched(events: Sequence[Group], described: Sequence[Group], role: str) -> Join:
    ids = {group: found for group in events if (found := best_id(group, role))}
    if role == "user_id":  # a profile of nobody in the log is of no use
        return Join(None, ids)
    best = max(described, key=_richness, default=None)
    key = next(iter(_keys(best, role)), None) if best else None
    if best is None or key is None:
        return Join(None, ids)
    doubt = f"none of the ids of {events[0].name} is among these; name the column that has them" if events else ""
    return Join(best, ids | {best: dataclasses.replace(key, reason=count_rows(key.column), doubt=doubt)})


def _keys(group: Group, role: str) -> Iterable[Pick]:
    return (*candidates(group.columns, role), *generic_ids(group))


def _richness(group: Group) -> tuple[int, int]:
    return sum(bool(pick(group.columns, role)) for role in DESCRIPTIVE), group.rows


def _has_guest(column: Column) -> bool:
    """Whether a value such as 0 stands for all unknown users, or hardly any row has one."""
    guests = column.counts[[str(value).lower() in _GUESTS for value in column.counts.index]]
    return column.known_share < _FEW or int(guests.sum()) > _FEW * column.known
