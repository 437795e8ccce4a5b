"""Groups of files sorted into the tables of a mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfrec.data.guess.classify import classify
from tfrec.data.guess.joins import JOINED, best_id, join
from tfrec.data.guess.picks import Pick, pick
from tfrec.data.guess.sampling.groups import Group


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """Groups of files sorted into tables, with the id columns that join them."""

    events: tuple[Group, ...]
    items: Group | None
    users: Group | None
    reviews: Group | None
    item_states: Group | None
    ignored: dict[Group, str]  # group -> why
    item_ids: dict[Group, Pick]
    user_ids: dict[Group, Pick]
    users_elsewhere: dict[Group, str]
    """Events without users -> the sentence that says which file has the users of their sessions."""


def sort_tables(groups: Sequence[Group]) -> Tables:
    """Sort groups of files into the tables of a mapping."""
    ignored: dict[Group, str] = {}
    by_table: dict[str, list[Group]] = {}
    for each in groups:
        table, reason = classify(each)
        if reason:
            ignored[each] = reason
        else:
            by_table.setdefault(table, []).append(each)
    reviews, states = (_widest(by_table.get(name, []), ignored) for name in ("reviews", "item_states"))
    events = by_table.get("events", []) or ([reviews] if reviews else [])
    events = sorted(events, key=lambda group: -group.rows)
    items, users = (join(events, by_table.get(f"{name}s", []), f"{name}_id") for name in ("item", "user"))
    for name, joined in (("item", items), ("user", users)):
        others = [group for group in by_table.get(f"{name}s", []) if group is not joined.described]
        reason = f"another table describes the {name}s" if joined.described else f"it has no {name} of the interactions"
        ignored |= dict.fromkeys(others, reason)
        for group in (reviews, states):
            if group and group not in joined.ids and (found := best_id(group, f"{name}_id")):
                joined.ids[group] = found
    described = (items.described, users.described, reviews, states)
    elsewhere = {group: said for group in events if group not in users.ids and (said := _find_users(group, groups))}
    return Tables(tuple(events), *described, ignored, items.ids, users.ids, elsewhere)


def _find_users(group: Group, groups: Sequence[Group]) -> str:
    """Say which other file has the user of each session; "" if none has."""
    session = pick(group.columns, "session")
    for other in groups:
        key, user = pick(other.columns, "session"), pick(other.columns, "user_id")
        if session and key and user and session.column.share_in(key.column) >= JOINED:
            start = f"{other.name} has the user ({user.name}) of each {session.name}"
            return f"{start}; join the two into one file, for example with pandas.merge; sessions are taken for users"
    return ""


def _widest(groups: list[Group], ignored: dict[Group, str]) -> Group | None:
    widest = max(groups, key=lambda group: group.rows, default=None)
    ignored |= {
        group: f"{widest.name} is of the same kind and larger" for group in groups if widest and group is not widest
    }
    return widest
