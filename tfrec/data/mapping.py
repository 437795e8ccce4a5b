"""Mapping of a shop's files and columns to the schema, from a YAML file or from flags.

    interactions:
      path: logs/*.csv.gz            # a file, folder or glob, or a list; relative to this YAML file
      columns: {user_id: CustomerID, item_id: StockCode, timestamp: InvoiceDate}
      kind: purchase                 # of all rows; or a column `kind` and `kinds: {buy: purchase}`
      cancelled: {column: InvoiceNo, prefix: C}  # without a prefix: any value but false, 0 or no
      per_session: [cancelled, user_id]  # stands on one line of an order and holds for all of them
      timestamp_format: auto         # or seconds, milliseconds, a strptime pattern: %d/%m/%Y
      timezone: Europe/Berlin        # of times that name no zone; default UTC
      context: [store, device]       # further columns of an event
      order: position                # without timestamps: an event's rank among its user's events;
                                     # or `row number`, the order of the rows in the files
    items:
      path: products.parquet
      columns: {item_id: sku, title: name, category: [department, aisle]}  # widest first
      extra: [package_size]          # further columns, names unchanged
      numbers: [weight]              # further columns of numbers
      vectors: {image: embedding}    # further columns of lists of numbers, renamed here
      category_paths: ','            # of several paths in a cell; category_levels: '/' in a path
    users:
      path: users.jsonl
      profile: [age, city]
    item_states: {path: prices.csv, columns: {from: valid_from, price: price, in_stock: stock}}
    reviews: {path: reviews.csv, columns: {stars: rating, text: body}}

Every table also takes the options of its files (readers/options.py: `format`, `encoding`,
`delimiter`, `header` ...), `missing` (further words for a missing value) and `only`. `only` maps a
column of the file to a regular expression (RE2): rows whose text does not match, such as postage,
are not read. A required column without an entry keeps its name. A list of columns gives the levels
of a category; of any other column, the first known value counts: `user_id: [account, cookie]`.
`interactions` may be a list of such tables, for example orders in one file and clicks in another.

The same file may describe the run that trains on the tables; pipeline/run_file.py reads RUN_KEYS.
"""

from __future__ import annotations

import dataclasses
import difflib
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from tfrec.data.readers.options import DEFAULT_OPTIONS, OPTION_KEYS, FileOptions, parse_options
from tfrec.data.values.events import fold
from tfrec.data.values.texts import WHOLE_CELLS, CategoryFormat
from tfrec.data.values.zones import names_zone
from tfrec.errors import ConfigError
from tfrec.schema import DATED_TABLES, FEEDBACK, KINDS, TABLES, Clock
from tfrec.settings import suggestion

RUN_KEYS = (
    *("source", "preset", "settings", "label_kinds", "floor", "protected"),
    *("tables", "out", "partitions", "beam"),
)
"""Keys of a shop's file that describe its run."""

ROW_NUMBER = "row number"
"""Value of `order` that takes the rows as they stand in the files."""

