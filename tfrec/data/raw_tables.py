"""A shop's tables as a source reads them, before cleaning."""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from tfrec.schema import Clock


@dataclasses.dataclass(frozen=True)
class DatedTable:
    """Rows of one of schema.DATED_TABLES; times are timestamps or text."""

    rows: pa.Table
    timestamp_format: str = "auto"
    timezone: str = "UTC"


@dataclasses.dataclass(frozen=True)
class RawTables:
    """Columns under the schema's names, rows in the order of the source's files."""

    interactions: pa.Table
    """Columns of schema.INTERACTIONS, the optional ones where known, and optionally `cancelled`
    (bool).

    Ids and texts are strings, quantity, price and position numbers, timestamp a timestamp or text.
    """
    items: pa.Table
    """item_id, columns of schema.ITEMS where known, and further columns."""
    users: pa.Table
    """user_id and profile columns."""
    clock: Clock = "utc"
    """Under "order" the timestamp column holds ranks instead of times."""
    changes: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Table -> rule -> rows whose values it changed while they were read."""
    timestamp_format: str = "auto"
    """Format of timestamps in text, a `pattern` of timestamps.parse_times."""
    timezone: str = "UTC"
    """Zone of timestamps that name none."""
    broken: dict[str, pa.Table] = dataclasses.field(default_factory=dict)
    """Table -> rows of its files that could not be read: file, line, reason, text."""
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    """Table -> rows of its files that the mapping's `only` does not match."""
    dated: dict[str, DatedTable] = dataclasses.field(default_factory=dict)
    """Name of schema.DATED_TABLES -> table, where the shop has it."""

    def rows_of(self, table: str) -> int:
        """Number of rows of a table."""
        rows: pa.Table = self.dated[table].rows if table in self.dated else getattr(self, table)
        return int(rows.num_rows)
