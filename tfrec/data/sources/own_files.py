"""Raw tables of any shop's files, read through a mapping."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import is_vector
from tfrec.data.mapping import EventMapping, Mapping, TableMapping
from tfrec.data.raw_tables import DatedTable, RawTables
from tfrec.data.sources.table_text import TableText, concat, read_text
from tfrec.data.values.columns import (
    Values,
    add_changes,
    align_users,
    category_columns,
    column_of,
    drop_missing_words,
    id_columns,
    join_users,
    read_values,
    replace_column,
)
from tfrec.data.values.events import fill_sessions, is_canceled, rename_kinds
from tfrec.data.values.ids import has_tails
from tfrec.data.values.time_columns import TimeFormat, unify_times
from tfrec.schema import DATED_TABLES, FEEDBACK, TABLES

_LOGGER = logging.getLogger(__name__)


def load(mapping: Mapping) -> RawTables:
    """Read the raw tables of a mapping; DataError if a file does not match the mapping."""
    described = {name: table for name, table in (("items", mapping.items), ("users", mapping.users)) if table}
    tables = [*(("interactions", table) for table in mapping.interactions), *described.items(), *mapping.dated.items()]
    texts = _read_texts(tables)
    broken = _collect_broken(texts)
    values = _read_values(texts, [table for _, table in tables])
    logs, others = values[: len(mapping.interactions)], values[len(mapping.interactions) :]
    interactions, filled, times = _read_events(logs, mapping.interactions, [text.times for text in texts])
    changes = {table.name: table.changes for table in others}
    descriptions = {name: TABLES[name].empty_table() for name in ("items", "users")} | {
        table.name: _describe(table, described[table.name], mapping.interactions)
        for table in others
        if table.name in described
    }
    return RawTables(
        interactions,
        **descriptions,
        clock=mapping.interactions[0].clock,
        changes=changes | {"interactions": add_changes([*(table.changes for table in logs), *filled])},
        timestamp_format=times.pattern,
        timezone=times.timezone,
        broken=broken,
        left_out=_count_left_out(texts),
        dated={
            table.name: DatedTable(table.rows, text.times.pattern, text.times.timezone)
            for table, text in zip(values, texts, strict=True)
            if table.name in mapping.dated
        },
    )


def _read_texts(tables: Sequence[tuple[str, TableMapping]]) -> list[TableText]:
    """Read all tables; the rows of the interactions are numbered from one table to the next."""
    texts: list[TableText] = []
    for name, mapped in tables:
        texts.append(read_text(mapped, name, sum(text.rows.num_rows for text in texts)))
    return texts


def _count_left_out(texts: Sequence[TableText]) -> dict[str, int]:
    names = dict.fromkeys(text.name for text in texts if text.left_out)
    return {name: sum(text.left_out for text in texts if text.name == name) for name in names}


def _collect_broken(texts: Sequence[TableText]) -> dict[str, pa.Table]:
    names = dict.fromkeys(text.name for text in texts)
    return {name: pa.concat_tables([text.broken for text in texts if text.name == name]) for name in names}


def _read_events(
    logs: Sequence[Values], events: tuple[EventMapping, ...], times: Sequence[TimeFormat]
) -> tuple[pa.Table, list[dict[str, int]], TimeFormat]:
    """Read the rows of all tables, null where one lacks a column, and their format of times."""
    tables, filled = zip(
        *(_label_events(log.rows, table) for log, table in zip(logs, events, strict=True)), strict=True
    )
    if events[0].clock == "order":
        written = times[0]
    else:
        columns, written = unify_times([rows["timestamp"] for rows in tables], times[: len(tables)])
        tables = tuple(replace_column(rows, "timestamp", column) for rows, column in zip(tables, columns, strict=True))
    aligned = align_users(tables, [table.columns["user_id"] for table in events])
    rows, joined = join_users(concat(aligned))
    return rows, [*filled, joined], written


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


def _read_values(tables: Sequence[TableText], mapped: Sequence[TableMapping]) -> list[Values]:
    """Read the values of all tables; whether ids have a tail ".0" is decided for all together."""
    texts = [
        dataclasses.replace(drop_missing_words(text.name, text.rows, by.missing), file_rows=text.file_rows)
        for text, by in zip(tables, mapped, strict=True)
    ]
    schemas = [_schema_of(text.name, by) for text, by in zip(texts, mapped, strict=True)]
    names = {name for text, schema in zip(texts, schemas, strict=True) for name in category_columns(text, schema)}
    tails = [name for name in sorted(names) if has_tails(id_columns(texts, name))]
    values = [read_values(text, schema, tails) for text, schema in zip(texts, schemas, strict=True)]
    return [
        dataclasses.replace(value, changes=add_changes([text.changes, value.changes]))
        for text, value in zip(tables, values, strict=True)
    ]


def _schema_of(name: str, mapped: TableMapping) -> pa.Schema:
    numbers = [pa.field(column, pa.float32()) for column in mapped.numbers]
    vectors = [pa.field(column, pa.list_(pa.float32())) for column in mapped.vectors]
    return pa.schema(
        [*(TABLES | DATED_TABLES)[name], *(FEEDBACK if name == "interactions" else ()), *numbers, *vectors]
    )


def _take_most_common(table: pa.Table, key: str) -> pa.Table:
    """Reduce to a row per id: the most common known value of each column, the earlier in a tie."""
    frame = table.to_pandas()
    ids = frame[[key]].dropna().drop_duplicates()
    for column in frame.columns.drop(key):
        if is_vector(table.schema.field(column).type):  # NumPy arrays: neither hashed nor counted
            ids = ids.merge(frame[[key, column]].dropna().drop_duplicates(key), on=key, how="left")
            continue
        pairs = frame[[key, column]].dropna().groupby([key, column], sort=False).size().reset_index(name="rows")
        pairs = pairs.sort_values("rows", ascending=False, kind="stable").drop_duplicates(key)
        ids = ids.merge(pairs[[key, column]], on=key, how="left")
    return pa.Table.from_pandas(ids, schema=table.schema, preserve_index=False)