TIMESTAMP_FORMATS = ("auto", "seconds", "milliseconds")
_REQUIRED = {
    "interactions": ("user_id", "item_id", "timestamp"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
    "item_states": ("item_id", "from"),
    "reviews": ("user_id", "item_id", "timestamp"),
}
_OPTIONAL = {"items": ("title",), "reviews": ("user_id", "timestamp")}
"""Columns of _REQUIRED that a shop may not have."""
_FURTHER = {"items": "extra", "users": "profile", "interactions": "context"}
_CATEGORY_KEYS = ("category_levels", "category_paths")
_SHARED_KEYS = ("path", "columns", *OPTION_KEYS, "only", "missing")
_EVENT_KEYS = (
    *(*_SHARED_KEYS, "kind", "kinds", "timestamp_format", "timezone", "order"),
    *("cancelled", "per_session", "context"),
)
TABLE_KEYS = {
    "interactions": _EVENT_KEYS,
    "items": (*_SHARED_KEYS, "extra", "numbers", "vectors", *_CATEGORY_KEYS),
    "users": (*_SHARED_KEYS, "profile", "numbers", "vectors"),
    "item_states": (*_SHARED_KEYS, "timestamp_format", "timezone"),
    "reviews": (*_SHARED_KEYS, "timestamp_format", "timezone"),
}
"""Table -> the keys of its part of a mapping."""


@dataclasses.dataclass(frozen=True)
class TableMapping:
    """Files of a table and the names of its columns in them."""

    paths: tuple[Path, ...]  # files, folders or globs
    columns: dict[str, tuple[str, ...]]
    """Schema column -> file columns: the levels of a category, else the first known counts."""
    options: FileOptions = DEFAULT_OPTIONS
    only: dict[str, str] = dataclasses.field(default_factory=dict)
    """File column -> regular expression that its text must match."""
    missing: tuple[str, ...] = ()
    """Further words that mean a missing value."""
    numbers: tuple[str, ...] = ()  # further columns that are numbers
    vectors: tuple[str, ...] = ()  # further columns that are lists of numbers
    optional: tuple[str, ...] = ()
    """Schema columns that the mapping does not name and the files may lack."""
    category: CategoryFormat = WHOLE_CELLS


@dataclasses.dataclass(frozen=True)
class Cancellation:
    """A row is a cancellation or return if its `column` starts with `prefix`.

    Without a prefix: if the column holds any value but false, 0 or no.
    """

    column: str
    prefix: str = ""


@dataclasses.dataclass(frozen=True)
class DatedMapping(TableMapping):
    """Files of a table with times."""

    timestamp_format: str = "auto"
    timezone: str = "UTC"  # of times that name none


@dataclasses.dataclass(frozen=True)
class EventMapping(DatedMapping):
    """Files of the interactions table; the event kind comes from `kind` or the column `kind`."""

    kind: str = ""
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    """Value in the file -> one of KINDS."""
    clock: Clock = "utc"  # "order": the timestamp column holds ranks
    cancelled: Cancellation | None = None
    per_session: tuple[str, ...] = ()
    """Columns of the schema, or `cancelled`, that hold for a session when any row has them."""


@dataclasses.dataclass(frozen=True)
class Mapping:
    """Mapping of all tables of a shop."""

    source: str  # the YAML file's name, or "flags"
    interactions: tuple[EventMapping, ...]
    """At least one, all of one clock; their rows together are the table."""
    items: TableMapping | None = None
    users: TableMapping | None = None
    dated: dict[str, DatedMapping] = dataclasses.field(default_factory=dict)
    """Name of schema.DATED_TABLES -> its files."""


def read_mapping(path: Path) -> Mapping:
    """Read a YAML file; paths are relative to its folder. ConfigError if it is no valid mapping."""
    path = Path(path)
    raw = read_yaml(path)
    check_keys(raw, path.name)
    return parse_mapping(raw, path.parent, path.name)


def read_yaml(path: Path) -> Any:
    """Read a YAML file with every scalar a string; ConfigError if it is no YAML."""
    try:
        # BaseLoader keeps every scalar a string, so columns can be called `no` or `1`.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise ConfigError(f"mapping {path} can't be read ({error.strerror}); give the path of a YAML file") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"mapping {path} is not YAML ({reason}); see examples/online_retail.yaml") from None


class _StrictLoader(yaml.BaseLoader):
    """BaseLoader that refuses a key that stands twice in one table."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raise YAMLError for a repeated key, which PyYAML would replace in silence."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def check_keys(raw: Any, source: str) -> None:
    """Raise ConfigError for a top-level key that is neither a table nor a key of the run."""
    _check_keys(raw, (*TABLE_KEYS, *RUN_KEYS), f"mapping {source}")


def mapping_from_flags(
    interactions: str,
    items: str | None = None,
    users: str | None = None,
    *,
    columns: Sequence[str] = (),
    kind: str | None = None,
    order: str | None = None,
) -> Mapping:
    """Make a mapping from command-line flags; paths are relative to the working directory.

    `columns` are pairs `user_id=CustomerID`, for every table with that column, or
    `items.title=Description`, for that table alone; profile and extra columns need this form.
    """
    raw: dict[str, dict[str, Any]] = {"interactions": {"path": interactions}}
    raw |= {name: {"path": path} for name, path in (("items", items), ("users", users)) if path}
    for pair in columns:
        _add_column(raw, pair)
    raw["interactions"] |= {key: value for key, value in (("kind", kind), ("order", order)) if value}
    return parse_mapping(raw, Path(), "flags")


def _add_column(raw: dict[str, dict[str, Any]], pair: str) -> None:
    name, equals, source_column = pair.partition("=")
    table, dot, column = name.partition(".")
    tables = [table] if dot else [table for table in raw if name in TABLES[table].names]
    if not equals or not source_column or not tables or any(table not in raw for table in tables):
        raise ConfigError(
            f"--column is {pair!r}, expected COLUMN=FILE_COLUMN or TABLE.COLUMN=FILE_COLUMN, where TABLE is one "
            f"of {', '.join(raw)}; write user_id=CustomerID, or users.age=Age for a further column"
        )
    for table in tables:
        raw[table].setdefault("columns", {})[column if dot else name] = source_column


def parse_mapping(raw: Any, base: Path, source: str) -> Mapping:
    """Parse the tables of a file; paths are relative to `base`. ConfigError if a table is wrong."""
    if "interactions" not in raw:
        raise ConfigError(f"mapping {source} has no `interactions`; name at least their path and columns")
    tables = {name: _parse_table(raw[name], name, base) for name in ("items", "users") if name in raw}
    dated = {name: _parse_dated(raw[name], name, base) for name in DATED_TABLES if name in raw}
    events = _parse_event_tables(raw["interactions"], base)
    return Mapping(source, events, tables.get("items"), tables.get("users"), dated)


def _parse_event_tables(raw: Any, base: Path) -> tuple[EventMapping, ...]:
    tables = tuple(_parse_events(table, base) for table in (raw if isinstance(raw, list) else [raw]))
    if not tables:
        raise ConfigError("interactions is an empty list, expected one or more tables; give at least path and columns")
    if len({table.clock for table in tables}) > 1:
        raise ConfigError(
            "interactions has `order` in one table and timestamps in another, which have no common order; "
            "use one of the two in all tables"
        )
    return tables


def _parse_table(raw: Any, name: str, base: Path) -> TableMapping:
    _check_keys(raw, TABLE_KEYS[name], name)
    further = {key: _parse_further(raw, name, key) for key in (_FURTHER[name], "numbers", "vectors")}
    columns = {column: source for group in further.values() for column, source in group.items()}
    shared = _parse_shared(raw, name, base, columns)
    return TableMapping(
        **shared,
        numbers=tuple(further["numbers"]),
        vectors=tuple(further["vectors"]),
        category=_parse_category(raw, shared["columns"]),
    )


def _parse_dated(raw: Any, name: str, base: Path) -> DatedMapping:
    _check_keys(raw, TABLE_KEYS[name], name)
    shared = _parse_shared(raw, name, base, {})
    unknown = [column for column in shared["columns"] if column not in DATED_TABLES[name].names]
    if unknown:
        known = ", ".join(DATED_TABLES[name].names)
        raise ConfigError(f"{name}.columns names {unknown[0]!r}, expected one of {known}; remove it")
    return DatedMapping(**shared, **_parse_times(raw, name))


def _parse_times(raw: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "timestamp_format": _check_timestamp_format(raw.get("timestamp_format", "auto"), name),
        "timezone": _check_zone(raw.get("timezone", "UTC"), name),
    }


def _parse_further(raw: dict[str, Any], name: str, key: str) -> dict[str, str]:
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
    written = {key: raw[key] for key in _CATEGORY_KEYS if key in raw}
    for key, value in written.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"items.{key} is {value!r}, expected what stands between two of them; write {key}: ','")
        if len(columns.get("category", ())) != 1:
            raise ConfigError(f"items.{key} needs `category` to be one column, it is {columns.get('category', 'none')}")
    return CategoryFormat(written.get("category_levels", ""), written.get("category_paths", ""))


def _parse_events(raw: Any, base: Path) -> EventMapping:
    _check_keys(raw, TABLE_KEYS["interactions"], "interactions")
    order = {"timestamp": raw["order"]} if "order" in raw else {}
    context = _parse_further(raw, "interactions", "context")
    shared = _parse_shared(raw, "interactions", base, order | context)
    if raw.get("kind") == "search" and "item_id" not in raw.get("columns", {}):
        shared["optional"] = ("item_id",)
    known = (*TABLES["interactions"].names, *FEEDBACK.names)
    unknown = [name for name in shared["columns"] if name not in (*known, *context)]
    if unknown:
        raise ConfigError(
            f"interactions.columns names {unknown[0]!r}{suggestion(unknown[0], known)}, expected one of "
            f"{', '.join(known)}; remove it, or name it under `context`"
        )
    if "order" in raw and "timestamp" in raw.get("columns", {}):
        raise ConfigError("interactions has both `order` and a column `timestamp`; remove `order`")
    cancelled = raw.get("cancelled")
    if cancelled is not None:
        _check_keys(cancelled, ("column", "prefix"), "interactions.cancelled")
        if not cancelled.get("column"):
            raise ConfigError("interactions.cancelled has no `column`; write {column: cancelled_at}")
    return EventMapping(
        **shared,
        **_parse_kinds(raw, shared["columns"]),
        **_parse_times(raw, "interactions"),
        clock="order" if "order" in raw else "utc",
        cancelled=Cancellation(**cancelled) if cancelled else None,
        per_session=_parse_per_session(raw, shared["columns"]),
    )


def _parse_shared(raw: dict[str, Any], name: str, base: Path, further: dict[str, str]) -> dict[str, Any]:
    columns = raw.get("columns", {})
    if not isinstance(columns, dict) or not all(map(_is_column, columns.values())):
        raise ConfigError(
            f"{name}.columns is {columns!r}, expected pairs of a schema column and a file column; "
            "write {user_id: CustomerID}"
        )
    named: dict[str, Any] = {column: column for column in _REQUIRED[name]} | further | columns
    groups = {column: tuple(value) if isinstance(value, list) else (value,) for column, value in named.items()}
    return {
        "paths": _parse_paths(raw.get("path"), name, base),
        "columns": groups,
        "options": parse_options(raw, name),
        "only": _parse_only(raw.get("only", {}), name),
        "optional": tuple(column for column in _OPTIONAL.get(name, ()) if column not in columns),
        "missing": _parse_words(raw.get("missing", []), f"{name}.missing", "[NA, '-']"),
    }


def _parse_paths(raw: Any, name: str, base: Path) -> tuple[Path, ...]:
    paths = raw if isinstance(raw, list) else [raw]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise ConfigError(f"{name}.path is missing; give a file, a folder or a glob of {name}, or a list of these")
    return tuple(base / path for path in paths)


def _parse_words(raw: Any, where: str, example: str) -> tuple[str, ...]:
    words = [raw] if isinstance(raw, str) else raw
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ConfigError(f"{where} is {raw!r}, expected a list of words; write {example}")
    return tuple(words)


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


def _parse_kinds(raw: dict[str, Any], columns: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    kind, kinds = raw.get("kind", ""), raw.get("kinds", {})
    if bool(kind) == ("kind" in columns):
        raise ConfigError(
            "interactions needs either `kind`, the kind of every row, or a column `kind`, not both or none; "
            "write `kind: purchase` if every row is one"
        )
    for name in [*([kind] if kind else []), *kinds.values()]:
        if name not in KINDS:
            raise ConfigError(
                f"kind is {name!r}{suggestion(name, KINDS)}, expected one of {', '.join(KINDS)}; use the nearest"
            )
    folded: dict[str, str] = {}
    for value, name in kinds.items():
        if folded.setdefault(fold(value), name) != name:
            raise ConfigError(f"kinds maps {value!r} to several kinds, as case and blanks do not count; keep one")
    return {"kind": kind, "kinds": kinds}


def _check_timestamp_format(text: str, table: str) -> str:
    if text not in TIMESTAMP_FORMATS and "%" not in text:
        raise ConfigError(
            f"{table}.timestamp_format is {text!r}, expected one of {', '.join(TIMESTAMP_FORMATS)} or a "
            "strptime pattern; write %d/%m/%Y %H:%M for 31/12/2011 23:59"
        )
    return text


def _parse_per_session(raw: dict[str, Any], columns: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = _parse_words(raw.get("per_session", []), "interactions.per_session", "[cancelled, user_id]")
    known = [*columns, *(["cancelled"] if "cancelled" in raw else [])]
    for name in names:
        if name not in known or name == "session":
            raise ConfigError(
                f"interactions.per_session names {name!r}, expected one of {', '.join(known)}; map it, or remove it"
            )
    if names and "session" not in columns:
        raise ConfigError("interactions has `per_session` but no column `session`; map the order's number to it")
    return names


def _check_zone(name: str, table: str) -> str:
    if not names_zone(name):
        nearest = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1, cutoff=0.0)
        raise ConfigError(
            f"{table}.timezone is {name!r}, expected a zone of the IANA database; did you mean {nearest[0]}?"
        )
    return name


def _check_keys(raw: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} is {raw!r}, expected a table of settings; it takes {', '.join(known)}")
    unknown = [key for key in raw if key not in known]
    if unknown:
        raise ConfigError(
            f"{where} has unknown {unknown[0]!r}{suggestion(unknown[0], known)}; it takes {', '.join(known)}"
        )
