"""Reader of JSON files: an object a line, one array of objects, or objects one after the other."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfrec.data.readers.file_rows import BrokenRow, FileRows, check_broken
from tfrec.data.readers.json_paths import (
    ABSENT,
    NestedValueError,
    Step,
    drop_list,
    explode,
    first_known,
    has_several,
    parse_path,
    to_text,
    value_at,
)
from tfrec.data.readers.messages import (
    ENCODING_CURE,
    UNDECODABLE,
    nested_value_error,
    several_values_error,
    translated_errors,
)
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.streams import CHUNK_BYTES, decode, open_text
from tfrec.errors import DataError

_BATCH_ROWS = 50_000
_BLANK = "\ufeff \t\r\n"
_BLANKS = re.compile(f"[{_BLANK}]*")
# Numbers stay as written: the id 007.0 is not 7.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda _: None, strict=False)


def read_json(path: Path, requested: Sequence[str], options: FileOptions) -> FileRows:
    """Read the values at the requested paths; DataError if a path ends at an object."""
    collector = _Collector(path, requested, options)
    broken: list[BrokenRow] = []
    with translated_errors(path), open_text(path, options.encoding) as stream:
        for line, row in _read_objects(path, decode(stream), options, broken):
            if isinstance(row, dict):
                collector.add(line, row)
            else:
                broken.append(BrokenRow(line, str(row), "is not a JSON object", "write one {...} a line"))
    rows = collector.table()
    check_broken(path, broken, rows.num_rows, options)
    absent = tuple(name for name in requested if name not in collector.seen)
    return FileRows(path, "json", rows, absent, tuple(collector.keys), tuple(broken))


class _Collector:
    """Columns of text, from the objects of a file."""

    def __init__(self, path: Path, requested: Sequence[str], options: FileOptions) -> None:
        self.seen: set[str] = set()  # requested columns that a row has
        self.keys: dict[str, None] = {}  # of all rows, and of the objects in the first one
        self._path = path
        self._steps = {name: parse_path(name) for name in requested}
        self._exploded = {name: parse_path(name) for name in options.exploded}
        self._first_path = next(iter(self._exploded), "")
        self._single = frozenset(options.single)
        self._values: dict[str, list[str | None]] = {name: [] for name in requested}
        self._batches: list[pa.Table] = []
        self._size = 0

    def add(self, line: int, row: dict[str, Any]) -> None:
        """Add the row, or the rows that it is exploded to."""
        self.keys |= dict.fromkeys(row) if self.keys else dict.fromkeys(_list_paths(row))
        for one in self._explode(row):
            for name, values in self._values.items():
                values.append(self._read_value(line, one, name))
            self._size += 1
        if self._size >= _BATCH_ROWS:
            self._flush()

    def table(self) -> pa.Table:
        """All rows."""
        self._flush()
        return pa.concat_tables(self._batches)

    def _explode(self, row: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if not self._exploded:
            return (row,)
        if len(self._exploded) == 1:
            return self._explode_path(row, self._first_path)
        return self._explode_first(row)

    def _explode_first(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Explode the first path with a value; the lists of the later ones do not count."""
        name = first_known(row, self._exploded)
        names = list(self._exploded)
        for one in self._explode_path(row, name):
            for later in names[names.index(name) + 1 :]:
                one = drop_list(one, self._exploded[later])
            yield one

    def _explode_path(self, row: dict[str, Any], name: str) -> Iterable[dict[str, Any]]:
        if name not in row:
            return explode(row, self._exploded[name])
        return explode(row, (Step(name),)) if isinstance(row[name], list) else (row,)

    def _read_value(self, line: int, row: dict[str, Any], name: str) -> str | None:
        value = row[name] if name in row else value_at(row, name, self._steps[name])
        if value is ABSENT:
            return None
        self.seen.add(name)
        if value and type(value) is str and value.isascii():
            return value
        if name in self._single and has_several(value):
            raise several_values_error(f"{self._path} line {line}", name)
        try:
            return to_text(value)
        except NestedValueError as error:
            raise nested_value_error(f"{self._path} line {line}", name, "an object", str(error)) from None

    def _flush(self) -> None:
        self._batches.append(pa.table({name: pa.array(v, pa.string()) for name, v in self._values.items()}))
        self._values = {name: [] for name in self._values}
        self._size = 0


