"""How a shop's own files and columns become ours: the mapping, from a YAML file or from flags.

    interactions:
      path: logs/*.csv.gz            # a file, a folder or a glob, relative to this YAML file
      columns: {user_id: CustomerID, item_id: StockCode, timestamp: InvoiceDate, session: InvoiceNo}
      kind: purchase                 # of every row; or a column `kind`, and `kinds: {their value: ours}`
      cancelled: {column: InvoiceNo, prefix: C}
      timestamp_format: auto         # or seconds, milliseconds, or a strptime pattern such as %d/%m/%Y
      order: position                # instead of a timestamp: the rank of the event in its user's sequence
    items:
      path: products.parquet
      columns: {item_id: sku, title: name, category: [department, aisle]}   # a list: widest level first
      extra: [package_size]          # further columns under their own name
    users:
      path: users.jsonl
      profile: [age, city]

Every table also takes `encoding` (utf-8), `delimiter` (by the file's name: a comma, or a tab for .tsv) and `only`,
pairs of a column of theirs and a regular expression (RE2) that its text must hold: rows of postage stay out.
A required column that is not named keeps its own name. It knows nothing of what the files hold.
"""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from tfrec.errors import ConfigError
from tfrec.schema import EVENT_KINDS, TABLES, Clock

TIMESTAMP_FORMATS = ("auto", "seconds", "milliseconds")
_REQUIRED = {
    "interactions": ("user_id", "item_id", "timestamp"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
}
_FURTHER = {"items": "extra", "users": "profile"}
_SHARED_KEYS = ("path", "columns", "encoding", "delimiter", "only")
_EVENT_KEYS = (*_SHARED_KEYS, "kind", "kinds", "timestamp_format", "order", "cancelled")


@dataclasses.dataclass(frozen=True)
class TableMapping:
    """Where one table lies and what its columns are called there."""

    path: Path  # a file, a folder or a glob
    columns: dict[str, tuple[str, ...]]  # our name -> theirs; several are joined into a category path
    encoding: str = "utf-8"
    delimiter: str = ""  # "": by the file's name
    only: dict[str, str] = dataclasses.field(default_factory=dict)  # their column -> what its text must match


@dataclasses.dataclass(frozen=True)
class Cancelled:
    """A row is a cancellation or return when `column` starts with `prefix`."""

    column: str
    prefix: str


@dataclasses.dataclass(frozen=True)
class EventMapping(TableMapping):
    """The interactions table: one of `kind` and the column `kind` says what the user did."""

    kind: str = ""
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)  # their value -> one of EVENT_KINDS
    timestamp_format: str = "auto"
    clock: Clock = "utc"  # "order": the timestamp column holds ranks
    cancelled: Cancelled | None = None


@dataclasses.dataclass(frozen=True)
class Mapping:
    """A whole shop."""

    source: str  # the YAML file's name, or "flags"
    interactions: EventMapping
    items: TableMapping | None = None
    users: TableMapping | None = None


def read_mapping(path: Path) -> Mapping:
    """The Mapping of a YAML file; its paths are relative to its folder. ConfigError when it can't be one."""
    path = Path(path)
    try:
        # BaseLoader leaves every scalar a string: a column called `no` or `1` stays one.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise ConfigError(f"mapping {path} can't be read ({error.strerror}); give the path of a YAML file") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"mapping {path} is not YAML ({reason}); see examples/online_retail.yaml") from None
    return _mapping(raw, path.parent, path.name)


def mapping_from_flags(
    interactions: str,
    items: str | None = None,
    users: str | None = None,
    columns: Sequence[str] = (),
    kind: str | None = None,
    order: str | None = None,
) -> Mapping:
    """The Mapping of a command line; paths are relative to the working directory.

    `columns` are pairs `user_id=CustomerID`, valid for every table that has such a column, or
    `items.title=Description`, valid for that table alone and needed for profile and extra columns.
    """
    raw: dict[str, dict[str, Any]] = {"interactions": {"path": interactions}}
    raw |= {name: {"path": path} for name, path in (("items", items), ("users", users)) if path}
    for pair in columns:
        _add_column(raw, pair)
    raw["interactions"] |= {key: value for key, value in (("kind", kind), ("order", order)) if value}
    return _mapping(raw, Path(), "flags")


def _add_column(raw: dict[str, dict[str, Any]], pair: str) -> None:
    name, equals, theirs = pair.partition("=")
    table, dot, column = name.partition(".")
    homes = [table] if dot else [home for home in raw if name in TABLES[home].names]
    if not equals or not theirs or not homes or any(home not in raw for home in homes):
        raise ConfigError(
            f"column {pair!r} is not OURS=THEIRS with one of our columns or TABLE.OURS, where TABLE is "
            f"one of {', '.join(raw)}; write user_id=CustomerID, or users.age=Age for a further column"
        )
    for home in homes:
        raw[home].setdefault("columns", {})[column if dot else name] = theirs


