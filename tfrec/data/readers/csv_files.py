"""Reader of CSV files: Arrow where every line is a row, row by row otherwise."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tfrec.data.readers.csv_dialect import Dialect
from tfrec.data.readers.csv_header import Header, find_header
from tfrec.data.readers.csv_rows import RowReader, columns_broken
from tfrec.data.readers.file_rows import BrokenRow, FileRows, check_broken
from tfrec.data.readers.find import partition_values
from tfrec.data.readers.messages import ENCODING_CURE, UNDECODABLE, translated_errors
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.streams import CHUNK_BYTES, decode, open_text, read_chunks

_LOGGER = logging.getLogger(__name__)
_BLOCK_BYTES = 4 << 20
_BATCH_ROWS = 50_000
_END_BYTES = 256
_MOST_INVALID = 10_000
_MARK = b"\n" + codecs.BOM_UTF8

_Rows = tuple[pa.Table, list[BrokenRow]]


def read_csv(path: Path, requested: Sequence[str], options: FileOptions) -> FileRows:
    """Read the requested columns; DataError for an empty file or too many broken rows."""
    delimiter = options.delimiter or ("\t" if ".tsv" in path.suffixes[-2:] else ",")
    with translated_errors(path), open_text(path, options.encoding) as stream:
        head = stream.read(CHUNK_BYTES)
        in_header = [name for name in requested if name not in partition_values(path)]
        header = find_header(path, head, in_header, options, delimiter)
        present = [name for name in requested if name in header.names]
        _warn_of_repeats(path, present, header)
        columns = {name: header.names.index(name) for name in present}
        source = _LineCounter(itertools.chain([head[header.n_bytes :]], read_chunks(stream)), header.dialect)
        read = _read_at_once(source, columns, header)
    rows, broken = read or _read_row_by_row(path, header, columns, options)
    if header.dialect.replaced:
        rows, broken = _restore(rows, broken, header.dialect)
    check_broken(path, broken, rows.num_rows, options)
    absent = tuple(name for name in requested if name not in header.names)
    return FileRows(path, "csv", _add_nulls(rows, requested), absent, header.names, tuple(broken))


def _restore(rows: pa.Table, broken: list[BrokenRow], dialect: Dialect) -> _Rows:
    """Put the file's delimiter back into quoted values and broken rows."""
    columns = {name: pc.replace_substring(rows[name], dialect.delimiter, dialect.quoted) for name in rows.column_names}
    return pa.table(columns), [dataclasses.replace(row, text=dialect.restore(row.text)) for row in broken]


def _warn_of_repeats(path: Path, present: list[str], header: Header) -> None:
    for name in present:
        if header.names.count(name) > 1:
            _LOGGER.warning("%s has %d columns named %r; the first is read", path, header.names.count(name), name)


class _LineCounter:
    r"""Chunks on their way to Arrow: their lines are counted, but for blank ones at the end."""

    def __init__(self, chunks: Iterator[bytes], dialect: Dialect) -> None:
        self.lines = 0
        self.has_escaped_quote = False
        self.has_mark = False  # a byte-order mark at the begin of a line, where files were joined to one
        self._seeks_escapes = bool(dialect.quote) and not dialect.escape
        translates = dialect.replaced or dialect.names_null
        self.chunks = self._count(_translate(chunks, dialect) if translates else chunks)

    def _count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        end = b""
        for chunk in filter(None, chunks):
            self.lines += chunk.count(b"\n")
            self.has_escaped_quote |= self._seeks_escapes and b"\\" in chunk and b'\\"' in chunk
            self.has_mark |= _MARK in chunk or _MARK in end[-len(_MARK) :] + chunk[: len(_MARK)]
            end = (end + chunk)[-_END_BYTES:]
            yield chunk
        self.lines += 1 - end[len(end.rstrip(b"\r\n")) :].count(b"\n") if end else 0


