"""Reading of the files of one table, whatever their formats."""

from __future__ import annotations

import codecs
import logging
import re
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tfrec.data.readers.csv_files import read_csv
from tfrec.data.readers.file_rows import FileRows
from tfrec.data.readers.find import JSON, PARQUET, data_suffix, partition_values
from tfrec.data.readers.json_files import read_json
from tfrec.data.readers.messages import empty_file_error, missing_column_error, translated_errors
from tfrec.data.readers.options import DEFAULT_OPTIONS, FileOptions, Format
from tfrec.data.readers.parquet_files import PARQUET_MAGIC, read_parquet
from tfrec.data.readers.streams import open_file, open_text

_LOGGER = logging.getLogger(__name__)
_READERS = {"csv": read_csv, "json": read_json, "parquet": read_parquet}
_LOG_SECONDS = 5
_JSON_START = re.compile(rb'\s*(\{\s*["}]|\[\s*\{)')


def read_files(
    paths: Sequence[Path],
    columns: Sequence[str],
    required: Collection[str],
    options: FileOptions = DEFAULT_OPTIONS,
    optional: Collection[str] = (),
) -> Iterator[FileRows]:
    """Yield the rows of each file.

    A column may be absent from some of the files: it is null there. DataError if it is absent from
    all and not `optional`, or a `required` one from a CSV or Parquet file.
    """
    absent: dict[str, FileRows] = {}  # column -> the first file without it
    seen: set[str] = set()
    rows, logged = 0, time.monotonic()
    for number, path in enumerate(paths, 1):
        read = read_file(path, columns, options)
        _check_required(read, required)
        absent = {name: read for name in read.absent if read.names} | absent
        seen |= set(read.rows.column_names) - set(read.absent)
        rows += read.rows.num_rows
        if len(paths) > 1 and (time.monotonic() - logged > _LOG_SECONDS or number == len(paths)):
            logged = time.monotonic()
            _LOGGER.info("read %d of %d files, %s rows, the last %s", number, len(paths), f"{rows:,}", path)
        yield read
    for name in [name for name in absent if name not in seen]:
        if name not in optional:
            raise missing_column_error(absent[name].path, name, absent[name].names, absent[name].format == "csv")
        _LOGGER.warning("%s has no column %r; it is null, map another column to it", absent.pop(name).path, name)
    _warn_of_absent(absent)


def read_file(path: Path, columns: Sequence[str], options: FileOptions = DEFAULT_OPTIONS) -> FileRows:
    """Read the named columns of a file, and of its folders' names (dt=2024-03-01).

    DataError for an empty or unknown file, or too many broken rows.
    """
    columns = list(dict.fromkeys(columns))
    with translated_errors(path):
        if path.stat().st_size == 0:
            raise empty_file_error(path)
        read = _READERS[options.format or detect_format(path, options.encoding)](path, columns, options)
    values = {name: value for name, value in partition_values(path).items() if name in read.absent}
    rows = read.rows
    for name, value in values.items():
        rows = rows.set_column(columns.index(name), name, pa.array([value] * rows.num_rows, pa.string()))
    absent = tuple(name for name in read.absent if name not in values)
    return FileRows(read.path, read.format, rows, absent, read.names, read.broken)


def detect_format(path: Path, encoding: str = "utf-8") -> Format:
    """Detect the format by the first bytes, then by the name; CSV if neither tells."""
    with open_file(path) as stream:
        head = stream.peek(len(PARQUET_MAGIC))
    suffix = data_suffix(path)
    if head.startswith(PARQUET_MAGIC) or suffix in PARQUET:
        return "parquet"
    with open_text(path, encoding) as stream:
        head = stream.peek(1)[:4096].removeprefix(codecs.BOM_UTF8)
    return "json" if _JSON_START.match(head) or suffix in JSON else "csv"


def _check_required(read: FileRows, required: Collection[str]) -> None:
    if read.format != "json" and read.names:
        for name in read.absent:
            if name in required:
                raise missing_column_error(read.path, name, read.names, read.format == "csv")


def _warn_of_absent(absent: dict[str, FileRows]) -> None:
    for name, read in absent.items():
        if read.format != "json":
            _LOGGER.warning("%s has no column %r, as other files of the table have; it is null there", read.path, name)
