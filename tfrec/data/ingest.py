"""A shop's raw tables -> checked, clean, partitioned tables in a folder, and what became of every row."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path

from tfrec.data.clean import clean
from tfrec.data.mapping import Mapping
from tfrec.data.raw_tables import RawTables
from tfrec.data.snapshot import commit
from tfrec.data.sources import own_files
from tfrec.errors import ConfigError
from tfrec.schema import TableSet

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class IngestReport:
    """The table set in force, and how many raw rows it was made of."""

    tables: TableSet
    rows_read: dict[str, int]  # table -> raw rows

    @property
    def rejected(self) -> Path:
        """The folder of the dropped rows, a Parquet file for each table, with the rule that dropped each."""
        return self.tables.snapshot / "rejected"

    def render(self) -> str:
        """A table for people: a line for each rule, in the order applied."""
        manifest = self.tables.manifest
        lines = [_line("table", "rule", "dropped", "changed", "kept")]
        for table, read in self.rows_read.items():
            lines.append(_line(table, "rows read", "", "", f"{read:,}"))
            for rule in manifest.rules:
                if rule["table"] == table:
                    lines.append(
                        _line(
                            "",
                            rule["rule"],
                            _count(rule["dropped"]),
                            _count(rule["changed"]),
                            f"{rule['kept']:,}",
                        )
                    )
        lines.append(f"tables in {self.tables.snapshot}, {manifest.partitions} partitions")
        lines.append(f"dropped rows in {self.rejected}, each with its rule")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def ingest(mapping: Mapping, root: str | Path, partitions: int = 16) -> IngestReport:
    """Reads a shop's own files through a mapping and puts them in force in `root`.

    DataError when a file does not hold what the mapping says, or no row is left; `root` then stays as it was.
    """
    _check_partitions(partitions)
    started = time.monotonic()
    raw = own_files.load(mapping)
    _LOGGER.info("read %s in %.1f s", mapping.source, time.monotonic() - started)
    return ingest_tables(raw, root, mapping.source, partitions)


def ingest_tables(tables: RawTables, root: str | Path, source: str, partitions: int = 16) -> IngestReport:
    """Cleans raw tables and puts them in force in `root`; errors as `ingest`."""
    _check_partitions(partitions)
    started = time.monotonic()
    cleaned = clean(tables)
    _LOGGER.info("cleaned %s in %.1f s", source, time.monotonic() - started)
    started = time.monotonic()
    table_set = commit(cleaned, Path(root), source, tables.clock, partitions)
    _LOGGER.info("wrote %s in %.1f s", table_set.snapshot, time.monotonic() - started)
    return IngestReport(table_set, cleaned.read)


def _check_partitions(partitions: int) -> None:
    if not 1 <= partitions <= 99_999:
        raise ConfigError(f"`partitions` is {partitions}, between 1 and 99999 were expected; 16 suits most shops")


def _line(table: str, rule: str, dropped: str, changed: str, kept: str) -> str:
    return f"{table:<13} {rule:<32} {dropped:>11} {changed:>11} {kept:>13}".rstrip()


def _count(rows: int) -> str:
    return f"{rows:,}" if rows else "-"
