"""Entries of the table of users."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec.data.guess.entries.events import EventsDraft
from tfrec.data.guess.entries.file_entries import file_entries, missing_entry
from tfrec.data.guess.entries.further_columns import free_columns, further_entries
from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.picks import Pick
from tfrec.data.guess.sampling.column import Column, dependence, mean_repeats
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables

_DEPENDS = 0.9  # of a profile column on the user
_FEWEST_REPEATS = 2  # rows per user, below which a dependence proves nothing


def draft_users(tables: Tables, events: Sequence[EventsDraft], files: DataFiles) -> Entry | None:
    """Draft the table of users, from its own file or from the file of the events."""
    if tables.users:
        group, key = tables.users, tables.user_ids.get(tables.users)
        if key is None:
            return None
        profile = further_entries([column for column in group.columns if column.name != key.name], "users")
        return _users_entry(group, key, profile, files) if profile else None
    for draft in events:
        if (
            draft.columns.user is None
            or draft.columns.user.doubt
            or mean_repeats(draft.columns.user.column) < _FEWEST_REPEATS
        ):
            continue
        columns = [c for c in free_columns(draft) if _is_profile(draft.columns.user.column, c, draft.columns.item)]
        if profile := further_entries(columns, "users"):
            return _users_entry(draft.group, draft.columns.user, profile, files)
    return None


def _users_entry(group: Group, key: Pick, profile: list[Entry], files: DataFiles) -> Entry:
    columns = (Entry("user_id", key.name, key.reason, key.doubt), *profile)
    return Entry("users", (*file_entries(group, files), Entry("columns", columns), *missing_entry([key.column])))


def _is_profile(user: Column, column: Column, item: Pick | None) -> bool:
    """Whether a user decides a column, and it is not the item that does."""
    if dependence(user, column) < _DEPENDS or column.distinct > 0.2 * user.distinct + 5:
        return False
    is_items_own = item is not None and dependence(item.column, column) >= dependence(user, column)
    return not is_items_own
