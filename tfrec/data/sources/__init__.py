"""One file a data set; each gives a shop's three raw tables, read but not yet cleaned."""

from __future__ import annotations

import dataclasses

import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class RawTables:
    """What `tfrec.data.ingest.ingest_tables` cleans: columns under our names, in the order of the raw rows."""

    interactions: pa.Table
    """Columns of schema.INTERACTIONS, the optional ones where known, and optionally `cancelled` (bool).

    Ids and texts are strings, quantity, price and position numbers, timestamp a timestamp or text.
    """
    items: pa.Table
    """item_id, columns of schema.ITEMS where known, and further columns."""
    users: pa.Table
    """user_id and profile columns."""
    clock: str = "utc"
    """One of schema.CLOCKS; under "order" the timestamp column holds ranks instead."""
    timestamp_format: str = "auto"
    """How timestamps in text are read, see times.parse_times."""
