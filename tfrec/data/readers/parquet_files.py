"""Reader of Parquet files."""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.data.readers import parquet_paths
from tfrec.data.readers.file_rows import FileRows
from tfrec.data.readers.json_paths import NestedValueError, Step, parse_path
from tfrec.data.readers.messages import nested_value_error, several_values_error, translated_errors
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.streams import open_file

_LOGGER = logging.getLogger(__name__)

PARQUET_MAGIC = b"PAR1"


def read_parquet(path: Path, requested: Sequence[str], options: FileOptions) -> FileRows:
    """Read the values at the requested paths; DataError if a path ends at a struct."""
    with translated_errors(path):
        file = pq.ParquetFile(_open_seekable(path))
        names = file.schema_arrow.names
        paths = {name: _parse(name, names) for name in requested}
        exploded = [_parse(name, names) for name in options.exploded]
        roots = {steps[0].key for steps in [*paths.values(), *exploded]}
        table = _first_of_each(path, file.read(columns=sorted(roots & set(names))))
        columns: dict[str, pa.Array | None] = {}
        for name, column in _read_paths(table, paths, exploded):
            if column is not None and name in options.single and parquet_paths.has_several(column):
                raise several_values_error(str(path), name)
            columns[name] = _to_text(path, name, column)
    absent = tuple(name for name, column in columns.items() if column is None)
    size = next((len(column) for column in columns.values() if column is not None), file.metadata.num_rows)
    rows = {name: pa.nulls(size, pa.string()) if column is None else column for name, column in columns.items()}
    return FileRows(path, "parquet", pa.table(rows), absent, tuple(_list_paths(file.schema_arrow)))


def _open_seekable(path: Path) -> IO[bytes] | Path:
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return path
    return io.BytesIO(open_file(path).read())  # compressed as a whole


def _parse(name: str, names: Sequence[str]) -> tuple[Step, ...]:
    return (Step(name),) if name in names else parse_path(name)


def _first_of_each(path: Path, table: pa.Table) -> pa.Table:
    """Columns without the further ones of a name."""
    names = table.column_names
    for name in sorted({name for name in names if names.count(name) > 1}):
        _LOGGER.warning("%s has %d columns named %r; the first is read", path, names.count(name), name)
    return table.select(sorted({names.index(name) for name in names}))


def _read_paths(
    table: pa.Table, paths: dict[str, tuple[Step, ...]], exploded: Sequence[tuple[Step, ...]]
) -> Iterator[tuple[str, pa.Array | None]]:
    """Yield the values at each path, one by one to spare memory; None where it is absent."""
    schema = pa.struct(list(table.schema))
    steps = next((steps for steps in exploded if parquet_paths.has_list(schema, steps)), None)
    if steps is None:
        yield from ((name, _follow(table, path)) for name, path in paths.items())
        return
    root = steps[0].key
    is_known = _known_rows(table, exploded[: exploded.index(steps)])  # by a choice before
    rows, members = parquet_paths.explode(_column(table, root), steps[1:], is_known)
    for name, path in paths.items():
        if path[0].key == root:
            yield name, _follow_column(members, path)
        else:
            column = _follow(table, path)
            yield name, None if column is None else column.take(pa.array(rows))


def _known_rows(table: pa.Table, paths: Sequence[tuple[Step, ...]]) -> pa.Array | None:
    """Rows in which one of the paths has a value, [rows] bool."""
    columns = [column for path in paths if (column := _follow(table, path)) is not None]
    known = [parquet_paths.to_text(column).is_valid() for column in columns]
    return functools.reduce(pc.or_, known) if known else None


def _follow(table: pa.Table, steps: tuple[Step, ...]) -> pa.Array | None:
    return _follow_column(_column(table, steps[0].key), steps) if steps[0].key in table.column_names else None


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()


def _follow_column(column: pa.Array, steps: tuple[Step, ...]) -> pa.Array | None:
    root = pa.StructArray.from_arrays([column], [steps[0].key])
    return parquet_paths.follow(root, steps)


def _to_text(path: Path, name: str, column: pa.Array | None) -> pa.Array | None:
    if column is None:
        return None
    try:
        return parquet_paths.to_text(column)
    except NestedValueError as error:
        raise nested_value_error(str(path), name, "structs", str(error)) from None


def _list_paths(schema: pa.Schema) -> list[str]:
    names = []
    for field in schema:
        names.append(field.name)
        kind = field.type.value_type if parquet_paths.is_list(field.type) else field.type
        if pa.types.is_struct(kind):
            names += [f"{field.name}.{inner.name}" for inner in kind]
    return names
