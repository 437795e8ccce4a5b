"""Columns of interactions: who, what, when and what else is known of an event."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfrec.data.guess.entries.yaml_text import Entry, percent
from tfrec.data.guess.lexicon import role_score, squeeze
from tfrec.data.guess.picks import CONTEXT, Pick, candidates, fits, pick
from tfrec.data.guess.sampling.column import Column, count_words, is_on_one_row
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables
from tfrec.data.guess.times import TimeGuess, guess_time

_ANONYMOUS = ("anonymousid", "userpseudoid", "visitorid", "fullvisitorid", "cookieid", "deviceid", "distinctid")
_PEOPLE = ("reviewer", "reviewername", "nickname", "author", "customername")
_WORTH_FILLING = 0.02  # share of rows that a second id column must fill
_FURTHER = ("quantity", "price", "query", "position", "rating", "dwell_seconds")
_MUCH_LOST = 0.5  # share of rows without a user
_TIME_OF_DAY = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_LONGEST_DATE = 10


@dataclasses.dataclass(frozen=True, eq=False)
class EventColumns:
    """The columns of a group of files that describe an event."""

    group: Group
    user: Pick | None
    item: Pick | None
    session: Pick | None
    time_column: Pick | None
    time: TimeGuess | None
    kind: Pick | None
    order: Pick | None  # of ranks, where there are no times
    further: dict[str, Pick]  # schema column -> column
    context: dict[str, Pick]  # store, device ... -> column

    @property
    def is_search_log(self) -> bool:
        """Whether the rows hold searches alone, which name no item."""
        return self.item is None and self.kind is None and "query" in self.further

    @property
    def used(self) -> frozenset[str]:
        """Names of all these columns."""
        roles = (self.user, self.item, self.session, self.time_column, self.kind, self.order)
        return frozenset(_names(*roles, *self.further.values(), *self.context.values()))


def pick_event_columns(group: Group, tables: Tables) -> EventColumns:
    """Pick the columns of a group of interactions."""
    user, item = tables.user_ids.get(group), tables.item_ids.get(group)
    session = _pick_session(group, _names(user, item))
    if user is None and session:
        doubt = tables.users_elsewhere.get(group) or "no column names the user; sessions are taken for users"
        user = dataclasses.replace(session, doubt=doubt)
    time_column = _pick_time(group, _names(user, item, session))
    time = guess_time(time_column.column) if time_column else None
    kind = pick(group.columns, "kind", _names(user, item, session, time_column))
    taken = _names(user, item, session, time_column, kind)
    further = _pick_roles(group, _FURTHER, taken)
    context = _pick_roles(group, CONTEXT, [*taken, *_names(*further.values())])
    order = None if time else _pick_order(group, [*taken, *_names(*further.values())])
    if not time and not order:
        order = further.pop("position", None)
    return EventColumns(group, user, item, session, time_column if time else None, time, kind, order, further, context)


def column_entries(columns: EventColumns, kind: Entry | None) -> tuple[Entry, ...]:
    """Entries of the columns; `kind` is that of the kind column, None if there is none."""
    session = columns.session
    return (
        _user_entry(columns),
        *(() if columns.is_search_log else (_item_entry(columns),)),
        *_time_entries(columns),
        *([kind] if kind else []),
        *([Entry("session", session.name, count_words(session.column))] if session else []),
        *(Entry(role, each.name, each.reason, each.doubt) for role, each in columns.further.items()),
    )


def second_item_id(group: Group, item: Pick) -> str:
    """A column that names the item where the column of ids is empty; "" if none is needed."""
    others = [each.column for each in candidates(group.columns, "item_id") if each.name != item.name]
    return next((other.name for other in others if _fills(item.column, other)), "")


def _pick_order(group: Group, taken: Sequence[str]) -> Pick | None:
    """A column of ranks, or of numbers under a time's name: 0829 is a day without a year."""
    free = [column for column in group.columns if column.name not in taken]
    numbered = [Pick(c, 0.3) for c in free if role_score(c.name, "timestamp") and fits(c, "order")]
    return pick(free, "order") or next(iter(numbered), None)