def _mapping(raw: Any, base: Path, source: str) -> Mapping:
    _check_keys(raw, tuple(TABLES), f"mapping {source}")
    if "interactions" not in raw:
        raise ConfigError(f"mapping {source} has no `interactions`; name at least their path and columns")
    tables = {name: _table(raw[name], name, base) for name in ("items", "users") if name in raw}
    return Mapping(source, _events(raw["interactions"], base), tables.get("items"), tables.get("users"))


def _table(raw: Any, name: str, base: Path) -> TableMapping:
    _check_keys(raw, (*_SHARED_KEYS, _FURTHER[name]), name)
    further = raw.get(_FURTHER[name], [])
    if not isinstance(further, list):
        raise ConfigError(f"{name}.{_FURTHER[name]} is {further!r}, not a list of columns; write [{further}]")
    return TableMapping(**_shared(raw, name, base, {column: column for column in further}))


def _events(raw: Any, base: Path) -> EventMapping:
    _check_keys(raw, _EVENT_KEYS, "interactions")
    shared = _shared(raw, "interactions", base, {"timestamp": raw["order"]} if "order" in raw else {})
    unknown = [name for name in shared["columns"] if name not in TABLES["interactions"].names]
    if unknown:
        known = ", ".join(TABLES["interactions"].names)
        raise ConfigError(f"interactions.columns names {unknown[0]!r}, which is not one of {known}; leave it out")
    if "order" in raw and "timestamp" in raw.get("columns", {}):
        raise ConfigError("interactions has both `order` and a column `timestamp`; keep the timestamp alone")
    cancelled = raw.get("cancelled")
    if cancelled is not None:
        _check_keys(cancelled, ("column", "prefix"), "interactions.cancelled", all_of_them=True)
    return EventMapping(
        **shared,
        **_kinds(raw, shared["columns"]),
        timestamp_format=_timestamp_format(raw.get("timestamp_format", "auto")),
        clock="order" if "order" in raw else "utc",
        cancelled=Cancelled(**cancelled) if cancelled else None,
    )


def _shared(raw: dict[str, Any], name: str, base: Path, further: dict[str, str]) -> dict[str, Any]:
    encoding, columns = raw.get("encoding", "utf-8"), raw.get("columns", {})
    if not isinstance(raw.get("path"), str) or not raw["path"]:
        raise ConfigError(f"{name}.path is missing; give a file, a folder or a glob of {name}")
    if not isinstance(columns, dict) or not all(map(_is_column, columns.values())):
        raise ConfigError(
            f"{name}.columns is {columns!r}, not pairs of our name and theirs; write {{user_id: CustomerID}}"
        )
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ConfigError(
            f"{name}.encoding is {encoding!r}, which Python does not know; try utf-8, latin-1 or gb18030"
        ) from None
    named: dict[str, Any] = {column: column for column in _REQUIRED[name]} | further | columns
    theirs = {ours: tuple(value) if isinstance(value, list) else (value,) for ours, value in named.items()}
    return {
        "path": base / raw["path"],
        "columns": theirs,
        "encoding": encoding,
        "delimiter": raw.get("delimiter", ""),
        "only": _only(raw.get("only", {}), name),
    }


def _only(raw: Any, name: str) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(pattern, str) for pattern in raw.values()):
        raise ConfigError(
            f"{name}.only is {raw!r}, not pairs of their column and a regular expression; write {{StockCode: '^[0-9]'}}"
        )
    for column, pattern in raw.items():
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{name}.only of {column} is {pattern!r}, which is no regular expression of RE2 ({error}); correct it"
            ) from None
    return dict(raw)


def _is_column(theirs: Any) -> bool:
    names = theirs if isinstance(theirs, list) else [theirs]
    return bool(names) and all(isinstance(name, str) and name for name in names)


def _kinds(raw: dict[str, Any], columns: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    kind, kinds = raw.get("kind", ""), raw.get("kinds", {})
    if bool(kind) == ("kind" in columns):
        raise ConfigError(
            "interactions needs either `kind`, the kind of every row, or a column `kind`, not both or none; "
            "write `kind: purchase` if every row is one"
        )
    for ours in [*([kind] if kind else []), *kinds.values()]:
        if ours not in EVENT_KINDS:
            raise ConfigError(f"kind {ours!r} is not one of {', '.join(EVENT_KINDS)}; choose the nearest")
    return {"kind": kind, "kinds": kinds}


def _timestamp_format(text: str) -> str:
    if text not in TIMESTAMP_FORMATS and "%" not in text:
        raise ConfigError(
            f"interactions.timestamp_format is {text!r}, not one of {', '.join(TIMESTAMP_FORMATS)} or a "
            "strptime pattern; write %d/%m/%Y %H:%M for 31/12/2011 23:59"
        )
    return text


def _check_keys(raw: Any, known: tuple[str, ...], where: str, all_of_them: bool = False) -> None:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} is {raw!r}, not a table of settings; it takes {', '.join(known)}")
    wrong = [key for key in raw if key not in known]
    if wrong or (all_of_them and len(raw) < len(known)):
        found = f"unknown {wrong[0]!r}" if wrong else f"only {', '.join(raw)}"
        raise ConfigError(f"{where} has {found}; it takes {', '.join(known)}")
