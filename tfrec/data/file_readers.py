"""Readers of CSV, JSONL (both also gzipped) and Parquet files: Arrow tables of text."""

from __future__ import annotations

import contextlib
import glob
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR

_CSV = (".csv", ".tsv", ".txt")
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")
_BLOCK_BYTES = 16 << 20  # a row must fit into one block
_MESSAGE_CHARACTERS = 160
_UNREADABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError, EOFError, OSError, zlib.error)


def find_files(path: Path) -> list[Path]:
    """List the data files of a file, folder (any depth) or glob, sorted; DataError if none."""
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [file for file in path.rglob("*") if _is_data_file(file, path)]
    else:
        files = [Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file()]
    if not files:
        raise DataError(f"{path} matches no CSV, JSONL or Parquet file; correct the path in the mapping")
    return sorted(files)


def read_file(path: Path, columns: Sequence[str], encoding: str = "utf-8", delimiter: str = "") -> pa.Table:
    """Read the named columns of a file as text: [rows] strings each, null where empty.

    Timestamps of Parquet stay timestamps. DataError for an empty file, a missing column, a broken
    row, a wrong encoding or an unknown suffix.
    """
    columns = list(dict.fromkeys(columns))
    suffix = _data_suffix(path)
    if suffix not in _CSV + _JSON + _PARQUET:
        known = ", ".join(_CSV + _JSON + _PARQUET)
        raise DataError(f"{path} ends in {suffix!r}, which is none of {known} (.gz may follow); rename or convert it")
    if path.stat().st_size == 0:
        raise _empty_file_error(path)
    if suffix in _PARQUET:
        return _read_parquet(path, columns)
    if suffix in _JSON:
        return _read_json(path, columns, encoding)
    return _read_csv(path, columns, encoding, delimiter or ("\t" if suffix == ".tsv" else ","))


def read_headerless(path: Path, names: Sequence[str], separator: str, encoding: str) -> pa.Table:
    """Read all columns of a text file without header or quotes; errors as in `read_file`."""
    delimiter = "\x1f"  # Arrow needs a single character; no text holds this one
    with _translated_errors(path, encoding):
        text = path.read_text(encoding=encoding).replace(separator, delimiter)
        read = pacsv.ReadOptions(column_names=list(names), use_threads=False, block_size=_BLOCK_BYTES)
        parse = pacsv.ParseOptions(delimiter=delimiter, quote_char=False)
        return pacsv.read_csv(io.BytesIO(text.encode("utf-8")), read, parse, _text_options(names))


def _is_data_file(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    return file.is_file() and not is_hidden and _data_suffix(file) in _CSV + _JSON + _PARQUET


def _data_suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


@contextlib.contextmanager
def _translated_errors(path: Path, encoding: str) -> Iterator[None]:
    """Turn errors of Arrow and of codecs into a DataError that names the file and the cure."""
    try:
        yield
    except _UNREADABLE as error:
        reason = _shorten(str(error))
        if isinstance(error, UnicodeError) or "UTF8" in reason:
            raise DataError(
                f"{path} is not {encoding} text ({reason}); set `encoding` in the mapping to the one it was "
                "written in, such as latin-1, cp1252 or gb18030"
            ) from None
        if "Empty CSV" in reason:
            raise _empty_file_error(path) from None
        raise DataError(
            f"{path} can't be read ({reason}); correct or delete that row, or write the file again if it is cut off"
        ) from None


def _read_csv(path: Path, columns: list[str], encoding: str, delimiter: str) -> pa.Table:
    # With several threads, Arrow's message lacks the number of the broken row.
    read = pacsv.ReadOptions(encoding=encoding, use_threads=False, block_size=_BLOCK_BYTES)
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with _translated_errors(path, encoding):
        try:
            return pacsv.read_csv(path, read, parse, _text_options(columns))
        except KeyError:
            names = pacsv.open_csv(path, read, parse, pacsv.ConvertOptions(check_utf8=False)).schema.names
    raise _missing_column_error(path, columns, names)


def _text_options(columns: Sequence[str]) -> pacsv.ConvertOptions:
    return pacsv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: pa.string() for name in columns},
        null_values=[""],  # "NA", "null" and "nan" can be ids or titles
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )


def _read_json(path: Path, columns: list[str], encoding: str) -> pa.Table:
    values: dict[str, list[str | None]] = {name: [] for name in columns}
    keys: dict[str, None] = {}
    for row in _json_rows(path, encoding):
        keys |= dict.fromkeys(row)
        for name in columns:
            values[name].append(_json_to_text(row.get(name)))
    if keys and not keys.keys() >= set(columns):
        raise _missing_column_error(path, columns, list(keys))
    return pa.table({name: pa.array(values[name], pa.string()) for name in columns})


def _json_rows(path: Path, encoding: str) -> Iterator[dict[str, Any]]:
    open_file = gzip.open if path.name.lower().endswith(".gz") else open
    with _translated_errors(path, encoding), open_file(path, "rt", encoding=encoding) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip("\ufeff \t\r\n"):
                continue
            try:  # numbers stay as written: the id 007.0 is not 7
                row = json.loads(line.lstrip("\ufeff"), parse_int=str, parse_float=str, parse_constant=lambda _: None)
            except json.JSONDecodeError as error:
                raise DataError(f"{path} line {number} is not JSON ({error.msg}); correct or delete the line") from None
            if not isinstance(row, dict):
                raise DataError(f"{path} line {number} is not a JSON object; write one {{...}} a line")
            yield row


def _json_to_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, list):
        return CATEGORY_SEPARATOR.join(filter(None, map(_json_to_text, value))) or None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is not UTF-8


def _read_parquet(path: Path, columns: list[str]) -> pa.Table:
    with _translated_errors(path, "utf-8"):
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if set(columns) <= set(names):
            table = file.read(columns=columns).select(columns)
            return pa.table({name: _to_text(table.column(name)) for name in columns})
    raise _missing_column_error(path, columns, names)


def _to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return column
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("ms"))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), CATEGORY_SEPARATOR)
    elif pa.types.is_floating(column.type):
        column = _to_integers(column)
    column = column.cast(pa.string())
    column.validate(full=True)  # Parquet does not promise that a string is UTF-8
    return pc.if_else(pc.equal(column, ""), None, column)


def _to_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn whole floats into integers: pandas writes ids with missing values as floats."""
    numbers = column.to_numpy()
    is_missing = np.isnan(numbers)
    known = numbers[~is_missing]
    if np.all(np.floor(known) == known) and np.all(np.abs(known) < 2**53):
        filled = np.where(is_missing, 0, numbers).astype("int64")
        return pa.chunked_array([pa.array(filled, mask=is_missing)])
    return pa.chunked_array([pa.array(numbers, mask=is_missing)])


def _empty_file_error(path: Path) -> DataError:
    return DataError(f"{path} is empty, expected a header and rows; write it again or remove it")


def _missing_column_error(path: Path, columns: Sequence[str], names: Sequence[str]) -> DataError:
    missing = next(name for name in columns if name not in names)
    existing = ", ".join(names[:30])
    return DataError(
        f"{path} has no column {missing!r}, it has {_shorten(existing)}; name the right one under `columns` in "
        "the mapping, or set `delimiter` if these are several in one"
    )


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_CHARACTERS else line[:_MESSAGE_CHARACTERS] + "..."
