"""Text of one table's files, under the schema's column names."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.mapping import ROW_NUMBER, DatedMapping, EventMapping, TableMapping
from tfrec.data.readers.file_rows import BROKEN_ROWS, FileRows
from tfrec.data.readers.find import find_files, warn_of_left_out
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.read import read_files
from tfrec.data.values.columns import ID_COLUMNS, TIMES, choice_name, column_of, replace_column
from tfrec.data.values.texts import choose_paths, read_html
from tfrec.data.values.time_columns import UTC_TEXT, TimeFormat, unify_times
from tfrec.errors import DataError

_LOGGER = logging.getLogger(__name__)
_REQUIRED = (*ID_COLUMNS, "timestamp", "from", "kind")
_SINGLE = (*_REQUIRED, "until")  # a list of these is none; others may be levels or words


@dataclasses.dataclass(frozen=True)
class TableText:
    """Rows of one table's files."""

    name: str
    rows: pa.Table
    """[rows] strings, or timestamps; `user_id/1` is the second choice of a user_id."""
    broken: pa.Table  # of BROKEN_ROWS
    changes: dict[str, int]  # rule -> rows whose text it changed
    left_out: int = 0  # rows that `only` does not match
    times: TimeFormat = UTC_TEXT
    """Format of times in text."""
    file_rows: tuple[int, ...] = ()
    """Number of rows of each file, in their order."""


def read_text(mapped: TableMapping, name: str, first_row: int = 0) -> TableText:
    """Read the files of a table; DataError if a column is in none of them or no row is left.

    `first_row` is the number of the first row under `order: row number`.
    """
    columns = dict(mapped.columns)
    if isinstance(mapped, EventMapping) and mapped.cancelled:
        columns["cancelled"] = (mapped.cancelled.column,)
    is_numbered = columns.get("timestamp") == (ROW_NUMBER,)
    if is_numbered:
        del columns["timestamp"]
    sources = [source for group in columns.values() for source in group]
    required = {columns[name][0] for name in _REQUIRED if len(columns.get(name, ())) == 1} | set(mapped.only)
    optional = {source for column in mapped.optional for source in columns[column]}
    required -= optional
    tables, broken, n_read = [], [BROKEN_ROWS.empty_table()], 0
    files = find_files(mapped.paths, any_suffix=bool(mapped.options.format))
    if not mapped.options.format:
        warn_of_left_out(mapped.paths)
    folder = os.path.commonpath([os.path.abspath(file.parent) for file in files])
    for read in read_files(files, [*sources, *mapped.only], required, _options(mapped, columns), optional):
        tables.append(_to_columns(read, mapped, name, columns))
        broken.append(read.broken_table(folder))
        n_read += read.rows.num_rows
    tables, times = _unify_times(tables, mapped)
    rows = concat(tables)
    if not rows.num_rows:
        raise _no_rows_error(mapped, name)
    if is_numbered:
        numbers = pa.array(np.arange(first_row, first_row + rows.num_rows)).cast(pa.string())
        rows = rows.append_column("timestamp", pa.chunked_array([numbers]))
    rows, changes = _clean_texts(rows, mapped) if name == "items" else (rows, {})
    left_out, file_rows = n_read - rows.num_rows, tuple(table.num_rows for table in tables)
    return TableText(name, rows, pa.concat_tables(broken), changes, left_out, times, file_rows)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of all tables; null where one lacks a column, text where types differ."""
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    for name in names:
        if len({table.schema.field(name).type for table in tables if name in table.column_names}) > 1:
            tables = [_to_text(table, name) for table in tables]  # timestamps here, text there
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def _options(mapped: TableMapping, columns: dict[str, tuple[str, ...]]) -> FileOptions:
    """Options of the files; without `explode`, the lists that the item_id is in are exploded."""
    single = tuple(source for name, group in columns.items() if name in _SINGLE for source in group)
    return dataclasses.replace(mapped.options, item_paths=columns.get("item_id", ()), single=single)


def _to_columns(read: FileRows, mapped: TableMapping, name: str, columns: dict[str, tuple[str, ...]]) -> pa.Table:
    """Rows of one file that match `only`, a column for each further choice of a value."""
    rows = read.rows
    matching = _filter_rows(rows, mapped.only)
    if mapped.only:
        _LOGGER.info("%s.only keeps %s of %s rows of %s", name, f"{len(matching):,}", f"{len(rows):,}", read.path.name)
    choices = [(column, n, source) for column, group in columns.items() for n, source in enumerate(group)]
    return pa.table({choice_name(column, n): matching.column(source) for column, n, source in choices})


def _filter_rows(rows: pa.Table, only: dict[str, str]) -> pa.Table:
    for column, pattern in only.items():
        text = pc.utf8_trim_whitespace(rows[column].cast(pa.string()))
        matches = pc.match_substring_regex(text, pattern)
        rows = rows.filter(pc.fill_null(matches, False))
    return rows


def _unify_times(tables: list[pa.Table], mapped: TableMapping) -> tuple[list[pa.Table], TimeFormat]:
    """Bring the times of all files to one type: timestamps of Parquet beside text."""
    if not isinstance(mapped, DatedMapping) or (isinstance(mapped, EventMapping) and mapped.clock == "order"):
        return tables, UTC_TEXT
    cells = [(n, name) for n, table in enumerate(tables) for name in table.column_names if column_of(name) in TIMES]
    times = TimeFormat(mapped.timestamp_format, mapped.timezone)
    columns, written = unify_times([tables[n][name] for n, name in cells], [times] * len(cells))
    unified = list(tables)
    for (n, name), column in zip(cells, columns, strict=True):
        unified[n] = replace_column(unified[n], name, column)
    return unified, written if cells else times


def _to_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    return replace_column(table, name, table[name].cast(pa.string()))


def _clean_texts(rows: pa.Table, mapped: TableMapping) -> tuple[pa.Table, dict[str, int]]:
    rows, changes = read_html(rows)
    if len(mapped.columns.get("category", ())) == 1:
        deepest, several = choose_paths(rows["category"].cast(pa.string()), mapped.category)
        rows = replace_column(rows, "category", deepest)
        changes |= {"several paths of a category": several} if several else {}
    return rows, changes


def _no_rows_error(mapped: TableMapping, name: str) -> DataError:
    paths = ", ".join(map(str, mapped.paths))
    if mapped.only:
        return DataError(f"{paths} holds no {name} that match {name}.only; correct {mapped.only}")
    return DataError(f"{paths} holds a header but no {name}; write it again or correct the path")
