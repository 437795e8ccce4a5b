"""Rows of a CSV file, one by one, each with its line: where a fast parser can't tell the rows.

A quote that is never closed takes the following rows into one value. Such a line is broken alone:
the rows after it are read again from the next line.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import re
from collections.abc import Iterator

from tfrec.data.readers.csv_dialect import Dialect
from tfrec.data.readers.csv_header import Header
from tfrec.data.readers.file_rows import BrokenRow

MOST_LINES = 1000  # of a quoted value
MOST_CHARACTERS = 1 << 20  # of a value
_FEW_LINES = 10  # of a quoted value, which can be prose that has a comma on most lines
QUOTE_CURE = "close the quote, or set `quote: none` in the mapping if quotes are part of the text"
_ESCAPE_CURE = r"set `escape: '\'` in the mapping if quotes inside of values are written as \""
_COLUMNS_CURE = "correct or delete that row, or set `delimiter` or `quote` if they are others"


class RowReader:
    """Reads the rows below a header, and collects the broken ones."""

    def __init__(self, lines: Iterator[str], first_line: int, header: Header) -> None:
        self.broken: list[BrokenRow] = []
        self._lines = _Lines(lines, first_line)
        self._width = len(header.names)
        self._named_width = header.named_width
        self._names = list(header.names)
        self._dialect = header.dialect

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the fields of each row."""
        with _field_limit(MOST_CHARACTERS):
            while True:
                try:
                    yield from self._read()
                    return
                except csv.Error:  # a value too long
                    self._break(1, f"has a value of over {MOST_CHARACTERS:,} characters", QUOTE_CURE)

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        width, lines = self._width, self._lines
        for fields in self._dialect.reader(lines):
            taken = lines.taken
            if fields == self._names:
                self._break(len(taken), "repeats the header", "delete that row")
            elif len(taken) == 1 and len(fields) == width and '\\"' not in taken[0]:
                yield lines.number, fields
            elif "".join(taken).strip() and self._is_good(fields):
                yield lines.number, (fields + [""] * width)[:width]
            if lines.taken:
                lines.accept()

    def _is_good(self, fields: list[str]) -> bool:
        """Whether the last row is good; otherwise collect what is broken of it."""
        taken, width = self._lines.taken, self._width
        is_stray = len(taken) > 1 and _opens_stray_quote(taken, width, self._dialect)
        if is_stray or (len(taken) > 1 and _is_never_closed(taken, self._dialect)):
            return self._break(1, f"opens a quote that is not closed before line {self._lines.number + 1}", QUOTE_CURE)
        if len(taken) > MOST_LINES:
            return self._break(len(taken), f"begins a quoted value of {len(taken):,} lines", QUOTE_CURE)
        if (len(taken) > 1 or '\\"' in taken[0]) and self._dialect.quote and not _is_strict(taken, self._dialect):
            has_escape = any('\\"' in line for line in taken)
            cure = _ESCAPE_CURE if has_escape else QUOTE_CURE
            return self._break(len(taken), "closes a quote before the end of a value", cure)
        if len(fields) < self._named_width or any(fields[width:]):
            broken = columns_broken(self._lines.number, "", len(fields), self._named_width)
            return self._break(len(taken), broken.reason, broken.cure)
        return True

    def _break(self, count: int, reason: str, cure: str) -> bool:
        """Collect the first lines of the last row as broken, and read the others again."""
        lines = self._lines
        for index, text in enumerate(lines.taken[:count]):
            self.broken.append(BrokenRow(lines.number + index, text.rstrip("\r\n"), reason, cure))
        lines.reject(count)
        return False


class _Lines:
    """Lines of a file, the last row's among them: `taken`, from line `number` on."""

    def __init__(self, lines: Iterator[str], first_line: int) -> None:
        self.taken: list[str] = []
        self.number = first_line
        self._lines = lines
        self._again: collections.deque[str] = collections.deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines).removeprefix("\ufeff")
        self.taken.append(line)
        return line

    def accept(self) -> None:
        """Go on behind the taken lines."""
        self.number += len(self.taken)
        self.taken = []

    def reject(self, count: int) -> None:
        """Go on behind the first taken lines: the others come again."""
        self._again.extendleft(reversed(self.taken[count:]))
        self.number += count
        self.taken = []


def columns_broken(line: int, text: str, columns: int, expected: int) -> BrokenRow:
    """A row with more or fewer columns than expected."""
    noun = "column" if columns == 1 else "columns"
    return BrokenRow(line, text, f"has {columns} {noun}, expected {expected}", _COLUMNS_CURE)


@contextlib.contextmanager
def _field_limit(characters: int) -> Iterator[None]:
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _is_strict(lines: list[str], dialect: Dialect) -> bool:
    """Whether every quote is closed, before a delimiter or the end of the row."""
    try:
        return len(list(dialect.reader(lines, strict=True))) == 1
    except csv.Error:
        return False


def _is_never_closed(lines: list[str], dialect: Dialect) -> bool:
    """Whether the lines end within quotes."""
    try:
        list(dialect.reader(lines, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _opens_stray_quote(lines: list[str], width: int, dialect: Dialect) -> bool:
    """Whether lines of a row are rows of their own, if the open quote of the first is text.

    Most of them must be; where a quote closes within a value, the next one suffices.
    """
    rest = [line for line in lines[1:] if line.strip()]
    is_strict = _is_strict(lines, dialect)
    may_be = not dialect.trusts_quotes and _is_most(rest, [_may_have(line, width, dialect) for line in rest])
    if width < 2 or not rest or (is_strict and not may_be):
        return False
    first, alone = _split_alone(lines[0], dialect), [_split_alone(line, dialect) for line in rest]
    has_width = [len(fields) == width for fields in alone]
    if len(first) != width or not (_is_most(rest, has_width) or (has_width[0] and not is_strict)):
        return False
    if not is_strict or (width > 2 and len(rest) > 1):
        return True
    return _is_most(rest, [_looks_like_row(fields, first, len(rest)) for fields in alone if len(fields) == width])


def _is_most(lines: list[str], claims: list[bool]) -> bool:
    return 2 * sum(claims) > len(lines)


def _may_have(line: str, width: int, dialect: Dialect) -> bool:
    return line.count(dialect.delimiter) >= width - 1


def _looks_like_row(fields: list[str], first: list[str], n_lines: int) -> bool:
    """Whether a line is no prose: there, a blank follows a comma.

    Where lines are few and columns are two, the first one must look like the first row's too.
    """
    if any(re.match(r" \S" if n_lines > 1 else " ", field) for field in fields[1:]):
        return False
    if len(fields) > 2 or n_lines > _FEW_LINES:
        return True
    if n_lines == 1:
        return _shape(first[0]) == _shape(fields[0])
    return (" " in fields[0].strip()) == (" " in first[0].strip())


def _split_alone(line: str, dialect: Dialect) -> list[str]:
    """Fields of one line; a quote that it does not close is part of the text."""
    fields: list[str] = next(iter(dialect.reader([line])), [])
    if fields and not _is_strict([line], dialect):
        return fields[:-1] + fields[-1].split(dialect.delimiter)
    return fields


def _shape(text: str) -> str:
    """Text with 9 for digits and a for letters: "sku-17" is "a-9"."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text.strip()))
