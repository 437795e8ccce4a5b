"""Nested JSON rows as flat columns, named by the paths of a mapping."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tfrec.data.guess.lexicon import role_score
from tfrec.data.readers.json_paths import Step, explode
from tfrec.schema import CATEGORY_SEPARATOR

_ROW_ROLES = ("user_id", "session", "kind")
_FITS = 0.5


def parse_json_rows(text: str, most: int) -> list[dict[str, Any]]:
    """Parse the objects of JSON lines, of an array or of a sequence; a cut object ends it."""
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda _: None)
    rows: list[dict[str, Any]] = []
    at, end = 0, len(text)
    while len(rows) < most:
        while at < end and text[at] in "\ufeff \t\r\n,[]":
            at += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            break
        if isinstance(value, dict):
            rows.append(value)
    return rows


def list_to_explode(rows: list[dict[str, Any]]) -> str:
    """The list of objects whose elements are the rows: the items of an order; "" if none."""
    if len(rows) == 1 and (only := [key for key, value in rows[0].items() if is_objects(value)]):
        return only[0]  # {"orders": [{...}, ...]}
    if not any(role_score(key, role) >= _FITS for row in rows[:50] for key in row for role in _ROW_ROLES):
        return ""
    scores: Counter[str] = Counter()
    for row in rows[:1000]:
        for key, value in row.items():
            if is_objects(value) and not is_key_value(value):
                names = {name for element in value for name in element}
                score = max((role_score(name, "item_id") for name in names), default=0.0)
                scores[key] = max(scores[key], round(1000 * (score + role_score(key, "item_id"))))
    return next((key for key, score in scores.most_common(1) if score >= 500), "")


def flatten(rows: list[dict[str, Any]], path: str) -> pd.DataFrame:
    """One text column for each path, a row for each element of the exploded list."""
    steps = (Step(path),) if path else ()
    flat = [dict(_walk(exploded, "")) for row in rows for exploded in (explode(row, steps) if steps else (row,))]
    return none_where_missing(pd.DataFrame(flat, dtype=object))


def none_where_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with None in place of NaN."""
    return frame.astype(object).replace({np.nan: None})


def is_objects(value: Any) -> bool:
    """Whether a value is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


def is_key_value(elements: list[dict[str, Any]]) -> bool:
    """Whether a list of objects is a table of keys and values, such as GA4's event_params."""
    return all({"key", "value"} <= element.keys() for element in elements)


def _walk(value: Any, path: str) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$number"):
        yield path, to_text(next(iter(value.values())))  # MongoDB writes a number so
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else key)
    elif is_objects(value):
        if is_key_value(value):
            for element in value:
                yield f"{path}[key={element['key']}]", _first_known(element["value"])
    else:
        yield path, to_text(value)


def _first_known(value: Any) -> str | None:
    values = value.values() if isinstance(value, dict) else [value]
    return next((text for inner in values if (text := to_text(inner)) is not None), None)


def to_text(value: Any) -> str | None:
    """Text of a scalar or of a list of scalars, None if it is missing."""
    if value is None or value == "":
        return None
    if isinstance(value, list):
        return CATEGORY_SEPARATOR.join(text for element in value if (text := to_text(element))) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
