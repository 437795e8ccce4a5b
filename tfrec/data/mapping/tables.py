"""A shop's mapping: the files of each table and the names of its columns in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrec.data.readers.options import DEFAULT_OPTIONS, FileOptions
from tfrec.data.values.texts import WHOLE_CELLS, CategoryFormat
from tfrec.schema import Clock

ROW_NUMBER = "row number"
"""Value of `order` that takes the rows as they stand in the files."""


@dataclasses.dataclass(frozen=True)
class TableMapping:
    """Files of a table and the names of its columns in them."""

    paths: tuple[Path, ...]  # files, folders or globs
    columns: dict[str, tuple[str, ...]]
    """Schema column -> file columns: the levels of a category, else the first known counts."""
    options: FileOptions = DEFAULT_OPTIONS
    only: dict[str, str] = dataclasses.field(default_factory=dict)
    """File column -> regular expression that its text must match."""
    missing: tuple[str, ...] = ()
    """Further words that mean a missing value."""
    numbers: tuple[str, ...] = ()  # further columns that are numbers
    vectors: tuple[str, ...] = ()  # further columns that are lists of numbers
    optional: tuple[str, ...] = ()
    """Schema columns that the mapping does not name and the files may lack."""
    category: CategoryFormat = WHOLE_CELLS


@dataclasses.dataclass(frozen=True)
class Cancellation:
    """A row is a cancellation or return if its `column` starts with `prefix`.

    Without a prefix: if the column holds any value but false, 0 or no.
    """

    column: str
    prefix: str = ""


@dataclasses.dataclass(frozen=True)
class DatedMapping(TableMapping):
    """Files of a table with times."""

    timestamp_format: str = "auto"
    timezone: str = "UTC"  # of times that name none


@dataclasses.dataclass(frozen=True)
class EventMapping(DatedMapping):
    """Files of the interactions table; the event kind comes from `kind` or the column `kind`."""

    kind: str = ""
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    """Value in the file -> one of KINDS."""
    clock: Clock = "utc"  # "order": the timestamp column holds ranks
    cancelled: Cancellation | None = None
    per_session: tuple[str, ...] = ()
    """Columns of the schema, or `cancelled`, that hold for a session when any row has them."""


@dataclasses.dataclass(frozen=True)
class Mapping:
    """Mapping of all tables of a shop."""

    source: str  # the YAML file's name, or "flags"
    interactions: tuple[EventMapping, ...]
    """At least one, all of one clock; their rows together are the table."""
    items: TableMapping | None = None
    users: TableMapping | None = None
    dated: dict[str, DatedMapping] = dataclasses.field(default_factory=dict)
    """Name of schema.DATED_TABLES -> its files."""
