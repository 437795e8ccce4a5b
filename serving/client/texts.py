"""Texts of requests as bytes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tfrec.errors import ServingError


def encode(name: str, value: object) -> bytes:
    """UTF-8 of a text; `name` is the argument that an error names.

    Raises ServingError for what is not a text, and for half a character: Python writes bytes of the
    command line that are not UTF-8, and "\\udc00" in JSON, so.
    """
    try:
        return value.encode() if isinstance(value, str) else _refuse(name, value)
    except UnicodeEncodeError:
        return _refuse(name, value)


def strings(name: str, values: Iterable[object]) -> np.ndarray:
    """String tensor [values] of bytes; raises like `encode`."""
    return np.array([encode(name, value) for value in values], object)


def is_blank(text: object) -> bool:
    """True for a text of spaces, control and format characters alone: the model sees no search."""
    return isinstance(text, str) and not any(character.isprintable() and character != " " for character in text)


def _refuse(name: str, value: object) -> bytes:
    raise ServingError(
        f"{name} is {value!r} but must be a text (str) that UTF-8 can write; decode bytes by their own encoding, "
        "and write a number as a text"
    )
