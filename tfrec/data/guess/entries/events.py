"""Entries of a table of interactions."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrec.data.guess.entries.cancellation import cancellation_entries, item_filter
from tfrec.data.guess.entries.event_columns import EventColumns, column_entries, pick_event_columns
from tfrec.data.guess.entries.event_kinds import kind_column_entry, kind_entries, kind_shares
from tfrec.data.guess.entries.file_entries import file_entries, missing_entry
from tfrec.data.guess.entries.yaml_text import Entry, children, note
from tfrec.data.guess.picks import pick
from tfrec.data.guess.sampling.column import Column, count_words
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables
from tfrec.data.mapping import ROW_NUMBER


@dataclasses.dataclass(frozen=True, eq=False)
class EventsDraft:
    """Entries of one table of interactions, and what later entries need to know of it."""

    columns: EventColumns
    entries: tuple[Entry, ...]
    kinds: dict[str, float]  # event kind -> share of the rows

    @property
    def group(self) -> Group:
        """The files of the table."""
        return self.columns.group

    @property
    def has_unknown_kind(self) -> bool:
        """Whether nothing says what kind of events these are."""
        return any(entry.key == "kind" and entry.doubt for entry in self.entries)

    @property
    def has_all_times(self) -> bool:
        """Whether the sample reaches to the end of the files."""
        samples = self.group.samples
        return all(sample.is_complete or sample.has_spread for sample in samples)


def draft_events(group: Group, tables: Tables, files: DataFiles) -> EventsDraft:
    """Draft a table of interactions."""
    columns = pick_event_columns(group, tables)
    ids = [each.column for each in (columns.user, columns.item, columns.session) if each]
    entries = (
        *file_entries(group, files),
        Entry("columns", column_entries(columns, kind_column_entry(columns))),
        *kind_entries(columns),
        *_context_entry(columns),
        *_clock_entries(columns),
        *_filter_entries(columns),
        *missing_entry(ids),
        *_price_note(columns),
    )
    return EventsDraft(columns, entries, kind_shares(columns))


def _context_entry(columns: EventColumns) -> tuple[Entry, ...]:
    found = tuple(Entry(role, each.name, count_words(each.column)) for role, each in columns.context.items())
    return (Entry("context", found),) if found else ()


def _clock_entries(columns: EventColumns) -> tuple[Entry, ...]:
    time, order = columns.time, columns.order
    if time:
        is_default = time.format == "auto" and not time.doubt
        return () if is_default else (Entry("timestamp_format", time.format, time.words, time.doubt),)
    if order:
        return (Entry("order", order.name, f"no column holds times; {order.name} goes from {_span(order.column)}"),)
    doubt = "no column holds times or ranks; check that the file is sorted from the first event to the last"
    return (Entry("order", ROW_NUMBER, doubt=doubt),)


def _span(column: Column) -> str:
    return f"{np.nanmin(column.numbers):g} to {np.nanmax(column.numbers):g}"


def _filter_entries(columns: EventColumns) -> tuple[Entry, ...]:
    """Cancellations, and lines of postage and the like where the lines name what they sell."""
    group, item = columns.group, columns.item
    entries = cancellation_entries(columns)
    titles = pick(group.columns, "title", columns.used) or pick(group.columns, "description", columns.used)
    fees = item_filter(item.column, titles.column) if item and titles else None
    if fees is None:
        return entries
    filters = [entry for entry in (*entries, fees) if entry.key == "only"]
    conditions = tuple(condition for entry in filters for condition in children(entry))
    return (*(entry for entry in entries if entry.key != "only"), Entry("only", conditions))


def _price_note(columns: EventColumns) -> tuple[Entry, ...]:
    total = pick(columns.group.columns, "line_total", columns.used)
    if total is None or "price" in columns.further:
        return ()
    return (note(f"{total.name} looks like the total of a line; price is that of one unit, so it is left out"),)
