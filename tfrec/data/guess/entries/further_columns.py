"""Entries of further columns of items and users: categories that the model learns from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfrec.data.guess.entries.events import EventsDraft
from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.headerless import is_placeholder
from tfrec.data.guess.lexicon import last_part, role_score
from tfrec.data.guess.picks import is_url
from tfrec.data.guess.sampling.column import Column, count_words
from tfrec.data.guess.times import guess_time
from tfrec.schema import TABLES

_MOST_FURTHER = 16
_MOST_CATEGORIES = 20_000
_LONGEST_CATEGORY = 60
_FEWEST_NUMBERS = 10
_EVENT_ROLES = ("user_id", "session", "timestamp", "quantity", "line_total", "status", "cancelled", "query", "text")
_RESERVED = ("id", "user_id", "item_id", "timestamp", "kind")


def further_entries(columns: Iterable[Column], table: str) -> list[Entry]:
    """Entries of categories with few values, under names that a model can have."""
    named = [(_safe_name(column.name), column) for column in columns if _is_category(column)]
    free = [(name, column) for name, column in named if name and name not in TABLES[table].names]
    kept = sorted(free, key=lambda pair: -pair[1].known_share)[:_MOST_FURTHER]
    entries = {
        name: Entry(name, column.name, count_words(column)) for name, column in reversed(free) if (name, column) in kept
    }
    return list(reversed(entries.values()))


def number_entry(columns: Iterable[Column]) -> tuple[Entry, ...]:
    """Entry of further columns of measured numbers, such as weights."""
    named = [(_safe_name(column.name), column) for column in columns if _is_measured(column)]
    numbers = {
        name: Entry(name, column.name, f"half of them under {column.median:g}") for name, column in named if name
    }
    return (Entry("numbers", tuple(numbers.values())[:_MOST_FURTHER]),) if numbers else ()


def _is_measured(column: Column) -> bool:
    """Whether a column holds many different numbers that are no ids."""
    is_id = column.whole_share > 0.99 and (column.unique_share > 0.9 or role_score(column.name, "item_id") > 0)
    is_number = column.number_share > 0.95 and column.known_share > 0.2 and column.distinct >= _FEWEST_NUMBERS
    return is_number and not is_id and guess_time(column) is None


def _is_category(column: Column) -> bool:
    is_few = 2 <= column.distinct <= _MOST_CATEGORIES and (column.unique_share <= 0.5 or column.known <= 20)
    is_short = column.mean_length <= _LONGEST_CATEGORY and not is_url(column)
    is_measured = _is_measured(column) and column.whole_share < 0.9
    is_constant = int(column.counts.iloc[0]) == len(column.values)
    return is_few and is_short and not is_measured and not is_constant and guess_time(column) is None


def _safe_name(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_]+", "_", last_part(name)).strip("_").lower()
    return "" if safe in _RESERVED or is_placeholder(name) else safe


def free_columns(draft: EventsDraft) -> list[Column]:
    """Columns without a role in an event, by their names too: a status is not an item's."""
    free = [column for column in draft.group.columns if column.name not in draft.columns.used]
    return [column for column in free if not any(role_score(column.name, role) for role in _EVENT_ROLES)]
