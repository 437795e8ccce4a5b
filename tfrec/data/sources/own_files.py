"""Raw tables of any shop's files, read through a mapping."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.file_readers import find_files, read_file
from tfrec.data.mapping import EventMapping, Mapping, TableMapping
from tfrec.data.raw_tables import RawTables
from tfrec.data.timestamps import parse_times
from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR, ITEMS, TABLES, USERS

_LOGGER = logging.getLogger(__name__)

_IDS = ("user_id", "item_id", "session")
_FLOAT_ID = r"^-?\d+\.0$"


def load(mapping: Mapping) -> RawTables:
    """Read the raw tables of a mapping; DataError if a file does not match the mapping."""
    events = mapping.interactions
    return RawTables(
        _read_event_tables(events),
        _read_descriptions(mapping.items, "items", events),
        _read_descriptions(mapping.users, "users", events),
        events[0].clock,
        events[0].timestamp_format,
    )


def _read_event_tables(events: tuple[EventMapping, ...]) -> pa.Table:
    """Read the rows of all tables; null where a table lacks a column of another."""
    tables = [_read_interactions(table) for table in events]
    if len({table.timestamp_format for table in events}) > 1:
        tables = [_parse_timestamps(rows, table) for rows, table in zip(tables, events, strict=True)]
    return _concat(tables)


def _parse_timestamps(rows: pa.Table, events: EventMapping) -> pa.Table:
    times = parse_times(rows["timestamp"], events.timestamp_format)
    return _replace_column(rows, "timestamp", pa.chunked_array([pa.array(times)]))


def _read_interactions(events: EventMapping) -> pa.Table:
    table = _read_table(events, "interactions", {"cancelled": (events.cancelled.column,)} if events.cancelled else {})
    if events.cancelled:
        starts = pc.starts_with(table["cancelled"], events.cancelled.prefix)
        table = _replace_column(table, "cancelled", pc.fill_null(starts, False))
    if events.kind:
        return table.append_column("kind", pa.array([events.kind] * table.num_rows, pa.string()))
    return _replace_column(table, "kind", _rename_values(table["kind"], events.kinds))


def _read_descriptions(mapped: TableMapping | None, name: str, events: tuple[EventMapping, ...]) -> pa.Table:
    """Read items or users; from the interactions' own files, take the most common values."""
    if mapped is None:
        return (ITEMS if name == "items" else USERS).empty_table()
    table = _read_table(mapped, name, {})
    is_log = any(mapped.paths == table.paths for table in events)
    return _take_most_common(table, TABLES[name].names[0]) if is_log else table


def _read_table(mapped: TableMapping, name: str, further: dict[str, tuple[str, ...]]) -> pa.Table:
    columns = mapped.columns | further
    files = [file for path in mapped.paths for file in find_files(path)]
    table = _concat([_read_columns(path, mapped, name, columns) for path in dict.fromkeys(files)])
    paths = ", ".join(map(str, mapped.paths))
    if not table.num_rows and mapped.only:
        raise DataError(f"{paths} holds no {name} that match {name}.only; correct {mapped.only}")
    if not table.num_rows:
        raise DataError(f"{paths} holds a header but no {name}; write it again or correct the path")
    for column in set(_IDS) & set(table.column_names):
        table = _replace_column(table, column, _strip_float_tail(table[column]))
    return table


def _read_columns(path: Path, mapped: TableMapping, name: str, columns: dict[str, tuple[str, ...]]) -> pa.Table:
    """Read one file's rows that match `only`, under the schema's column names."""
    source_columns = [column for group in columns.values() for column in group]
    rows = read_file(path, [*source_columns, *mapped.only], mapped.encoding, mapped.delimiter)
    matching = _filter_rows(rows, mapped.only)
    row_origin = "after the header"
    if mapped.only:
        _LOGGER.info("%s.only keeps %s of %s rows of %s", name, f"{len(matching):,}", f"{len(rows):,}", path.name)
        row_origin = f"of the rows that match {name}.only"
    schema = TABLES[name]
    values = {}
    for column, group in columns.items():
        values[column] = _join_columns(matching, group)
        if column in schema.names and _is_number(schema.field(column).type):
            values[column] = _to_numbers(values[column], schema.field(column), f"{path}", row_origin)
    return pa.table(values)


def _filter_rows(raw: pa.Table, only: dict[str, str]) -> pa.Table:
    for column, pattern in only.items():
        matches = pc.match_substring_regex(raw[column].cast(pa.string()), pattern)
        raw = raw.filter(pc.fill_null(matches, False))
    return raw


def _join_columns(raw: pa.Table, group: tuple[str, ...]) -> pa.ChunkedArray:
    if len(group) == 1:
        return raw.column(group[0])
    # Arrow 18's binary_join_element_wise(null_handling="skip") loses rows of nulls alone.
    texts = [raw.column(name).cast(pa.string()) for name in group]
    prefixed = [pc.fill_null(pc.binary_join_element_wise(CATEGORY_SEPARATOR, text, ""), "") for text in texts]
    return pc.utf8_slice_codeunits(pc.binary_join_element_wise(*prefixed, ""), len(CATEGORY_SEPARATOR))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _to_numbers(column: pa.ChunkedArray, field: pa.Field, path: str, row_origin: str) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    coded = text.combine_chunks().dictionary_encode()
    distinct = pd.to_numeric(pd.Series(coded.dictionary.to_pylist(), dtype=object), errors="coerce").astype("float64")
    values = np.append(distinct, np.nan)[coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)]
    is_wrong = ~np.isfinite(values) & text.is_valid().to_numpy()
    if pa.types.is_integer(field.type):
        is_wrong |= np.isfinite(values) & ((np.floor(values) != values) | (np.abs(values) >= 2**31))
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        expected = "a whole number" if pa.types.is_integer(field.type) else "a number"
        raise DataError(
            f"{path} row {row + 1} {row_origin} has {text[row].as_py()!r} as {field.name}, expected {expected}; "
            f"correct it, or remove {field.name} from the mapping"
        )
    return pa.chunked_array([pa.array(values, mask=np.isnan(values)).cast(field.type, safe=False)])


def _concat(tables: list[pa.Table]) -> pa.Table:
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    for name in names:
        if len({table.schema.field(name).type for table in tables if name in table.column_names}) > 1:
            tables = [_to_text(table, name) for table in tables]  # timestamps here, text there
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def _to_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    return _replace_column(table, name, table[name].cast(pa.string()))


def _strip_float_tail(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove ".0" if all ids end in it: pandas writes a column with missing ids as floats."""
    ids = ids.cast(pa.string())
    if not pc.all(pc.match_substring_regex(ids, _FLOAT_ID), min_count=1).as_py():
        return ids
    return pc.utf8_slice_codeunits(ids, 0, -2)


def _rename_values(values: pa.ChunkedArray, names: dict[str, str]) -> pa.ChunkedArray:
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    renamed = [names.get(value, value) for value in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(renamed, pa.string()).take(coded.indices)])


def _take_most_common(table: pa.Table, key: str) -> pa.Table:
    """Reduce to a row per id: the most common known value of each column, the earlier in a tie."""
    frame = table.to_pandas()
    ids = frame[[key]].dropna().drop_duplicates()
    for column in frame.columns.drop(key):
        pairs = frame[[key, column]].dropna().groupby([key, column], sort=False).size().reset_index(name="rows")
        pairs = pairs.sort_values("rows", ascending=False, kind="stable").drop_duplicates(key)
        ids = ids.merge(pairs[[key, column]], on=key, how="left")
    return pa.Table.from_pandas(ids, schema=table.schema, preserve_index=False)


def _replace_column(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
