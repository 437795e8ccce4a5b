"""Reader of Parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
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
        table = file.read(columns=sorted(roots & set(names)))
        columns = {name: _to_text(path, name, column) for name, column in _read_paths(table, paths, exploded)}
    absent = tuple(name for name, column in columns.items() if column is None)
    size = next((len(column) for column in columns.values() if column is not None), file.metadata.num_rows)
    rows = {name: pa.nulls(size, pa.string()) if column is None else column for name, column in columns.items()}
    return FileRows(path, "parquet", pa.table(rows), absent, tuple(_list_paths(file.schema_arrow)))


def _open_seekable(path: Path) -> IO[bytes] | Path:
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return path
    return io.BytesIO(open_file(path).read())  # compressed as a whole


def _read_paths(
    table: pa.Table, paths: dict[str, tuple[Step, ...]], exploded: tuple[Step, ...]
) -> Iterator[tuple[str, pa.Array | None]]:
    """Yield the values at each path, one by one to spare memory; None where there is no such path."""
    lists = _follow(table, exploded) if exploded else None
    is_exploded = lists is not None and parquet_paths.is_list(lists.type)
    rows, members = parquet_paths.explode(lists) if is_exploded else (np.arange(0), lists)
    for name, steps in paths.items():
        if is_exploded and steps[: len(exploded)] == exploded:
            yield name, parquet_paths.follow(members, steps[len(exploded) :])
        else:
            column = _follow(table, steps)
            yield name, column.take(pa.array(rows)) if is_exploded and column is not None else column


def _follow(table: pa.Table, steps: tuple[Step, ...]) -> pa.Array | None:
    if steps[0].key not in table.column_names:
        return None
    column = table[steps[0].key].combine_chunks()
    root = pa.StructArray.from_arrays([column], [steps[0].key])
    return parquet_paths.follow(root, steps)


def _to_text(path: Path, name: str, column: pa.Array | None) -> pa.Array | None:
    if column is None:
        return None
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
