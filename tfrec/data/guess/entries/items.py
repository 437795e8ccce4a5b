"""Entries of the table of items."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tfrec.data.guess.entries.cancellation import item_filter
from tfrec.data.guess.entries.event_columns import second_item_id
from tfrec.data.guess.entries.events import EventsDraft
from tfrec.data.guess.entries.file_entries import file_entries, missing_entry
from tfrec.data.guess.entries.further_columns import free_columns, further_entries, number_entry
from tfrec.data.guess.entries.yaml_text import Entry, percent
from tfrec.data.guess.lexicon import role_score
from tfrec.data.guess.picks import Pick, candidates, is_url, pick
from tfrec.data.guess.sampling.column import Column, count_words, dependence, mean_repeats
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.guess.tables import Tables
from tfrec.data.guess.times import guess_time

_DEPENDS = 0.8  # of a column of the items on the id
_FEWEST_REPEATS = 1.2  # rows per item, below which a dependence proves nothing
_LONGEST_TITLE = 120
_WHOLE_NAME = 0.8  # score of a name that is known as a whole
_NESTED = 0.97
_SEPARATORS = {"/": r"[^/]+(/[^/]+)+", ".": r"[a-z_]+(\.[a-z_]+)+"}
_MOST = 0.5
_ONE_ROOT = 0.9
_SEVERAL = 0.2  # share of values with several categories


def draft_items(tables: Tables, events: Sequence[EventsDraft], files: DataFiles) -> Entry | None:
    """Draft the table of items, from its own file or from the file of the events."""
    if tables.items:
        group, key = tables.items, tables.item_ids.get(tables.items)
        columns = [column for column in group.columns if not key or column.name != key.name]
        return _items_entry(group, key, columns, tables, files) if key else None
    for draft in events:
        if draft.columns.item is None:
            continue
        columns = [c for c in free_columns(draft) if _belongs(draft.columns.item.column, c, _DEPENDS)]
        columns += [c for c in draft.group.columns if role_score(c.name, "price") and c not in columns]
        if any(pick(columns, role) for role in ("title", "description", "category", "brand")):
            return _items_entry(draft.group, draft.columns.item, columns, tables, files)
    return None


def _items_entry(group: Group, key: Pick, columns: list[Column], tables: Tables, files: DataFiles) -> Entry:
    picks: dict[str, Pick] = {}
    for role in ("title", "brand", "price", "description"):
        taken = [each.name for each in picks.values()]
        found = next(
            (c for c in candidates(columns, role) if c.name not in taken and not _names_category(c, role)), None
        )
        if found:
            picks[role] = found
    if "title" not in picks and "description" in picks and picks["description"].column.mean_length < _LONGEST_TITLE:
        picks["title"] = picks.pop("description")
    titled = [each.name for role, each in picks.items() if role != "title" or not role_score(each.name, "category")]
    levels = _category_levels(columns, titled, key)
    if "title" not in picks and (text := _longest_text(columns, [*levels, *(p.name for p in picks.values())])):
        picks["title"] = text
    second = "" if group is tables.items else second_item_id(group, key)
    ids = (key.name, second) if second else key.name
    entries = [Entry("item_id", ids, key.reason, key.doubt), *_title(picks.get("title"))]
    entries += [Entry(role, p.name, _reason(role, p)) for role, p in picks.items() if role != "title"]
    if levels:
        names = tuple(column.name for column in levels.values())
        entries.append(Entry("category", names if len(names) > 1 else names[0], _levels_reason(list(levels.values()))))
    used = {key.name, *levels, *(each.name for each in picks.values())}
    rest = [column for column in columns if column.name not in used]
    further = further_entries(rest, "items")
    mapped_already = {str(entry.value) for entry in further}
    mapped = [key.column, *levels.values()]
    titles = picks["title"].column if "title" in picks else None
    fee_filter = item_filter(key.column, titles)
    return Entry(
        "items",
        (
            *file_entries(group, files),
            Entry("columns", (*entries, *further)),
            *_levels_entry(list(levels.values())),
            *number_entry(column for column in rest if column.name not in mapped_already),
            *([fee_filter] if fee_filter else []),
            *missing_entry(mapped),
        ),
    )


def _names_category(found: Pick, role: str) -> bool:
    """Whether a column is only called a title by its end, as product_category_name is."""
    return role == "title" and found.score < _WHOLE_NAME and role_score(found.name, "category") > 0


def _title(found: Pick | None) -> list[Entry]:
    if found is None:
        return []
    return [Entry("title", found.name, f"such as {found.column.texts.iloc[0][:60]!r}", found.doubt)]


def _category_levels(columns: list[Column], taken: Sequence[str], key: Pick) -> dict[str, Column]:
    """Category columns, the widest first; each value has one value of the level above."""
    found = [each.column for each in candidates(columns, "category") if each.name not in taken]
    found = [column for column in found if 1 < column.distinct < 0.9 * max(key.column.distinct, 3)]
    found = [column for column in found if column.share_matching(r".*\|.*") < _SEVERAL]  # a set, not a path
    if not found:
        return {}
    ordered = sorted(found, key=lambda column: column.distinct)
    levels = [found[0]]
    at = ordered.index(found[0])
    for column in ordered[at + 1 :]:
        if column.distinct > levels[-1].distinct and dependence(column, levels[-1]) >= _NESTED:
            levels.append(column)
    for column in reversed(ordered[:at]):
        if column.distinct < levels[0].distinct and dependence(levels[0], column) >= _NESTED:
            levels.insert(0, column)
    return {column.name: column for column in levels[:4]}


def _levels_reason(levels: list[Column]) -> str:
    sizes = ", ".join(f"{column.distinct:,}" for column in levels)
    return f"{sizes} distinct values" + (", each level within the one before" if len(levels) > 1 else "")


def _levels_entry(levels: list[Column]) -> tuple[Entry, ...]:
    """Separator of the levels within one category column, where ingest does not find it itself."""
    if len(levels) != 1:
        return ()
    for separator, pattern in _SEPARATORS.items():
        roots = levels[0].texts.str.split(separator, regex=False).str[0]
        rows = levels[0].counts.to_numpy()
        has_one_root = pd.Series(rows).groupby(roots.to_numpy()).sum().max() > _ONE_ROOT * rows.sum()
        share = levels[0].share_matching(pattern)
        if share > _MOST and not has_one_root:
            return (Entry("category_levels", separator, f"{percent(share)} of the categories are paths"),)
    return ()


def _longest_text(columns: list[Column], taken: Sequence[str]) -> Pick | None:
    texts = [c for c in columns if c.name not in taken and c.number_share < 0.5 and not is_url(c) and c.distinct > 2]
    texts = [column for column in texts if 8 <= column.mean_length <= _LONGEST_TITLE and guess_time(column) is None]
    best = max(texts, key=lambda column: column.unique_share, default=None)
    if best is None or best.unique_share < 0.3:
        return None
    return Pick(best, 0.3, doubt=f"no column is called a title; {best.name} holds the most different texts")


def _reason(role: str, found: Pick) -> str:
    column = found.column
    if role == "price":
        return f"numbers, half of them under {column.median:g}"
    return count_words(column)


def _belongs(key: Column, column: Column, share: float) -> bool:
    """Whether an id decides a column, or the sample repeats too few ids to tell."""
    return mean_repeats(key) < _FEWEST_REPEATS or dependence(key, column) >= share
