"""Checks of settings by their types: enumerations, ranges, and values that are read from text."""

from __future__ import annotations

import difflib
import functools
import math
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from tfrec.errors import ConfigError

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def suggestion(value: object, allowed: Iterable[str]) -> str:
    """Part of a sentence with the allowed word that is nearest to the value; "" if none is near."""
    nearest = difflib.get_close_matches(str(value), list(allowed), 1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


class Settings:
    """Base of the dataclasses of settings: it checks the values of their fields."""

    __pydantic_config__ = {"use_attribute_docstrings": True}  # noqa: RUF012  pydantic reads it for the JSON Schema

    def __post_init__(self) -> None:
        """Raise ConfigError for a value outside the enumeration or the range of its field."""
        for name, hint in _hints(typing.cast(Any, type(self))).items():
            check(name, hint, getattr(self, name))


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def check(name: str, hint: Any, value: Any) -> None:
    """Raise ConfigError for a value outside the enumeration or the range of its type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and value not in arguments:
        raise ConfigError(f"`{name}` is {value!r}{suggestion(value, arguments)}; use one of {', '.join(arguments)}")
    if origin is Annotated and not all(_is_within(value, bound) for bound in arguments[1:]):
        expected = " and ".join(_describe(bound) for bound in arguments[1:])
        raise ConfigError(f"`{name}` is {value!r}, expected a number {expected}; correct it or leave it out")
    if origin is tuple and isinstance(value, tuple):
        for each in value:
            check(name, arguments[0], each)


def _is_within(value: Any, bound: Any) -> bool:
    """False for NaN too, which is in no range."""
    match bound:
        case Ge():
            return bool(value >= bound.ge)
        case Gt():
            return bool(value > bound.gt)
        case Le():
            return bool(value <= bound.le)
        case Lt():
            return bool(value < bound.lt)
    raise TypeError(bound)


def _describe(bound: Any) -> str:
    match bound:
        case Ge():
            return f"of {bound.ge} or more"
        case Gt():
            return f"above {bound.gt}"
        case Le():
            return f"of {bound.le} or less"
        case Lt():
            return f"below {bound.lt}"
    raise TypeError(bound)


def parse(name: str, hint: Any, raw: Any) -> Any:
    """Value of a type from the text, or the list of texts, that a YAML file holds for it.

    Raises ConfigError for a text of another type, and for a value that `check` refuses.
    """
    if typing.get_origin(hint) is tuple:
        return parse_all(name, typing.get_args(hint)[0], raw)
    kind = _plain(hint)
    try:
        value = _convert(kind, raw)
    except ValueError:
        raise ConfigError(f"`{name}` is {raw!r}, expected {_WORDS[kind]}; correct it or leave it out") from None
    check(name, hint, value)
    return value


def parse_all(name: str, hint: Any, raw: Any) -> tuple[Any, ...]:
    """Values of a type from a list of texts; one text is a list of one. Errors as in `parse`."""
    if isinstance(raw, dict):
        raise ConfigError(f"`{name}` is {raw!r}, expected a list of values; write [first, second]")
    return tuple(parse(name, hint, each) for each in (raw if isinstance(raw, list) else [raw]))


def _plain(hint: Any) -> type:
    """The type whose values a text is converted to."""
    if typing.get_origin(hint) is Annotated:
        return _plain(typing.get_args(hint)[0])
    return str if typing.get_origin(hint) is Literal else hint


def _convert(kind: type, raw: Any) -> Any:
    """Raises ValueError for a text that is no value of the type."""
    if not isinstance(raw, str):
        raise ValueError(raw)
    if kind is bool:
        if raw.lower() not in ("true", "false"):
            raise ValueError(raw)
        return raw.lower() == "true"
    value = kind(raw)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(raw)
    return value
