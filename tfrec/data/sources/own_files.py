"""Raw tables of any shop's files, read through a mapping."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.file_readers import find_files, read_file
from tfrec.data.mapping import EventMapping, Mapping, TableMapping
from tfrec.data.raw_tables import RawTables
from tfrec.data.timestamps import parse_times
from tfrec.data.values.columns import (
    ID_COLUMNS,
    Values,
    add_changes,
    choice_name,
    column_of,
    drop_missing_words,
    id_columns,
    join_users,
    read_values,
    replace_column,
)
from tfrec.data.values.events import fill_sessions, is_canceled, rename_kinds
from tfrec.data.values.ids import has_tails
from tfrec.errors import DataError
from tfrec.schema import TABLES

_LOGGER = logging.getLogger(__name__)


def load(mapping: Mapping) -> RawTables:
    """Read the raw tables of a mapping; DataError if a file does not match the mapping."""
    described = {name: table for name, table in (("items", mapping.items), ("users", mapping.users)) if table}
    values = _read_values([*(("interactions", table) for table in mapping.interactions), *described.items()])
    logs, others = values[: len(mapping.interactions)], values[len(mapping.interactions) :]
    interactions, filled = _read_events(logs, mapping.interactions)
    changes = {table.name: table.changes for table in others}
    descriptions = {name: TABLES[name].empty_table() for name in ("items", "users")} | {
        table.name: _describe(table, described[table.name], mapping.interactions) for table in others
    }
    return RawTables(
        interactions,
        **descriptions,
        clock=mapping.interactions[0].clock,
        changes=changes | {"interactions": add_changes([*(table.changes for table in logs), *filled])},
        timestamp_format=mapping.interactions[0].timestamp_format,
        timezone=mapping.interactions[0].timezone,
    )


def _read_events(logs: Sequence[Values], events: tuple[EventMapping, ...]) -> tuple[pa.Table, list[dict[str, int]]]:
    """Read the rows of all tables, null where a table lacks a column of another."""
    tables, filled = zip(
        *(_label_events(log.rows, table) for log, table in zip(logs, events, strict=True)), strict=True
    )
    if len({(table.timestamp_format, table.timezone) for table in events}) > 1:
        tables = tuple(_parse_timestamps(rows, table) for rows, table in zip(tables, events, strict=True))
    rows, joined = join_users(_concat(tables))
    return rows, [*filled, joined]


def _parse_timestamps(rows: pa.Table, events: EventMapping) -> pa.Table:
    times = parse_times(rows["timestamp"], events.timestamp_format, events.timezone)
    return replace_column(rows, "timestamp", pa.chunked_array([pa.array(times)]).cast(pa.timestamp("ms", "UTC")))


def _label_events(rows: pa.Table, events: EventMapping) -> tuple[pa.Table, dict[str, int]]:
    """Add or rename the kinds, mark the canceled rows and fill what holds for a session."""
    if events.cancelled:
        is_blank = rows["cancelled"].is_null()
        rows = replace_column(rows, "cancelled", is_canceled(rows["cancelled"], events.cancelled.prefix))
        if "session" in rows.column_names and "cancelled" not in events.per_session:
            _warn_of_half_canceled(rows, is_blank, events.cancelled.column)
    if events.kind:
        rows = rows.append_column("kind", pa.array([events.kind] * rows.num_rows, pa.string()))
    else:
        rows = replace_column(rows, "kind", rename_kinds(rows["kind"], events.kinds))
    names = [name for name in rows.column_names if column_of(name) in events.per_session]
    return fill_sessions(rows, names) if names else (rows, {})


def _warn_of_half_canceled(rows: pa.Table, is_blank: pa.ChunkedArray, column: str) -> None:
    """Warn where canceled orders have lines without a value: it may hold for the whole order."""
    canceled = pc.unique(rows["session"].filter(rows["cancelled"])).drop_null()
    is_left = pc.and_(is_blank, pc.is_in(rows["session"], canceled))
    orders = len(pc.unique(rows["session"].filter(is_left)))
    if orders:
        _LOGGER.warning(
            f"{orders:,} of {len(canceled):,} canceled orders have lines without a value of {column}, which stay; if "
            "it stands on the first line and holds for the order, add `per_session: [cancelled]` to interactions"
        )


def _describe(values: Values, mapped: TableMapping, events: tuple[EventMapping, ...]) -> pa.Table:
    """The rows, or of the interactions' own files the most common values of each id."""
    is_log = any(mapped.paths == table.paths for table in events)
    return _take_most_common(values.rows, TABLES[values.name].names[0]) if is_log else values.rows


