"""Read a mapping from a YAML file or from flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tfrec.data.mapping.event_keys import parse_event_tables
from tfrec.data.mapping.keys import RUN_KEYS, TABLE_KEYS, check_table
from tfrec.data.mapping.table_keys import parse_dated, parse_table
from tfrec.data.mapping.tables import Mapping
from tfrec.errors import ConfigError
from tfrec.schema import DATED_TABLES, TABLES


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
    check_table(raw, (*TABLE_KEYS, *RUN_KEYS), f"mapping {source}")


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
    tables = {name: parse_table(raw[name], name, base) for name in ("items", "users") if name in raw}
    dated = {name: parse_dated(raw[name], name, base) for name in DATED_TABLES if name in raw}
    events = parse_event_tables(raw["interactions"], base)
    return Mapping(source, events, tables.get("items"), tables.get("users"), dated)
