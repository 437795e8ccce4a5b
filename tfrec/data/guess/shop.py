"""A shop.yaml guessed from a shop's files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrec.data.guess.entries.events import EventsDraft, draft_events
from tfrec.data.guess.entries.feedback import draft_item_states, draft_reviews
from tfrec.data.guess.entries.items import draft_items
from tfrec.data.guess.entries.run_entries import run_entries
from tfrec.data.guess.entries.users import draft_users
from tfrec.data.guess.entries.yaml_text import ELEMENT, Entry, comment, count_doubts, render
from tfrec.data.guess.headerless import name_columns
from tfrec.data.guess.sampling.file_paths import DataFiles, find_data_files
from tfrec.data.guess.sampling.groups import group_files
from tfrec.data.guess.tables import sort_tables
from tfrec.errors import DataError

_HEAD = """\
# Written by `tfrec init`. Each comment says why its line was guessed.
# A line `# ?` marks what could not be guessed: check what follows it and delete the mark.
"""
_NO_TIMES = "it has no times, which the other interactions have"
_NO_KIND = "nothing says what kind of events it holds; to use it, add it to interactions with `kind`"


@dataclasses.dataclass(frozen=True)
class Guess:
    """Text of a shop.yaml and what it holds."""

    text: str
    tables: tuple[str, ...]
    ignored: dict[str, str]  # file -> why it is left out
    n_doubts: int


def guess_shop(paths: Sequence[Path], base: Path) -> Guess:
    """Guess the mapping of a shop's files, with paths relative to `base`.

    DataError if no file looks like interactions.
    """
    files = DataFiles(tuple(find_data_files(paths)), base)
    groups, unread = group_files(files.files)
    tables = sort_tables(name_columns(groups))
    ignored = {files.relative(file): reason for file, reason in unread.items()}
    ignored |= {files.relative(file): why for group, why in tables.ignored.items() for file in group.files}
    if not tables.events:
        described = {"items": tables.items, "users": tables.users, "prices": tables.item_states}
        ignored |= {group.name: f"looks like {name}" for name, group in described.items() if group}
        looked = "; ".join(f"{name}: {reason}" for name, reason in list(ignored.items())[:5]) or "no file was found"
        raise DataError(
            f"{', '.join(map(str, paths))} holds no interactions, expected a file with a user, an item and a time in "
            f"each row ({looked}); give the folder of the event log or the orders, or write shop.yaml by docs/data.md"
        )
    events = [draft_events(group, tables, files) for group in tables.events]
    events = _keep(events, lambda draft: draft.columns.time is not None, _NO_TIMES, ignored, files)
    events = _keep(events, lambda draft: not draft.has_unknown_kind, _NO_KIND, ignored, files)
    found = (
        draft_items(tables, events, files),
        draft_users(tables, events, files),
        draft_reviews(tables, files),
        draft_item_states(tables, files),
    )
    entries = (_interactions(events), *(entry for entry in found if entry))
    run = run_entries(events)
    sections = [_HEAD, *(render((entry,)) for entry in entries), _ignored_lines(ignored), render(run)]
    text = "\n".join(section for section in sections if section)
    return Guess(text, tuple(entry.key for entry in entries), ignored, count_doubts((*entries, *run)))


def _keep(
    events: list[EventsDraft],
    is_kept: Callable[[EventsDraft], bool],
    reason: str,
    ignored: dict[str, str],
    files: DataFiles,
) -> list[EventsDraft]:
    """Leave out the tables that lack what others have; all stay where none has it."""
    kept = [draft for draft in events if is_kept(draft)]
    for draft in events:
        if kept and draft not in kept:
            ignored |= {files.relative(file): reason for file in draft.group.files}
    return kept or events


def _interactions(events: Sequence[EventsDraft]) -> Entry:
    if len(events) == 1:
        return Entry("interactions", events[0].entries)
    return Entry("interactions", tuple(Entry(ELEMENT, draft.entries) for draft in events))


def _ignored_lines(ignored: dict[str, str]) -> str:
    lines = [line for name, reason in ignored.items() for line in comment(f"Left out {name}: {reason}.")]
    return "".join(f"{line}\n" for line in lines)