def _pick_roles(group: Group, roles: Sequence[str], taken: Sequence[str]) -> dict[str, Pick]:
    picks: dict[str, Pick] = {}
    for role in roles:
        if found := pick(group.columns, role, [*taken, *_names(*picks.values())]):
            picks[role] = found
    return picks


def _pick_session(group: Group, taken: Sequence[str]) -> Pick | None:
    numbered = [c for c in group.columns if c.name not in taken and c.share_matching(r"#\w*\d+") > 0.98]
    return pick(group.columns, "session", taken) or next((Pick(column, 0.5) for column in numbered), None)


def _pick_time(group: Group, taken: Sequence[str]) -> Pick | None:
    """The time column by its name, or else the first whose values are times."""
    if named := pick(group.columns, "timestamp", taken):
        return named
    free = [column for column in group.columns if column.name not in taken and column.known_share > 0.9]
    texts = [column for column in free if column.number_share < 0.5 and guess_time(column)]
    doubt = "no column is called like the time of an event; {} holds times"
    return next((Pick(column, 0.3, doubt=doubt.format(column.name)) for column in texts), None)


def _user_entry(columns: EventColumns) -> Entry:
    user = columns.user
    if user is None:
        doubt = "no column looks like a user; write user_id: COLUMN, for example of the session or the device"
        return Entry("user_id", "user_id", doubt=doubt)
    anonymous = [column for column in columns.group.columns if squeeze(column.name) in _ANONYMOUS]
    second = next((c.name for c in anonymous if c.name != user.name and _fills(user.column, c)), "")
    doubt = user.doubt or ("" if second else _lost_doubt(user, columns.session)) or _namesake_doubt(user)
    return _with_second("user_id", user, second, doubt)


def _item_entry(columns: EventColumns) -> Entry:
    if columns.item is None:
        return Entry("item_id", "item_id", doubt="no column looks like an item; write item_id: COLUMN")
    return _with_second("item_id", columns.item, second_item_id(columns.group, columns.item), columns.item.doubt)


def _with_second(key: str, found: Pick, second: str, doubt: str) -> Entry:
    if not second:
        return Entry(key, found.name, found.reason, doubt)
    return Entry(key, (found.name, second), f"{found.reason}; where it is missing, the second", doubt)


def _fills(column: Column, other: Column) -> bool:
    """Whether another column is known in many of the rows where one is not."""
    missing = column.values.isna()
    return int(other.values[missing].notna().sum()) > _WORTH_FILLING * len(missing)


def _namesake_doubt(user: Pick) -> str:
    is_name = squeeze(user.name) in _PEOPLE and user.column.share_matching(r"[^\d@]+") > 0.9
    return "names of people, and namesakes become one user; name a column of ids if there is one" if is_name else ""


def _lost_doubt(user: Pick, session: Pick | None) -> str:
    missing = 1 - user.column.known_share
    if missing < _MUCH_LOST or session is None or session.name == user.name:
        return ""
    if is_on_one_row(user.column, session.column):  # `per_session` fills the others
        return ""
    cure = f"user_id: [{user.name}, {session.name}] takes the session for the user there"
    return f"{percent(missing)} of the rows name no user and are dropped; {cure}"


def _time_entries(columns: EventColumns) -> tuple[Entry, ...]:
    found, time = columns.time_column, columns.time
    if found is None or time is None:
        return ()
    others = [column for column in columns.group.columns if column.name not in columns.used]
    if found.doubt:
        return (Entry("timestamp", found.name, f"{time.words}: {time.first} to {time.last}", found.doubt),)
    clock = next((column.name for column in others if column.share_matching(_TIME_OF_DAY) > 0.95), "")
    doubt = ""
    if clock and found.column.mean_length <= _LONGEST_DATE:
        doubt = f"{clock} holds the time of day apart; write both in one column to keep the order within a day"
    return (Entry("timestamp", found.name, f"{time.words}: {time.first} to {time.last}", doubt),)


def _names(*picks: Pick | None) -> list[str]:
    return [each.name for each in picks if each]
