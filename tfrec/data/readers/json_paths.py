"""Paths into nested values: `items.item_id`, `event_params[key=ga_session_id]`, `_id.$oid`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfrec.schema import CATEGORY_SEPARATOR

ABSENT: Any = object()
"""Value of a path that a row does not have."""

_STEP = re.compile(r"([^.\[\]]+)(?:\[([^=\]]+)=([^\]]*)\])?(?:\.|$)")


@dataclasses.dataclass(frozen=True)
class Step:
    """A key, and of the list there the member whose `select_key` is `select_value`, if named."""

    key: str
    select_key: str = ""
    select_value: str = ""


class NestedValueError(ValueError):
    """A path ends at an object; its message names the keys in it."""


def parse_path(name: str) -> tuple[Step, ...]:
    """Parse a path; a name that is no path is a single step."""
    steps = [Step(*(part or "" for part in match.groups())) for match in _STEP.finditer(name)]
    is_whole = "".join(match.group() for match in _STEP.finditer(name)) == name and not name.endswith(".")
    return tuple(steps) if steps and is_whole else (Step(name),)


def value_at(row: dict[str, Any], name: str, steps: tuple[Step, ...]) -> Any:
    """Value at a path of an object, or ABSENT; a key named as the path comes first."""
    return row[name] if name in row else _follow_all(row, steps)


def explode(row: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    """Yield a copy of the row for each member of the lists on a path, with the member in its place.

    An empty list has the one member None. Lists behind a selected member stay.
    """
    if isinstance(row, list):
        for member in row or [None]:
            yield from explode(member, steps)
    elif steps and isinstance(row, dict) and steps[0].key in row and not steps[0].select_key:
        key = steps[0].key
        for member in explode(row[key], steps[1:]):
            yield row if member is row[key] else row | {key: member}
    else:
        yield row


def drop_list(row: Any, steps: tuple[Step, ...]) -> Any:
    """The row with None in place of the first list on a path."""
    if isinstance(row, list):
        return None
    if not steps or not isinstance(row, dict) or steps[0].key not in row or steps[0].select_key:
        return row
    inner = drop_list(row[steps[0].key], steps[1:])
    return row if inner is row[steps[0].key] else row | {steps[0].key: inner}


def first_known(row: dict[str, Any], paths: Mapping[str, tuple[Step, ...]]) -> str:
    """The first of several paths that has a value in a row, or else the last."""
    names = list(paths)
    return next((name for name in names[:-1] if _is_known(value_at(row, name, paths[name]))), names[-1])


def _is_known(value: Any) -> bool:
    return any(map(_is_known, value)) if isinstance(value, list) else value not in (None, "", ABSENT)


def has_several(value: Any) -> bool:
    """Whether a value is a list with several known members."""
    return isinstance(value, list) and sum(map(_is_known, value)) > 1


def to_text(value: Any) -> str | None:
    """Text of a value as written, null if empty; NestedValueError for an object.

    Lists are joined to a category path; of lists in a list the longest, the first of equals.
    MongoDB's {"$oid": ...} and Google Analytics' {"string_value": ..., "int_value": ...} are the
    one value in them.
    """
    if value is None or value == "" or value is ABSENT:
        return None
    if isinstance(value, list):
        inner: list[list[Any]] = [member for member in value if isinstance(member, list)]
        levels = max(inner, key=lambda member: len(member)) if inner else value
        return CATEGORY_SEPARATOR.join(filter(None, map(to_text, levels))) or None
    if isinstance(value, dict):
        return to_text(_unwrap(value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is not UTF-8


def is_typed(keys: list[str]) -> bool:
    """Whether an object of these keys holds one value under the name of its type."""
    return bool(keys) and (all(key.endswith("_value") for key in keys) or (len(keys) == 1 and keys[0][:1] == "$"))


def _follow_all(value: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        value = _follow(value, step)
        if value is ABSENT:
            return ABSENT
    return value


def _follow(value: Any, step: Step) -> Any:
    if isinstance(value, list):
        followed = [found for member in value if (found := _follow(member, step)) is not ABSENT]
        return followed or ABSENT
    if not isinstance(value, dict) or step.key not in value:
        return ABSENT
    return _select(value[step.key], step) if step.select_key else value[step.key]


def _select(members: Any, step: Step) -> Any:
    for member in members if isinstance(members, list) else []:
        if isinstance(member, dict) and str(member.get(step.select_key)) == step.select_value:
            return member.get("value", member)
    return ABSENT


def _unwrap(value: dict[str, Any]) -> Any:
    if not is_typed(list(value)):
        raise NestedValueError(", ".join(map(str, value)))
    return next((one for one in value.values() if one is not None), None)
