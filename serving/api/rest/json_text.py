"""JSON text of a request, parsed with RapidJSON's grammar and errors, as in TensorFlow Serving."""

from __future__ import annotations

import json
import re
from typing import Any

import rapidjson

from serving.api.rest import errors

_NUMBERS = rapidjson.NM_NATIVE | rapidjson.NM_NAN  # an integer beyond 64 bits is a double
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MORE_FOLLOWS = "The document root must not be followed by other values."
_STOCK_TEXTS = {"Invalid encoding in string.": "Invalid escape character in string."}
"""Text of our RapidJSON to that of the stock server's release, for a raw control character."""


def parse(body: bytes) -> dict[str, Any]:
    """The request object; StatusError when `body` holds none.

    NaN and Infinity are numbers. What follows the object is ignored.
    """
    if not body:
        raise errors.empty_document()
    text = body.removeprefix(_BYTE_ORDER_MARK)
    value = _loads(text, len(body) - len(text))
    if not isinstance(value, dict):
        raise errors.document_not_object(value)
    return value


def _loads(text: bytes, start: int) -> Any:
    """The first value of `text`, which begins at offset `start` of the body."""
    try:
        return rapidjson.loads(text, number_mode=_NUMBERS)
    except UnicodeDecodeError:
        return _loads_bytes(text, start)
    except RecursionError as error:
        raise errors.nested_too_deep() from error
    except rapidjson.JSONDecodeError as error:
        offset, _, reason = str(error).removeprefix("Parse error at offset ").partition(": ")
        if reason == _MORE_FOLLOWS:
            return _loads(text[: int(offset)], start)
        raise errors.parse_error(_STOCK_TEXTS.get(reason, reason), start + int(offset)) from error


def _loads_bytes(text: bytes, start: int) -> Any:
    """The first value of a text that is not UTF-8: the stock server takes any bytes in a string."""
    decoder = json.JSONDecoder(parse_int=_number)
    try:
        return decoder.raw_decode(text.decode("utf-8", "surrogateescape").lstrip(" \t\r\n"))[0]
    except (ValueError, RecursionError):
        return _loads(re.sub(rb"[\x80-\xff]", b"?", text), start)  # for RapidJSON's error text


def _number(digits: str) -> int | float:
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)
