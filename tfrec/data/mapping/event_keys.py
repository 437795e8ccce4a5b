"""Parts of a mapping that describe interactions: kinds, cancellations, sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrec.data.mapping.keys import TABLE_KEYS, check_table, parse_words
from tfrec.data.mapping.table_keys import parse_further, parse_shared, parse_times
from tfrec.data.mapping.tables import Cancellation, EventMapping
from tfrec.data.values.events import fold
from tfrec.errors import ConfigError
from tfrec.schema import FEEDBACK, KINDS, TABLES
from tfrec.settings import suggestion


def parse_event_tables(raw: Any, base: Path) -> tuple[EventMapping, ...]:
    """Parse the table of interactions, or the list of them; ConfigError if one is wrong."""
    tables = tuple(_parse_events(table, base) for table in (raw if isinstance(raw, list) else [raw]))
    if not tables:
        raise ConfigError("interactions is an empty list, expected one or more tables; give at least path and columns")
    if len({table.clock for table in tables}) > 1:
        raise ConfigError(
            "interactions has `order` in one table and timestamps in another, which have no common order; "
            "use one of the two in all tables"
        )
    return tables


def _parse_events(raw: Any, base: Path) -> EventMapping:
    check_table(raw, TABLE_KEYS["interactions"], "interactions")
    order = {"timestamp": raw["order"]} if "order" in raw else {}
    context = parse_further(raw, "interactions", "context")
    shared = parse_shared(raw, "interactions", base, order | context)
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
        check_table(cancelled, ("column", "prefix"), "interactions.cancelled")
        if not cancelled.get("column"):
            raise ConfigError("interactions.cancelled has no `column`; write {column: cancelled_at}")
    return EventMapping(
        **shared,
        **_parse_kinds(raw, shared["columns"]),
        **parse_times(raw, "interactions"),
        clock="order" if "order" in raw else "utc",
        cancelled=Cancellation(**cancelled) if cancelled else None,
        per_session=_parse_per_session(raw, shared["columns"]),
    )


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


def _parse_per_session(raw: dict[str, Any], columns: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = parse_words(raw.get("per_session", []), "interactions.per_session", "[cancelled, user_id]")
    known = [*columns, *(["cancelled"] if "cancelled" in raw else [])]
    for name in names:
        if name not in known or name == "session":
            raise ConfigError(
                f"interactions.per_session names {name!r}, expected one of {', '.join(known)}; map it, or remove it"
            )
    if names and "session" not in columns:
        raise ConfigError("interactions has `per_session` but no column `session`; map the order's number to it")
    return names