class _ChunkFile:
    """File whose reads give a chunk each: without the copies of a buffered stream."""

    closed = False

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; none at the end."""
        chunk = self._left or next(filter(None, self._chunks), b"")
        self._left = chunk[size:]
        return chunk[:size] if self._left else chunk


def _translate(chunks: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        whole, end, rest_of_line = (rest + chunk).rpartition(b"\n")
        yield dialect.translate_bytes(whole + end)
        rest = rest_of_line
    yield dialect.translate_bytes(rest)


def _read_at_once(source: _LineCounter, columns: dict[str, int], header: Header) -> _Rows | None:
    """Read by Arrow; None unless each line is a row, but for few with more or fewer columns."""
    dialect = header.dialect
    if dialect.skips_blanks or not columns:
        return None
    names = [str(index) for index in range(len(header.names))]
    requested = [names[index] for index in columns.values()]
    broken = _InvalidRows(header)
    parse = pacsv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
        newlines_in_values=bool(dialect.quote or dialect.escape),
        invalid_row_handler=broken.add,
    )
    convert = pacsv.ConvertOptions(
        include_columns=requested,
        column_types={name: pa.string() for name in requested},
        null_values=[""],  # "NA", "null" and "nan" can be ids or titles
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    # With several threads, Arrow does not tell the number of an invalid row.
    read = pacsv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES, use_threads=False)
    try:
        table = pacsv.read_csv(pa.PythonFile(_ChunkFile(source.chunks), "r"), read, parse, convert)
    except pa.ArrowInvalid:
        return None
    table = table.rename_columns(list(columns))
    is_simple = not source.has_escaped_quote and not source.has_mark
    if not is_simple or table.num_rows + len(broken.rows) + broken.blank != source.lines:
        return None
    return None if _repeats_header(table) else (table, broken.rows)


def _repeats_header(table: pa.Table) -> bool:
    """Whether a row holds the names of all columns, as where files were joined to one."""
    is_header = pc.equal(table[table.column_names[0]], table.column_names[0])
    if not pc.any(is_header).as_py():
        return False
    rows = table.filter(is_header).to_pylist()
    return any(all(value == name for name, value in row.items()) for row in rows)


class _InvalidRows:
    """Rows with more or fewer columns than the header."""

    def __init__(self, header: Header) -> None:
        self.rows: list[BrokenRow] = []
        self.blank = 0  # lines of blanks
        self._header = header

    def add(self, row: pacsv.InvalidRow) -> str:
        """Collect a row that is surely broken; the others, and many, are left to RowReader."""
        is_line = row.number is not None and not re.search(r"[\r\n]", row.text)
        has_all = row.actual_columns >= self._header.named_width and row.text.endswith(self._header.dialect.delimiter)
        has_all |= self._header.named_width <= row.actual_columns < row.expected_columns
        if is_line and not row.text.strip():
            self.blank += 1
            return "skip"
        if not is_line or has_all or len(self.rows) == _MOST_INVALID:
            return "error"
        line = self._header.lines + row.number
        self.rows.append(columns_broken(line, row.text, row.actual_columns, self._header.named_width))
        return "skip"


def _read_row_by_row(path: Path, header: Header, columns: dict[str, int], options: FileOptions) -> _Rows:
    with translated_errors(path), open_text(path, options.encoding) as stream:
        text = decode(stream)
        for _ in range(header.lines):
            next(text)
        lines = map(header.dialect.translate, text) if header.dialect.replaced or header.dialect.names_null else text
        reader = RowReader(iter(lines), header.lines + 1, header)
        batches = [_to_table(batch, columns, reader, options) for batch in _batches(iter(reader))]
    schema = pa.schema([(name, pa.string()) for name in columns])
    broken = sorted(reader.broken, key=lambda row: row.line)
    return pa.concat_tables([schema.empty_table(), *batches]), broken


def _batches(rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        yield batch


def _to_table(
    batch: list[tuple[int, list[str]]], columns: dict[str, int], reader: RowReader, options: FileOptions
) -> pa.Table:
    try:
        return _to_columns([fields for _, fields in batch], columns)
    except UnicodeEncodeError:
        good = []
        for line, fields in batch:
            if any(UNDECODABLE in fields[index] for index in columns.values()):
                reason = f"is not {options.encoding} text"
                reader.broken.append(BrokenRow(line, ",".join(fields), reason, ENCODING_CURE))
            else:
                good.append(fields)
        return _to_columns(good, columns)


def _to_columns(rows: list[list[str]], columns: dict[str, int]) -> pa.Table:
    arrays = {name: pa.array([fields[index] for fields in rows], pa.string()) for name, index in columns.items()}
    return pa.table({name: pc.if_else(pc.equal(array, ""), None, array) for name, array in arrays.items()})


def _add_nulls(rows: pa.Table, requested: Sequence[str]) -> pa.Table:
    nulls = pa.nulls(rows.num_rows, pa.string())
    return pa.table({name: rows[name] if name in rows.column_names else nulls for name in requested})
