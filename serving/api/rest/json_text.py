"""JSON text as TensorFlow Serving reads and repeats it: by RapidJSON's grammar, numbers, words and indentation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import rapidjson

from serving.request.status import invalid

MAX_ECHO_BYTES = 256

_NUMBERS = rapidjson.NM_NATIVE | rapidjson.NM_NAN  # an integer beyond 64 bits is a double
_MARK = b"\xef\xbb\xbf"
_MORE_FOLLOWS = "The document root must not be followed by other values."
_WORDS = {"Invalid encoding in string.": "Invalid escape character in string."}
"""Of a raw control character: ours to those of the release that the stock server is built with."""


def parse(body: bytes) -> dict[str, Any]:
    """The request object. NaN and Infinity are numbers; what follows the object is ignored."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.removeprefix(_MARK)
    value = _loads(text, len(body) - len(text))
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {echo(value)} Is not object")
    return value


def echo(value: Any) -> str:
    """The value as a refusal repeats it: arrays in a line, objects indented, nothing begun after MAX_ECHO_BYTES."""
    text = b""
    for piece in _pieces(value, 0, ""):
        if piece is None or len(text) >= MAX_ECHO_BYTES:
            break
        text += piece.encode("utf-8", "replace")
    return text.decode()


def _loads(text: bytes, start: int) -> Any:
    """The first value of `text`, which stands at offset `start` of the body."""
    try:
        return rapidjson.loads(text, number_mode=_NUMBERS)
    except UnicodeDecodeError:
        return _loads_bytes(text, start)
    except RecursionError as error:
        raise invalid("JSON Parse error: the values are nested too deep; send a flatter request") from error
    except rapidjson.JSONDecodeError as error:
        offset, _, words = str(error).removeprefix("Parse error at offset ").partition(": ")
        if words == _MORE_FOLLOWS:
            return _loads(text[: int(offset)], start)
        raise invalid(f"JSON Parse error: {_WORDS.get(words, words)} at offset: {start + int(offset)}") from error


def _loads_bytes(text: bytes, start: int) -> Any:
    """Likewise of bytes that are no UTF-8: the stock server takes any in a string."""
    decoder = json.JSONDecoder(parse_int=_number)
    try:
        return decoder.raw_decode(text.decode("utf-8", "surrogateescape").lstrip(" \t\r\n"))[0]
    except (ValueError, RecursionError):
        return _loads(re.sub(rb"[\x80-\xff]", b"?", text), start)  # for RapidJSON's words


def _number(digits: str) -> int | float:
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)


def _pieces(value: Any, depth: int, prefix: str) -> Iterator[str | None]:
    """What RapidJSON's writer puts out at a time; None where it gives up, at a number that is not finite."""
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
