"""The table that the columns of a group of files look like."""

from __future__ import annotations

from tfrec.data.guess.joins import DESCRIPTIVE, generic_ids
from tfrec.data.guess.lexicon import file_fits, squeeze
from tfrec.data.guess.picks import Pick, pick
from tfrec.data.guess.sampling.column import UNIQUE
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.times import guess_time

_MANY_ROWS = 50  # from which ids that do not repeat can't be by accident
_SURE = 0.95
_EXACT = 0.8  # score of a name that is known as a whole
_UNKNOWN = "none of its columns looks like an item or a user"


def classify(group: Group) -> tuple[str, str]:
    """The table that a group's columns look like, or ("", why it is none)."""
    columns, name = group.columns, group.name
    user, item, session = (pick(columns, role) for role in ("user_id", "item_id", "session"))
    names = {squeeze(column.name) for column in columns}
    if not group.sampled_rows:
        return "", "it has a header but no rows"
    if len(columns) < 2:
        return "", "it has one column only; where blanks separate its values, write them as CSV"
    if (item and {"property", "value"} <= names) or {"attribute", "value"} <= names:
        return "", "it holds a property a row; write an item a row, with a column for each property, to use it"
    if item and not user and not session and _is_state(group, item):
        return "item_states", ""
    if item and pick(columns, "text") and (pick(columns, "rating") or file_fits(name, "reviews")):
        return "reviews", ""
    if item and _describes_items(group, item, user):
        return "items", ""
    if item and (user or session) and (_has_events(group) or not _is_unique(item)):
        return "events", ""
    if user and not item and (_is_unique(user) or file_fits(name, "users")) and not pick(columns, "query"):
        return "users", ""
    if (user or session) and pick(columns, "query"):
        return "events", ""
    if user and not item:
        return "", "it has several rows a user and no items"
    return _classify_items(group, item) if item else _classify_by_file(group)


def _has_events(group: Group) -> bool:
    is_named = any(pick(group.columns, role) for role in ("timestamp", "kind", "rating", "quantity"))
    return is_named or any(column.number_share < 0.5 and guess_time(column) for column in group.columns)


def _is_state(group: Group, item: Pick) -> bool:
    start, end = pick(group.columns, "from"), pick(group.columns, "until")
    states = [pick(group.columns, role) for role in ("price", "in_stock", "promotion")]
    has_time = bool(start and end and min(start.score, end.score) >= _EXACT) or bool(pick(group.columns, "timestamp"))
    return has_time and not _is_unique(item) and any(states) and not pick(group.columns, "kind")


def _describes_items(group: Group, item: Pick, user: Pick | None) -> bool:
    has_text = any(pick(group.columns, role, [item.name]) for role in DESCRIPTIVE)
    is_order = user is not None and any(pick(group.columns, role, [user.name]) for role in ("session", "quantity"))
    if not _is_unique(item) or not has_text or is_order or pick(group.columns, "kind"):
        return False
    is_many = group.sampled_rows >= _MANY_ROWS
    return is_many or file_fits(group.name, "items") or not user or user.score < _SURE


def _classify_items(group: Group, item: Pick) -> tuple[str, str]:
    if _is_unique(item) or any(pick(group.columns, role, [item.name]) for role in DESCRIPTIVE):
        return "items", ""
    return ("events", "") if pick(group.columns, "timestamp") else ("", "it has several rows an item and no users")


def _classify_by_file(group: Group) -> tuple[str, str]:
    if not generic_ids(group):
        return "", _UNKNOWN
    for table in ("items", "users"):
        if file_fits(group.name, table):
            return table, ""
    has_text = any(pick(group.columns, role) for role in ("title", "description"))
    return ("items", "") if has_text else ("", _UNKNOWN)


def _is_unique(found: Pick) -> bool:
    return found.column.unique_share >= UNIQUE