def _read_table(mapped: TableMapping, name: str) -> pa.Table:
    """Read the text of all files, under the schema's column names."""
    columns = dict(mapped.columns)
    if isinstance(mapped, EventMapping) and mapped.cancelled:
        columns["cancelled"] = (mapped.cancelled.column,)
    files = [file for path in mapped.paths for file in find_files(path)]
    table = _concat([_read_columns(path, mapped, name, columns) for path in dict.fromkeys(files)])
    paths = ", ".join(map(str, mapped.paths))
    if not table.num_rows and mapped.only:
        raise DataError(f"{paths} holds no {name} that match {name}.only; correct {mapped.only}")
    if not table.num_rows:
        raise DataError(f"{paths} holds a header but no {name}; write it again or correct the path")
    return table


def _read_columns(path: Path, mapped: TableMapping, name: str, columns: dict[str, tuple[str, ...]]) -> pa.Table:
    """Read one file's rows that match `only`, a column for each further choice of a value."""
    source_columns = [column for group in columns.values() for column in group]
    rows = read_file(path, [*source_columns, *mapped.only], mapped.encoding, mapped.delimiter)
    matching = _filter_rows(rows, mapped.only)
    if mapped.only:
        _LOGGER.info("%s.only keeps %s of %s rows of %s", name, f"{len(matching):,}", f"{len(rows):,}", path.name)
    choices = [(column, n, source) for column, group in columns.items() for n, source in enumerate(group)]
    return pa.table({choice_name(column, n): matching.column(source) for column, n, source in choices})


def _read_values(tables: Sequence[tuple[str, TableMapping]]) -> list[Values]:
    """Read the values of all tables; whether ids have a tail ".0" is decided for all together."""
    texts = [drop_missing_words(name, _read_table(mapped, name), mapped.missing) for name, mapped in tables]
    tails = [key for key in ID_COLUMNS if has_tails(id_columns(texts, key))]
    return [read_values(table, TABLES[table.name], tails) for table in texts]


def _filter_rows(raw: pa.Table, only: dict[str, str]) -> pa.Table:
    for column, pattern in only.items():
        matches = pc.match_substring_regex(raw[column].cast(pa.string()), pattern)
        raw = raw.filter(pc.fill_null(matches, False))
    return raw


def _concat(tables: Sequence[pa.Table]) -> pa.Table:
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    for name in names:
        if len({table.schema.field(name).type for table in tables if name in table.column_names}) > 1:
            tables = [_to_text(table, name) for table in tables]  # timestamps here, text there
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def _to_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    return replace_column(table, name, table[name].cast(pa.string()))


def _take_most_common(table: pa.Table, key: str) -> pa.Table:
    """Reduce to a row per id: the most common known value of each column, the earlier in a tie."""
    frame = table.to_pandas()
    ids = frame[[key]].dropna().drop_duplicates()
    for column in frame.columns.drop(key):
        pairs = frame[[key, column]].dropna().groupby([key, column], sort=False).size().reset_index(name="rows")
        pairs = pairs.sort_values("rows", ascending=False, kind="stable").drop_duplicates(key)
        ids = ids.merge(pairs[[key, column]], on=key, how="left")
    return pa.Table.from_pandas(ids, schema=table.schema, preserve_index=False)
