"""Keys of a mapping, and the checks that all tables share."""

from __future__ import annotations

from typing import Any

from tfrec.data.readers.options import OPTION_KEYS
from tfrec.errors import ConfigError
from tfrec.settings import suggestion

RUN_KEYS = (
    *("source", "preset", "settings", "split", "label_kinds", "floor", "protected"),
    *("tables", "out", "partitions", "beam"),
)
"""Keys of a shop's file that describe its run."""

TIMESTAMP_FORMATS = ("auto", "seconds", "milliseconds")
REQUIRED = {
    "interactions": ("user_id", "item_id", "timestamp"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
    "item_states": ("item_id", "from"),
    "reviews": ("user_id", "item_id", "timestamp"),
}
OPTIONAL = {"items": ("title",), "reviews": ("user_id", "timestamp")}
"""Columns of REQUIRED that a shop may not have."""
FURTHER = {"items": "extra", "users": "profile", "interactions": "context"}
CATEGORY_KEYS = ("category_levels", "category_paths")
_SHARED_KEYS = ("path", "columns", *OPTION_KEYS, "only", "missing")
_EVENT_KEYS = (
    *(*_SHARED_KEYS, "kind", "kinds", "timestamp_format", "timezone", "order"),
    *("cancelled", "per_session", "context"),
)
TABLE_KEYS = {
    "interactions": _EVENT_KEYS,
    "items": (*_SHARED_KEYS, "extra", "numbers", "vectors", *CATEGORY_KEYS),
    "users": (*_SHARED_KEYS, "profile", "numbers", "vectors"),
    "item_states": (*_SHARED_KEYS, "timestamp_format", "timezone"),
    "reviews": (*_SHARED_KEYS, "timestamp_format", "timezone"),
}
"""Table -> the keys of its part of a mapping."""


def parse_words(raw: Any, where: str, example: str) -> tuple[str, ...]:
    """One word or a list of them; ConfigError for anything else."""
    words = [raw] if isinstance(raw, str) else raw
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ConfigError(f"{where} is {raw!r}, expected a list of words; write {example}")
    return tuple(words)


def check_table(raw: Any, known: tuple[str, ...], where: str) -> None:
    """Raise ConfigError for what is no table, or has an unknown key."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} is {raw!r}, expected a table of settings; it takes {', '.join(known)}")
    unknown = [key for key in raw if key not in known]
    if unknown:
        raise ConfigError(
            f"{where} has unknown {unknown[0]!r}{suggestion(unknown[0], known)}; it takes {', '.join(known)}"
        )
