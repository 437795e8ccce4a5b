"""Sentences for files that can't be read as the mapping says."""

from __future__ import annotations

import contextlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tfrec.errors import DataError

UNDECODABLE = "\udcff"  # stands for bytes that are not text in the stated encoding
ENCODING_CURE = "set `encoding` in the mapping to the one it was written in, such as latin-1, cp1252 or gb18030"
_CHARACTERS = 160
_COLUMNS = 30
_UNREADABLE = (
    *(pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError, EOFError, OSError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn errors of Arrow and of codecs into a DataError that names the file and the cure."""
    try:
        yield
    except PermissionError:
        raise DataError(f"{path} can't be opened (permission denied); make it readable") from None
    except _UNREADABLE as error:
        reason = shorten(str(error))
        if isinstance(error, UnicodeError) or "UTF8" in reason:
            raise DataError(f"{path} is not utf-8 text ({reason}); {ENCODING_CURE}") from None
        raise DataError(
            f"{path} can't be read ({reason}); correct it, or write the file again if it is cut off"
        ) from None


def empty_file_error(path: Path) -> DataError:
    """Error for a file without any row or header."""
    return DataError(f"{path} is empty, expected a header and rows; write it again or remove it")


def missing_column_error(path: Path, column: str, names: Sequence[str], is_csv: bool) -> DataError:
    """Error for a column that the file, with columns `names`, lacks; names are shown in quotes."""
    existing = ", ".join(repr(shorten(name)) for name in names[:_COLUMNS])
    shown = existing if len(existing) <= 3 * _CHARACTERS else existing[: 3 * _CHARACTERS] + "..."
    cure = _csv_cure(names) if is_csv else _nested_cure(column, names)
    return DataError(
        f"{path} has no column {column!r}, it has {shown}; name the right one under `columns` in the mapping{cure}"
    )


def nested_value_error(where: str, name: str, what: str, keys: str) -> DataError:
    """Error for a column of objects or structs, `what`, that hold the `keys`."""
    first = keys.split(",")[0]
    return DataError(
        f"{where} has {what} as {name!r}, with {shorten(keys)}; name the value in it under `columns` in the mapping, "
        f"such as {name}.{first}"
    )


def _csv_cure(names: Sequence[str]) -> str:
    if any(UNDECODABLE in name for name in names):
        return f", or {ENCODING_CURE}"
    return (
        ", or set `delimiter` if these are several in one, `skip_rows` if the header comes later, or `header` if "
        "these are the first row"
    )


def _nested_cure(column: str, names: Sequence[str]) -> str:
    nested = next((name for name in names if name.endswith(f".{column}")), "")
    rows = nested.partition(".")[0]
    return f", for example {nested}, with `explode: {rows}` if it holds the rows" if nested else ""


def several_values_error(where: str, column: str) -> DataError:
    """Error for a list in a column that holds one value a row."""
    return DataError(
        f"{where} has a list of several values as {column!r}, expected one a row; set `explode: {column}` in the "
        "mapping to make each a row, or name a single value"
    )


def shorten(text: str) -> str:
    """Text as one printable line of limited length, for a message."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]", "?", " ".join(text.split()))
    return line if len(line) <= _CHARACTERS else line[:_CHARACTERS] + "..."
