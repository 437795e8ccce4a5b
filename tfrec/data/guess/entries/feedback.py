"""Entries of the tables of reviews and of item states."""

from __future__ import annotations

from tfrec.data.guess.entries.file_entries import file_entries, missing_entry
from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.picks import Pick, pick
from tfrec.data.guess.sampling.column import count_words
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables
from tfrec.data.guess.times import guess_time
from tfrec.schema import TABLES

_REVIEW_ROLES = (("timestamp", "timestamp"), ("rating", "stars"), ("text", "text"))
_STATE_ROLES = ("from", "until", "price", "in_stock", "promotion")


def draft_reviews(tables: Tables, files: DataFiles) -> Entry | None:
    """Draft the table of reviews, where this version of the mapping has one."""
    group = tables.reviews
    if group is None or "reviews" not in TABLES:
        return None
    ids = {"user_id": tables.user_ids.get(group), "item_id": tables.item_ids.get(group)}
    taken = [found.name for found in ids.values() if found]
    roles = {ours: pick(group.columns, role, taken) for role, ours in _REVIEW_ROLES}
    return _entry("reviews", group, ids | roles, files)


def draft_item_states(tables: Tables, files: DataFiles) -> Entry | None:
    """Draft the table of item states, where this version of the mapping has one."""
    group = tables.item_states
    if group is None or "item_states" not in TABLES:
        return None
    item = tables.item_ids.get(group)
    taken = [item.name] if item else []
    roles = {role: pick(group.columns, role, taken) for role in _STATE_ROLES}
    if roles["from"] is None:
        roles["from"] = pick(group.columns, "timestamp", taken)
    return _entry("item_states", group, {"item_id": item} | roles, files)


def _entry(table: str, group: Group, picks: dict[str, Pick | None], files: DataFiles) -> Entry:
    known = {role: found for role, found in picks.items() if found and role in TABLES[table].names}
    columns = tuple(Entry(role, found.name, found.reason or _span(found), found.doubt) for role, found in known.items())
    entries = (*file_entries(group, files), Entry("columns", columns))
    return Entry(
        table, (*entries, *missing_entry(known[role].column for role in ("user_id", "item_id") if role in known))
    )


def _span(found: Pick) -> str:
    time = guess_time(found.column) if found.column.number_share < 1 or found.column.mean_length >= 8 else None
    return f"{time.first} to {time.last}" if time else count_words(found.column)