def _list_paths(row: dict[str, Any]) -> Iterator[str]:
    """Keys of an object, and of the objects in it: "items.item_id"."""
    for key, value in row.items():
        yield key
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            yield from (f"{key}.{name}" for name in inner)


def _read_objects(
    path: Path, text: io.TextIOWrapper, options: FileOptions, broken: list[BrokenRow]
) -> Iterator[tuple[int, Any]]:
    numbered = ((number, line) for number, line in enumerate(text, 1) if line.strip(_BLANK))
    first = list(itertools.islice(numbered, 2))
    if first:
        number = first[0][0]
        between = ["\n"] * (first[-1][0] - number - 1)  # blank lines, for the numbers of the lines
        lines = itertools.chain([first[0][1]], between, (line for _, line in first[1:]), text)
        reader = _read_lines if _has_lines([line.strip(_BLANK) for _, line in first]) else _read_document
        yield from reader(path, lines, number, options, broken)


def _has_lines(first: list[str]) -> bool:
    """Whether each line holds an object of its own; one of the first two may be broken."""
    is_list = first[0][0] == "[" or first[0][-1] == ","
    return not is_list and any(line[0] == "{" and _is_json(line) for line in first)


def _is_json(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _read_lines(
    path: Path, lines: Iterator[str], first: int, options: FileOptions, broken: list[BrokenRow]
) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, first):
        stripped = line.strip(_BLANK)
        if not stripped:
            continue
        if UNDECODABLE in stripped:
            broken.append(BrokenRow(number, stripped, f"is not {options.encoding} text", ENCODING_CURE))
            continue
        try:
            yield number, _DECODER.decode(stripped)
        except json.JSONDecodeError as error:
            broken.append(BrokenRow(number, stripped, f"is not JSON: {error.msg}", "correct or delete the line"))
        except RecursionError:
            broken.append(BrokenRow(number, stripped, "is nested too deeply", "correct or delete the line"))


def _read_document(
    path: Path, lines: Iterator[str], first: int, options: FileOptions, broken: list[BrokenRow]
) -> Iterator[tuple[int, Any]]:
    """Yield the members of one array, or objects one after the other over several lines."""
    document = _Document(path, lines, first)
    is_array = document.skip("[")
    while not document.is_at_end():
        if is_array and document.skip("]"):
            if not document.is_at_end():
                raise DataError(f"{path} line {document.line} has text after its array; write one array of objects")
            return
        yield document.line, document.decode()
        document.skip(",")
    if is_array:
        raise DataError(f"{path} ends within its array; write the file again, it is cut off")


class _Document:
    """JSON text read piece by piece."""

    def __init__(self, path: Path, lines: Iterator[str], first: int) -> None:
        self.line = first  # of the next character
        self._path = path
        self._lines = lines
        self._text = ""
        self._position = 0

    def is_at_end(self) -> bool:
        """Skip blanks, and tell whether nothing is left."""
        while True:
            blanks = _BLANKS.match(self._text, self._position)
            self._move(blanks.end() if blanks else self._position)
            if self._position < len(self._text):
                return False
            if not self._read_more(1):
                return True

    def skip(self, character: str) -> bool:
        """Skip one character after blanks, and tell whether it was there."""
        if self.is_at_end() or self._text[self._position] != character:
            return False
        self._move(self._position + 1)
        return True

    def decode(self) -> Any:
        """Decode the next value."""
        size = CHUNK_BYTES
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
                break
            except RecursionError:
                raise DataError(
                    f"{self._path} line {self.line} is nested too deeply; write one {{...}} a row"
                ) from None
            except json.JSONDecodeError as error:
                line = self.line + self._text.count("\n", self._position, error.pos)
                if not self._read_more(size):
                    raise DataError(
                        f"{self._path} line {line} is not JSON ({error.msg}); correct it, or write the file again if "
                        "it is cut off"
                    ) from None
                size *= 2
        if self._text.find(UNDECODABLE, self._position, end) >= 0:
            raise DataError(f"{self._path} line {self.line} is not text of its encoding; {ENCODING_CURE}")
        self._move(end)
        return value

    def _move(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _read_more(self, size: int) -> bool:
        more: list[str] = []
        length = 0
        for line in self._lines:
            more.append(line)
            length += len(line)
            if length >= size:
                break
        self._text = self._text[self._position :] + "".join(more)
        self._position = 0
        return bool(more)
