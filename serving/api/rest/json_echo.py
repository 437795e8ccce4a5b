"""JSON values as error texts repeat them: printed by the rules of RapidJSON's pretty writer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_ECHO_BYTES = 256

_JSON_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}


def echo(value: Any) -> str:
    """The value as text: arrays on one line, objects indented, cut at MAX_ECHO_BYTES.

    A piece that has begun is printed whole.
    """
    text = b""
    for piece in _pieces(value, 0, ""):
        if piece is None or len(text) >= MAX_ECHO_BYTES:
            break
        text += piece.encode("utf-8", "replace")
    return text.decode()


def json_type(value: Any) -> str:
    """RapidJSON's name for the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _JSON_TYPES.get(type(value), "Number")


def _pieces(value: Any, depth: int, prefix: str) -> Iterator[str | None]:
    """The pieces that RapidJSON prints one by one; None where it stops, at a non-finite number."""
    if isinstance(value, dict):
        yield f"{prefix}{{"
        for index, (key, element) in enumerate(value.items()):
            yield f"{',' if index else ''}{_line(depth + 1)}{_quoted(key)}"
            yield from _pieces(element, depth + 1, ": ")
        yield f"{_line(depth) if value else ''}}}"
    elif isinstance(value, list):
        yield f"{prefix}["
        for index, element in enumerate(value):
            yield from _pieces(element, depth + 1, ", " if index else "")
        yield "]"
    elif isinstance(value, float) and not math.isfinite(value):
        yield prefix
        yield None
    else:
        yield f"{prefix}{_quoted(value)}"


def _line(depth: int) -> str:
    return "\n" + " " * (4 * depth)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
