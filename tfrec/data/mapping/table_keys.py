"""Parts of a mapping that describe a table: files, columns, how times are written."""

from __future__ import annotations

import difflib
import zoneinfo
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.mapping.keys import (
    CATEGORY_KEYS,
    FURTHER,
    OPTIONAL,
    REQUIRED,
    TABLE_KEYS,
    TIMESTAMP_FORMATS,
    check_table,
    parse_words,
)
from tfrec.data.mapping.tables import DatedMapping, TableMapping
from tfrec.data.readers.options import parse_options
from tfrec.data.values.texts import CategoryFormat
from tfrec.data.values.zones import names_zone
from tfrec.errors import ConfigError
from tfrec.schema import DATED_TABLES, TABLES


def parse_table(raw: Any, name: str, base: Path) -> TableMapping:
    """Parse the items or users; ConfigError if a key or value is wrong."""
    check_table(raw, TABLE_KEYS[name], name)
    further = {key: parse_further(raw, name, key) for key in (FURTHER[name], "numbers", "vectors")}
    columns = {column: source for group in further.values() for column, source in group.items()}
    shared = parse_shared(raw, name, base, columns)
    return TableMapping(
        **shared,
        numbers=tuple(further["numbers"]),
        vectors=tuple(further["vectors"]),
        category=_parse_category(raw, shared["columns"]),
    )


def parse_dated(raw: Any, name: str, base: Path) -> DatedMapping:
    """Parse a table of DATED_TABLES; ConfigError if a key or value is wrong."""
    check_table(raw, TABLE_KEYS[name], name)
    shared = parse_shared(raw, name, base, {})
    unknown = [column for column in shared["columns"] if column not in DATED_TABLES[name].names]
    if unknown:
        known = ", ".join(DATED_TABLES[name].names)
        raise ConfigError(f"{name}.columns names {unknown[0]!r}, expected one of {known}; remove it")
    return DatedMapping(**shared, **parse_times(raw, name))


def parse_times(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """Parse how times are written, the fields of a DatedMapping."""
    return {
        "timestamp_format": _check_timestamp_format(raw.get("timestamp_format", "auto"), name),
        "timezone": _check_zone(raw.get("timezone", "UTC"), name),
    }


def parse_further(raw: dict[str, Any], name: str, key: str) -> dict[str, str]:
    """Further column -> column of the file, of a list or of pairs."""
    further = raw.get(key, [])
    pairs = {str(column): column for column in further} if isinstance(further, list) else further
    if not isinstance(pairs, dict) or not all(isinstance(source, str) and source for source in pairs.values()):
        raise ConfigError(f"{name}.{key} is {further!r}, expected a list of columns; write [{further}]")
    taken = [*TABLES[name].names, *raw.get("columns", {})] if key not in ("extra", "profile") else []
    for column in pairs:
        if column in taken:
            raise ConfigError(f"{name}.{key} names {column!r}, which is another column of {name}; rename it")
    return pairs


def _parse_category(raw: dict[str, Any], columns: dict[str, tuple[str, ...]]) -> CategoryFormat:
    """Parse how the paths of a category are written; ConfigError if its levels are columns."""
    written = {key: raw[key] for key in CATEGORY_KEYS if key in raw}
    for key, value in written.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"items.{key} is {value!r}, expected what stands between two of them; write {key}: ','")
        if len(columns.get("category", ())) != 1:
            raise ConfigError(f"items.{key} needs `category` to be one column, it is {columns.get('category', 'none')}")
    return CategoryFormat(written.get("category_levels", ""), written.get("category_paths", ""))


def parse_shared(raw: dict[str, Any], name: str, base: Path, further: dict[str, str]) -> dict[str, Any]:
    """Parse what all tables have, the fields of a TableMapping."""
    columns = raw.get("columns", {})
    if not isinstance(columns, dict) or not all(map(_is_column, columns.values())):
        raise ConfigError(
            f"{name}.columns is {columns!r}, expected pairs of a schema column and a file column; "
            "write {user_id: CustomerID}"
        )
    named: dict[str, Any] = {column: column for column in REQUIRED[name]} | further | columns
    groups = {column: tuple(value) if isinstance(value, list) else (value,) for column, value in named.items()}
    return {
        "paths": _parse_paths(raw.get("path"), name, base),
        "columns": groups,
        "options": parse_options(raw, name),
        "only": _parse_only(raw.get("only", {}), name),
        "optional": tuple(column for column in OPTIONAL.get(name, ()) if column not in columns),
        "missing": parse_words(raw.get("missing", []), f"{name}.missing", "[NA, '-']"),
    }


def _parse_paths(raw: Any, name: str, base: Path) -> tuple[Path, ...]:
    paths = raw if isinstance(raw, list) else [raw]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise ConfigError(f"{name}.path is missing; give a file, a folder or a glob of {name}, or a list of these")
    return tuple(base / path for path in paths)


def _parse_only(raw: Any, name: str) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(pattern, str) for pattern in raw.values()):
        raise ConfigError(
            f"{name}.only is {raw!r}, expected pairs of a file column and a regular expression; "
            "write {StockCode: '^[0-9]'}"
        )
    for column, pattern in raw.items():
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{name}.only of {column} is {pattern!r}, expected a regular expression of RE2 ({error}); correct it"
            ) from None
    return dict(raw)


def _is_column(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name for name in names)


def _check_timestamp_format(text: str, table: str) -> str:
    if text not in TIMESTAMP_FORMATS and "%" not in text:
        raise ConfigError(
            f"{table}.timestamp_format is {text!r}, expected one of {', '.join(TIMESTAMP_FORMATS)} or a "
            "strptime pattern; write %d/%m/%Y %H:%M for 31/12/2011 23:59"
        )
    return text


def _check_zone(name: str, table: str) -> str:
    if not names_zone(name):
        nearest = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1, cutoff=0.0)
        raise ConfigError(
            f"{table}.timezone is {name!r}, expected a zone of the IANA database; did you mean {nearest[0]}?"
        )
    return name
