"""Entries of the tables of reviews and of item states."""

from __future__ import annotations

from tfrec.data.guess.entries.file_entries import file_entries, missing_entry
from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.picks import Pick, pick
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables
from tfrec.data.guess.times import TimeGuess, guess_time
from tfrec.schema import DATED_TABLES

_REVIEW_ROLES = (("timestamp", "timestamp"), ("rating", "stars"), ("text", "text"))
_TIMES = ("timestamp", "from", "until")
_STATE_ROLES = ("from", "until", "price", "in_stock", "promotion")


def draft_reviews(tables: Tables, files: DataFiles) -> Entry | None:
    """Draft the table of reviews."""
    group = tables.reviews
    if group is None:
        return None
    ids = {"user_id": tables.user_ids.get(group), "item_id": tables.item_ids.get(group)}
    taken = [found.name for found in ids.values() if found]
    roles = {ours: pick(group.columns, role, taken) for role, ours in _REVIEW_ROLES}
    return _entry("reviews", group, ids | roles, files)


def draft_item_states(tables: Tables, files: DataFiles) -> Entry | None:
    """Draft the table of item states."""
    group = tables.item_states
    if group is None:
        return None
    item = tables.item_ids.get(group)
    taken = [item.name] if item else []
    roles = {role: pick(group.columns, role, taken) for role in _STATE_ROLES}
    if roles["from"] is None:
        roles["from"] = pick(group.columns, "timestamp", taken)
    return _entry("item_states", group, {"item_id": item} | roles, files)


def _entry(table: str, group: Group, picks: dict[str, Pick | None], files: DataFiles) -> Entry:
    known = {role: found for role, found in picks.items() if found and role in DATED_TABLES[table].names}
    times = {role: guess_time(known[role].column) for role in _TIMES if role in known}
    columns = tuple(
        Entry(role, found.name, _span(times[role]) if times.get(role) else found.reason, found.doubt)
        for role, found in known.items()
    )
    entries = (*file_entries(group, files), Entry("columns", columns))
    formats = sorted((time for time in times.values() if time and time.format != "auto"), key=lambda t: bool(t.doubt))
    format_entries = [Entry("timestamp_format", time.format, time.words, time.doubt) for time in formats[:1]]
    ids = (known[role].column for role in ("user_id", "item_id") if role in known)
    return Entry(table, (*entries, *format_entries, *missing_entry(ids)))


def _span(time: TimeGuess | None) -> str:
    return f"{time.first} to {time.last}" if time else ""
