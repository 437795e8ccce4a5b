"""Settings of a Config by their dotted names in a shop's file, such as `train.epochs`."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfrec.config import Config, with_settings
from tfrec.errors import ConfigError
from tfrec.settings import parse, parse_all, suggestion

FILLED = (
    "clock",
    *(f"features.{name}" for name in ("profile_columns", "item_columns", "item_numbers", "item_vectors")),
    *("features.vocabulary", "features.lowercase"),
)
"""Settings that the pipeline fills from the tables and the BERT."""
SPACE = "tune.space"
"""The one setting that is a table: setting -> values to try."""


def setting_types() -> dict[str, Any]:
    """Dotted name -> type of each setting that a user may choose."""
    return {name: hint for name, hint in _types(Config, "") if name not in FILLED}


def with_named(config: Config, raw: Mapping[str, Any]) -> Config:
    """Config with new values, given as a YAML file's texts by dotted names.

    Raises ConfigError for an unknown setting, with the nearest one, and for a value of another
    type.
    """
    return with_parsed(config, parse_named(raw))


def parse_named(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Values of settings from a YAML file's texts by dotted names; errors as in `with_named`."""
    types, values = setting_types(), {}
    for name, text in raw.items():
        _check_name(name, types)
        values[name] = _parse_space(text, types) if name == SPACE else parse(name, types[name], text)
    return values


def with_parsed(config: Config, values: Mapping[str, Any]) -> Config:
    """Config with new values by dotted names; ConfigError if they do not fit the others."""
    return typing.cast(Config, _replace(config, values))


def check_search(config: Config) -> None:
    """Raise ConfigError for a search without settings, or over values that a setting can't take."""
    if config.tune.max_trials and not config.tune.space:
        raise ConfigError(f"tune.max_trials is {config.tune.max_trials} but tune.space names no setting; name one")
    for name, values in config.tune.space:
        is_plain = all(isinstance(value, int | float | str) for value in values)
        if not values or not is_plain or len({type(value) for value in values}) > 1:
            raise ConfigError(
                f"the values of {name!r} are {values!r}; give one or more numbers, texts or booleans of one type"
            )
        for value in values:
            with_settings(config, {name: value})


def value_of(config: Config, name: str) -> Any:
    """Value of a setting by its dotted name."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _types(cls: type[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        name, hint = f"{prefix}{field.name}", hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _types(typing.cast("type[Any]", hint), f"{name}.")
        else:
            yield name, hint


def _check_name(name: str, types: Mapping[str, Any]) -> None:
    if name in FILLED:
        raise ConfigError(f"setting {name!r} is filled by the pipeline from the tables and the BERT; remove it")
    if name not in types:
        part = name.split(".")[0]
        near, known = suggested_setting(name, types), [each for each in types if each.startswith(f"{part}.")]
        parts = sorted({f"{each.split('.')[0]}..." for each in types})
        cure = "correct it" if near else f"use one of {', '.join(known or parts)}"
        raise ConfigError(f"there is no setting {name!r}{near}; {cure}")


def suggested_setting(name: str, types: Iterable[str]) -> str:
    """Part of a sentence with the nearest setting; "" if none is near.

    The last part of a name counts first, then its own part, then `train`: of several
    `learning_rate`, a user most often means that one.
    """
    part, _, last = name.rpartition(".")
    by_last: dict[str, list[str]] = {}
    for each in types:
        by_last.setdefault(each.rpartition(".")[2], []).append(each)
    nearest = difflib.get_close_matches(last, by_last, 1, cutoff=0.8)
    if not nearest:
        return suggestion(name, [each for names in by_last.values() for each in names])
    best = min(by_last[nearest[0]], key=lambda each: (each.rpartition(".")[0] != part, not each.startswith("train.")))
    return f" (did you mean {best!r}?)"


def _parse_space(raw: Any, types: Mapping[str, Any]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if not isinstance(raw, dict):
        raise ConfigError(
            f"`{SPACE}` is {raw!r}, expected settings with their values; write {{train.learning_rate: [0.001, 0.005]}}"
        )
    for name in raw:
        _check_name(name, types)
    return tuple((name, parse_all(name, types[name], values)) for name, values in raw.items())


def _replace(config: Any, values: Mapping[str, Any]) -> Any:
    """The dataclass with other values; those of a part at once, since they are checked together."""
    of_part: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, _, rest = name.partition(".")
        of_part.setdefault(part, {})[rest] = value
    changed = {
        part: inner[""] if "" in inner else _replace(getattr(config, part), inner) for part, inner in of_part.items()
    }
    return dataclasses.replace(config, **changed)
