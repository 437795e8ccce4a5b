"""Reader of Parquet files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.readers import parquet_paths
from tfrec.data.readers.file_rows import FileRows
from tfrec.data.readers.json_paths import NestedValueError, Step, parse_path
from tfrec.data.readers.messages import shorten, translated_errors
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.streams import open_file
from tfrec.errors import DataError

PARQUET_MAGIC = b"PAR1"


def read_parquet(path: Path, requested: Sequence[str], options: FileOptions) -> FileRows:
    """Read the values at the requested paths; DataError if a path ends at a struct."""
    with translated_errors(path):
        file = pq.ParquetFile(_open_seekable(path))
        names = file.schema_arrow.names
        paths = {name: (Step(name),) if name in names else parse_path(name) for name in requested}
        exploded = parse_path(options.explode) if options.explode else ()
        roots = {steps[0].key for steps in [*paths.values(), *([exploded] if exploded else [])]}
        table = file.read(columns=sorted(roots & set(names))).combine_chunks()
        columns = _read_paths(table, paths, exploded)
        rows = {name: _to_text(path, name, column, table.num_rows) for name, column in columns.items()}
    absent = tuple(name for name, column in columns.items() if column is None)
    return FileRows(path, "parquet", pa.table(rows), absent, tuple(_list_paths(file.schema_arrow)))


def _open_seekable(path: Path) -> IO[bytes] | Path:
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return path
    return io.BytesIO(open_file(path).read())  # compressed as a whole


def _read_paths(
    table: pa.Table, paths: dict[str, tuple[Step, ...]], exploded: tuple[Step, ...]
) -> dict[str, pa.Array | None]:
    lists = _follow(table, exploded) if exploded else None
    if lists is None or not parquet_paths.is_list(lists.type):
        return {name: _follow(table, steps) for name, steps in paths.items()}
    rows, members = parquet_paths.explode(lists)
    columns = {}
    for name, steps in paths.items():
        if steps[: len(exploded)] == exploded:
            columns[name] = parquet_paths.follow(members, steps[len(exploded) :])
        else:
            column = _follow(table, steps)
            columns[name] = None if column is None else column.take(pa.array(rows))
    return columns


def _follow(table: pa.Table, steps: tuple[Step, ...]) -> pa.Array | None:
    if steps[0].key not in table.column_names:
        return None
    column = table[steps[0].key].combine_chunks()
    root = pa.StructArray.from_arrays([column], [steps[0].key])
    return parquet_paths.follow(root, steps)


def _to_text(path: Path, name: str, column: pa.Array | None, rows: int) -> pa.Array:
    if column is None:
        return pa.nulls(rows, pa.string())
    try:
        return parquet_paths.to_text(column)
    except NestedValueError as error:
        first = str(error).split(",")[0]
        raise DataError(
            f"{path} has structs as {name!r}, with {shorten(str(error))}; name the value in them under `columns` in "
            f"the mapping, such as {name}.{first}"
        ) from None


def _list_paths(schema: pa.Schema) -> list[str]:
    names = []
    for field in schema:
        names.append(field.name)
        kind = field.type.value_type if parquet_paths.is_list(field.type) else field.type
        if pa.types.is_struct(kind):
            names += [f"{field.name}.{inner.name}" for inner in kind]
    return names
