"""Names for the columns of files without a header, from their values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from tfrec.data.guess.kinds import guess_kinds
from tfrec.data.guess.picks import is_id, is_rating, is_text
from tfrec.data.guess.sampling.column import Column, dependence, mean_repeats
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.times import guess_time

_FEWEST_REPEATS = 1.05  # rows per item, below which a dependence proves nothing
_DEPENDS = 0.95
_KNOWN_IDS = 0.3  # of the events' ids, share that a table of items or users must describe
_UNIQUE = 0.95


def name_columns(groups: list[Group]) -> list[Group]:
    """Name the columns of files without a header: those of events, then what they join."""
    named = [group if group.first.has_names else _rename(group, _name_events(group.columns)) for group in groups]
    events = [group for group in named if group.column("user_id") and group.column("item_id")]
    keys = _choose_keys([group for group in named if _is_unnamed(group)], events)
    return [_name_descriptions(group, *keys[group]) if group in keys else group for group in named]


def is_placeholder(name: str) -> bool:
    """Whether a name is one that a file without a header got for want of a better: column_4."""
    return re.fullmatch(r"column_\d+", name) is not None


def _is_unnamed(group: Group) -> bool:
    return not group.first.has_names and group.column("user_id") is None


def _name_events(columns: Sequence[Column]) -> dict[str, str]:
    """Names of a file's columns if it holds events, else none: old name -> new name."""
    names: dict[str, str] = {}
    for column in columns:
        if "kind" not in names.values() and guess_kinds(column):
            names[column.name] = "kind"
        elif "timestamp" not in names.values() and guess_time(column):
            names[column.name] = "timestamp"
    rest = [column for column in columns if column.name not in names]
    for column in rest[2:]:  # the first two are ids, even where a sample has few of them
        if "rating" not in names.values() and is_rating(column):
            names[column.name] = "rating"
    ids = [column for column in rest if column.name not in names and is_id(column)]
    if len(ids) < 2 or not names or (ids[0].unique_share > _UNIQUE and len(columns[0].values) > 20):
        return {}
    names |= {ids[0].name: "user_id", ids[1].name: "item_id"}
    for column in ids[2:]:
        if "category_id" not in names.values() and _is_category(ids[1], column):
            names[column.name] = "category_id"
    return names


def _is_category(items: Column, column: Column) -> bool:
    """Whether each item has one value of the column, and values are shared by items."""
    is_decided = dependence(items, column) >= _DEPENDS and mean_repeats(items) >= _FEWEST_REPEATS
    return is_decided and 1 < column.distinct < items.distinct


def _choose_keys(groups: list[Group], events: list[Group]) -> dict[Group, tuple[str, str]]:
    """The table of items and that of users, each with its id column and role, the likest first."""
    matches = [
        (ids.likeness(column), group, column.name, role)
        for group in groups
        for column in group.columns
        if column.unique_share >= _UNIQUE
        for role in ("user_id", "item_id")
        for event_group in events
        if (ids := event_group.column(role)) and _describes(column, ids)
    ]
    keys: dict[Group, tuple[str, str]] = {}
    for _, group, name, role in sorted(matches, key=lambda match: -match[0]):
        if group not in keys and role not in {taken for _, taken in keys.values()}:
            keys[group] = (name, role)
    return keys


def _describes(column: Column, ids: Column) -> bool:
    """Whether a table's column has many of the ids, by rows and by values."""
    both = len(ids.counts.index.intersection(column.counts.index))
    return ids.share_in(column) >= _KNOWN_IDS and both >= _KNOWN_IDS * ids.distinct


def _name_descriptions(group: Group, key: str, role: str) -> Group:
    """Name the columns of items or users beside their id."""
    rest = [column for column in group.columns if column.name != key]
    return _rename(
        group, {key: role} | (_name_item_columns(rest) if role == "item_id" else _name_profile_columns(rest))
    )


def _name_item_columns(columns: list[Column]) -> dict[str, str]:
    texts = [column for column in columns if is_text(column) and column.distinct > 1]
    distinct = max((column.distinct for column in texts), default=0)
    title = next((column for column in texts if column.distinct >= 0.5 * distinct), None)
    names = {title.name: "title"} if title else {}
    for column in columns:
        if column.name in names or column.is_constant:
            continue
        if "genres" not in names.values() and is_text(column) and column.share_matching(r".*\|.*") > 0.2:
            names[column.name] = "genres"
        elif "release_date" not in names.values() and guess_time(column):
            names[column.name] = "release_date"
        elif "url" not in names.values() and column.share_matching(r"https?:.*") > 0.5:
            names[column.name] = "url"
        elif "category" not in names.values() and is_text(column) and column.unique_share < 0.2:
            names[column.name] = "category"
    return names


def _name_profile_columns(columns: list[Column]) -> dict[str, str]:
    names: dict[str, str] = {}
    for column in columns:
        if column.share_matching(r"(?i)m|f|w|male|female|u|unknown") == 1.0 and column.distinct <= 4:
            names[column.name] = "gender"
        elif column.whole_share == 1.0 and column.share_between(1, 110) > 0.99 and column.distinct > 4:
            names.setdefault(column.name, "age" if "age" not in names.values() else column.name)
    return names


def _rename(group: Group, names: dict[str, str]) -> Group:
    samples = tuple(
        dataclasses.replace(sample, frame=sample.frame.rename(columns=names)) if names else sample
        for sample in group.samples
    )
    return Group(group.files, samples)
