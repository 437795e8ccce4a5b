"""Rows of one file: those that could be read, and the broken ones with their line."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tfrec.data.readers.messages import shorten
from tfrec.data.readers.options import FEW_BAD_ROWS, FileOptions, Format
from tfrec.errors import DataError

_LOGGER = logging.getLogger(__name__)

BROKEN_ROWS = pa.schema(
    [
        pa.field("file", pa.string()),  # relative to the folder that holds all files of the table
        pa.field("line", pa.int64()),  # of the file, from 1
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)


@dataclasses.dataclass(frozen=True)
class BrokenRow:
    """A row that can't be read."""

    line: int  # of the file, from 1
    text: str
    reason: str  # "has 4 columns, expected 3"
    cure: str


@dataclasses.dataclass(frozen=True)
class FileRows:
    """Rows of one file."""

    path: Path
    format: Format
    rows: pa.Table
    """[rows] strings of each requested column, or timestamps; null where empty or absent."""
    absent: tuple[str, ...]  # requested columns that the file lacks
    names: tuple[str, ...]  # columns of the file, for messages
    broken: tuple[BrokenRow, ...] = ()

    def broken_table(self, folder: str) -> pa.Table:
        """Broken rows as a table of BROKEN_ROWS, the file relative to a folder above it."""
        columns = [
            [os.path.relpath(self.path, folder)] * len(self.broken),
            [row.line for row in self.broken],
            [row.reason for row in self.broken],
            [row.text.encode("utf-8", "replace").decode("utf-8") for row in self.broken],
        ]
        return pa.table(dict(zip(BROKEN_ROWS.names, columns, strict=True)), schema=BROKEN_ROWS)


def check_broken(path: Path, broken: Sequence[BrokenRow], good: int, options: FileOptions) -> None:
    """Warn of broken rows; DataError if there are more than `bad_rows` allows."""
    if not broken:
        return
    first, total = broken[0], len(broken) + good
    where = f"{path} line {first.line} {first.reason} ({shorten(first.text)})"
    few = FEW_BAD_ROWS if options.bad_rows else 0
    if len(broken) > max(few, options.bad_rows * total) or (len(broken) >= max(good, 1) and options.bad_rows < 1):
        raise DataError(
            f"{where}, and {len(broken):,} of {total:,} rows are broken, more than `bad_rows: "
            f"{100 * options.bad_rows:g} %` allows; {first.cure}"
        )
    _LOGGER.warning(
        "%s; %s of %s rows are broken and left out; %s", where, f"{len(broken):,}", f"{total:,}", first.cure
    )
