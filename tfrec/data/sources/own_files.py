"""Any shop's files, read through a mapping, as raw tables. It knows no rule of what is clean."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.file_readers import find_files, read_file
from tfrec.data.mapping import EventMapping, Mapping, TableMapping
from tfrec.data.raw_tables import RawTables
from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR, ITEMS, TABLES, USERS

_LOGGER = logging.getLogger(__name__)

_IDS = ("user_id", "item_id", "session")
_FLOAT_ID = r"^-?\d+\.0$"


def load(mapping: Mapping) -> RawTables:
    """The raw tables of a mapping; DataError when a file does not hold what the mapping says."""
    events = mapping.interactions
    return RawTables(
        _interactions(events),
        _described(mapping.items, "items", events),
        _described(mapping.users, "users", events),
        events.clock,
        events.timestamp_format,
    )


def _interactions(events: EventMapping) -> pa.Table:
    table = _read(events, "interactions", {"cancelled": (events.cancelled.column,)} if events.cancelled else {})
    if events.cancelled:
        starts = pc.starts_with(table["cancelled"], events.cancelled.prefix)
        table = _replaced(table, "cancelled", pc.fill_null(starts, False))
    if events.kind:
        return table.append_column("kind", pa.array([events.kind] * table.num_rows, pa.string()))
    return _replaced(table, "kind", _translated(table["kind"], events.kinds))


def _described(mapped: TableMapping | None, name: str, events: EventMapping) -> pa.Table:
    """The items or users table; from the interactions' own file, the commonest value of each column."""
    if mapped is None:
        return (ITEMS if name == "items" else USERS).empty_table()
    table = _read(mapped, name, {})
    return _commonest(table, TABLES[name].names[0]) if mapped.path == events.path else table


def _read(mapped: TableMapping, name: str, further: dict[str, tuple[str, ...]]) -> pa.Table:
    columns = mapped.columns | further
    theirs = [column for group in columns.values() for column in group]
    counted = f"of those that {name}.only lets pass" if mapped.only else "after the header"
    tables = []
    for path in find_files(mapped.path):
        every = read_file(path, [*theirs, *mapped.only], mapped.encoding, mapped.delimiter)
        raw = _matching(every, mapped.only)
        if mapped.only:
            _LOGGER.info("%s.only lets %s of %s rows of %s pass", name, f"{len(raw):,}", f"{len(every):,}", path.name)
        ours = {ours: _joined(raw, group) for ours, group in columns.items()}
        schema = TABLES[name]
        numbers = [ours for ours in columns if ours in schema.names and _is_number(schema.field(ours).type)]
        ours |= {column: _numbers(ours[column], schema.field(column), f"{path}", counted) for column in numbers}
        tables.append(pa.table(ours))
    table = _stacked(tables)
    if not table.num_rows and mapped.only:
        raise DataError(f"{mapped.path} holds no {name} that {name}.only lets pass; correct {mapped.only}")
    if not table.num_rows:
        raise DataError(f"{mapped.path} holds no {name}, only a header; write it again or correct the path")
    for column in set(_IDS) & set(table.column_names):
        table = _replaced(table, column, _without_float_tail(table[column]))
    return table


def _matching(raw: pa.Table, only: dict[str, str]) -> pa.Table:
    for column, pattern in only.items():
        matches = pc.match_substring_regex(raw[column].cast(pa.string()), pattern)
        raw = raw.filter(pc.fill_null(matches, False))
    return raw


def _joined(raw: pa.Table, group: tuple[str, ...]) -> pa.ChunkedArray:
    if len(group) == 1:
        return raw.column(group[0])
    # Arrow 18's binary_join_element_wise(null_handling="skip") loses rows in which every value is null.
    texts = [raw.column(name).cast(pa.string()) for name in group]
    led = [pc.fill_null(pc.binary_join_element_wise(CATEGORY_SEPARATOR, text, ""), "") for text in texts]
    return pc.utf8_slice_codeunits(pc.binary_join_element_wise(*led, ""), len(CATEGORY_SEPARATOR))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _numbers(column: pa.ChunkedArray, field: pa.Field, path: str, counted: str) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    coded = text.combine_chunks().dictionary_encode()
    distinct = pd.to_numeric(pd.Series(coded.dictionary.to_pylist(), dtype=object), errors="coerce").astype("float64")
    values = np.append(distinct, np.nan)[coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)]
    is_wrong = ~np.isfinite(values) & text.is_valid().to_numpy()
    if pa.types.is_integer(field.type):
        is_wrong |= np.isfinite(values) & ((np.floor(values) != values) | (np.abs(values) >= 2**31))
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        wanted = "a whole number" if pa.types.is_integer(field.type) else "a number"
        raise DataError(
            f"{path} row {row + 1} {counted} has {text[row].as_py()!r} as {field.name}, {wanted} was "
            f"expected; correct it, or leave {field.name} out of the mapping"
        )
    return pa.chunked_array([pa.array(values, mask=np.isnan(values)).cast(field.type, safe=False)])


def _stacked(tables: list[pa.Table]) -> pa.Table:
    if any(table.schema != tables[0].schema for table in tables):  # timestamps here, text there
        names = [n for n in tables[0].column_names if len({table.schema.field(n).type for table in tables}) > 1]
        for name in names:
            tables = [_replaced(table, name, table[name].cast(pa.string())) for table in tables]
    return pa.concat_tables(tables).combine_chunks()


def _without_float_tail(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """ "17850.0" -> "17850" when every id looks so: pandas writes a column with missing ids as floats."""
    ids = ids.cast(pa.string())
    if not pc.all(pc.match_substring_regex(ids, _FLOAT_ID), min_count=1).as_py():
        return ids
    return pc.utf8_slice_codeunits(ids, 0, -2)


def _translated(values: pa.ChunkedArray, names: dict[str, str]) -> pa.ChunkedArray:
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    ours = [names.get(theirs, theirs) for theirs in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(ours, pa.string()).take(coded.indices)])


def _commonest(table: pa.Table, key: str) -> pa.Table:
    """One row for each id with its commonest known value of each column, the earlier one in a tie."""
    frame = table.to_pandas()
    ids = frame[[key]].dropna().drop_duplicates()
    for column in frame.columns.drop(key):
        pairs = frame[[key, column]].dropna().groupby([key, column], sort=False).size().reset_index(name="rows")
        pairs = pairs.sort_values("rows", ascending=False, kind="stable").drop_duplicates(key)
        ids = ids.merge(pairs[[key, column]], on=key, how="left")
    return pa.Table.from_pandas(ids, schema=table.schema, preserve_index=False)


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
