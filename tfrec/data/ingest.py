"""Ingest a shop's files: clean and partition its tables, count the rows dropped by each rule."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path

from tfrec.data.clean import clean
from tfrec.data.mapping import Mapping
from tfrec.data.raw_tables import RawTables
from tfrec.data.snapshot import write_snapshot
from tfrec.data.sources import own_files
from tfrec.errors import ConfigError
from tfrec.schema import TableSet

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class IngestReport:
    """The current table set and the number of raw rows that were read."""

    tables: TableSet
    rows_read: dict[str, int]  # table -> raw rows

    @property
    def rejected(self) -> Path:
        """Folder of the dropped rows, each with its rule; one Parquet file per table."""
        return self.tables.snapshot / "rejected"

    def render(self) -> str:
        """Text table with a line for each rule, in the order applied."""
        manifest = self.tables.manifest
        lines = [_format_line("table", "rule", "dropped", "changed", "kept")]
        for table, read in self.rows_read.items():
            lines.append(_format_line(table, "rows read", "", "", f"{read:,}"))
            for rule in manifest.rules:
                if rule["table"] == table:
                    counts = (_format_count(rule["dropped"]), _format_count(rule["changed"]), f"{rule['kept']:,}")
                    lines.append(_format_line("", rule["rule"], *counts))
        lines.append(f"tables in {self.tables.snapshot}, {manifest.partitions} partitions")
        lines.append(f"dropped rows in {self.rejected}, each with its rule")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def ingest(mapping: Mapping, root: str | Path, partitions: int = 16) -> IngestReport:
    """Read a shop's files through a mapping, clean them and write them to `root`.

    DataError if a file does not match the mapping or no row is left; `root` then stays unchanged.
    """
    _check_partitions(partitions)
    started = time.monotonic()
    raw = own_files.load(mapping)
    _LOGGER.info("read %s in %.1f s", mapping.source, time.monotonic() - started)
    return ingest_tables(raw, root, mapping.source, partitions)


def ingest_tables(tables: RawTables, root: str | Path, source: str, partitions: int = 16) -> IngestReport:
    """Clean raw tables and write them to `root`; errors as in `ingest`."""
    _check_partitions(partitions)
    started = time.monotonic()
    cleaned, clock = clean(tables), tables.clock
    del tables  # millions of rows, unless the caller keeps them
    _LOGGER.info("cleaned %s in %.1f s", source, time.monotonic() - started)
    started = time.monotonic()
    table_set = write_snapshot(cleaned, Path(root), source, clock=clock, partitions=partitions)
    _LOGGER.info("wrote %s in %.1f s", table_set.snapshot, time.monotonic() - started)
    return IngestReport(table_set, cleaned.read)


def _check_partitions(partitions: int) -> None:
    if not 1 <= partitions <= 99_999:
        raise ConfigError(f"`partitions` is {partitions}, expected 1 to 99999; 16 suits most shops")


def _format_line(table: str, rule: str, dropped: str, changed: str, kept: str) -> str:
    return f"{table:<13} {rule:<32} {dropped:>11} {changed:>11} {kept:>13}".rstrip()


def _format_count(rows: int) -> str:
    return f"{rows:,}" if rows else "-"
