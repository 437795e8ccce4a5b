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
_USUAL_DELIMITERS = ("\t", ";", "|")
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

    It is the one of the first 20 lines that names most of the `requested` columns, the first of
    equals. Without `options.delimiter`, the usual ones are tried too.
    """
    encoded = head.splitlines(keepends=True)
    lines = [line.decode("utf-8", MARK_UNDECODABLE) for line in encoded[: options.skip_rows + _MOST_TITLE_LINES + 1]]
    begin = _skip_blank(lines, options.skip_rows)
    if begin < len(lines) and (match := _SEPARATOR_LINE.match(lines[begin])):
        delimiter = match[1]
        begin = _skip_blank(lines, begin + 1)
        delimiters = [delimiter]
    else:
        delimiters = [delimiter] if options.delimiter or options.header else [delimiter, *_USUAL_DELIMITERS]
    candidates = [_find_line(lines, begin, requested, make_dialect(options, one)) for one in delimiters]
    found = max((one for one in candidates if one), key=lambda one: one.known, default=None)
    if found is None:
        raise empty_file_error(path)
    if options.header:
        first = found.rows[0]
        names, end = _name_columns(options.header, first, begin)
        return Header(names, end, sum(map(len, encoded[:end])), found.dialect)
    _log_choice(path, found, delimiter)
    end = found.row.end
    names = _add_trailing(found.names, next((row for row in found.rows if row.end > end), None))
    return Header(names, end, sum(map(len, encoded[:end])), found.dialect)


@dataclasses.dataclass(frozen=True)
class _Row:
    fields: list[str]
    end: int  # number of lines up to its last one


@dataclasses.dataclass(frozen=True)
class _Found:
    """The line that names most of the requested columns."""

    known: int  # number of requested columns in it
    names: tuple[str, ...]
    dialect: Dialect
    row: _Row
    rows: list[_Row]


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
    """Add a name "" for each empty value behind the last name: a delimiter ends each line."""
    trailing = first.fields[len(names) :] if first else []
    return names + ("",) * (0 if any(trailing) else len(trailing))


def _to_names(row: _Row, dialect: Dialect) -> tuple[tuple[str, ...], Dialect]:
    has_blanks = len(row.fields) > 1 and all(field[:1] == " " for field in row.fields[1:])
    if has_blanks:
        dialect = dataclasses.replace(dialect, skips_blanks=True)
    names = [dialect.restore(field.strip()) for field in row.fields]
    return tuple(name.strip('"') if has_blanks else name for name in names), dialect


def _find_line(lines: list[str], begin: int, requested: Sequence[str], dialect: Dialect) -> _Found | None:
    rows = _parse(lines, begin, dialect)
    found = []
    for row in rows[:_MOST_TITLE_LINES]:
        names, row_dialect = _to_names(row, dialect)
        found.append(_Found(len(set(requested) & set(names)), names, row_dialect, row, rows))
    return max(found, key=lambda one: one.known, default=None)  # the first of equals


def _log_choice(path: Path, found: _Found, delimiter: str) -> None:
    if found.row is not found.rows[0]:
        _LOGGER.warning("%s: what is before the header in line %d is skipped", path, found.row.end)
    if found.dialect.delimiter != delimiter and len(delimiter) == 1 and delimiter.isascii():
        _LOGGER.info("%s: columns are parted by %r", path, found.dialect.delimiter)
