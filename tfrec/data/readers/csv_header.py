"""Header of a CSV file: where it stands, and the names in it."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from tfrec.data.readers.csv_dialect import Dialect, make_dialect
from tfrec.data.readers.messages import empty_file_error
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.streams import MARK_UNDECODABLE

_LOGGER = logging.getLogger(__name__)
_MOST_TITLE_LINES = 20  # lines in which the header is looked for
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?\s*$', re.IGNORECASE)  # Excel's


@dataclasses.dataclass(frozen=True)
class Header:
    """Names of the columns and the lines that they take."""

    names: tuple[str, ...]  # without surrounding blanks; "" for a column without a name
    lines: int  # of the file that come before the first row
    n_bytes: int  # of those lines
    dialect: Dialect

    @property
    def named_width(self) -> int:
        """Number of columns that each row has: further ones, without a name, may be missing."""
        return max((index + 1 for index, name in enumerate(self.names) if name), default=0)


def find_header(path: Path, head: bytes, requested: Sequence[str], options: FileOptions, delimiter: str) -> Header:
    """Find the header in the first bytes of a file; DataError if there is none.

    It is the first line, or the first of 20 lines that names all `requested` columns.
    """
    encoded = head.splitlines(keepends=True)
    lines = [line.decode("utf-8", MARK_UNDECODABLE) for line in encoded[: options.skip_rows + _MOST_TITLE_LINES + 1]]
    begin = _skip_blank(lines, options.skip_rows)
    if begin < len(lines) and (match := _SEPARATOR_LINE.match(lines[begin])):
        delimiter = match[1]
        begin = _skip_blank(lines, begin + 1)
    dialect = make_dialect(options, delimiter)
    rows = _parse(lines, begin, dialect)
    if not rows:
        raise empty_file_error(path)
    if options.header:
        names, end = _name_columns(options.header, rows[0], begin)
    else:
        (first_names, dialect), end = _to_names(rows[0], dialect), rows[0].end
        names, dialect, end = _find_names(path, rows, requested, dialect) or (first_names, dialect, end)
        names = _add_trailing(names, next((row for row in rows if row.end > end), None))
    return Header(tuple(names), end, sum(map(len, encoded[:end])), dialect)


@dataclasses.dataclass(frozen=True)
class _Row:
    fields: list[str]
    end: int  # number of lines up to its last one


def _skip_blank(lines: list[str], begin: int) -> int:
    while begin < len(lines) and not lines[begin].strip():
        begin += 1
    return begin


def _parse(lines: list[str], begin: int, dialect: Dialect) -> list[_Row]:
    reader = dialect.reader(dialect.translate(line) for line in lines[begin:])
    rows: list[_Row] = []
    with contextlib.suppress(csv.Error):  # a value too long, which the reader of the rows tells
        rows.extend(_Row(fields, begin + reader.line_num) for fields in reader if fields)
    return rows


def _name_columns(header: tuple[str, ...], first: _Row, begin: int) -> tuple[tuple[str, ...], int]:
    """Name the columns of a file without a header; further ones get the name ""."""
    names = header + ("",) * (len(first.fields) - len(header))
    is_header = [field.strip() for field in first.fields] == list(header)
    return names, first.end if is_header else begin


def _add_trailing(names: tuple[str, ...], first: _Row | None) -> tuple[str, ...]:
    """Add a name "" for each empty value behind the last name: a delimiter at the end of each line."""
    trailing = first.fields[len(names) :] if first else []
    return names + ("",) * (0 if any(trailing) else len(trailing))


def _to_names(row: _Row, dialect: Dialect) -> tuple[tuple[str, ...], Dialect]:
    has_blanks = len(row.fields) > 1 and all(field[:1] == " " for field in row.fields[1:])
    if has_blanks:
        dialect = dataclasses.replace(dialect, skips_blanks=True)
    return tuple(field.strip().strip('"') if has_blanks else field.strip() for field in row.fields), dialect


def _find_names(
    path: Path, rows: list[_Row], requested: Sequence[str], dialect: Dialect
) -> tuple[tuple[str, ...], Dialect, int] | None:
    for index, row in enumerate(rows[:_MOST_TITLE_LINES]):
        names, row_dialect = _to_names(row, dialect)
        if set(requested) <= set(names):
            if index:
                _LOGGER.warning("%s: what is before the header in line %d is skipped", path, row.end)
            return names, row_dialect, row.end
    return None
