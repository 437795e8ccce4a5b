"""Results as JSON, written and read by pydantic from dataclasses. NaN is null in JSON."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from tfrec.errors import DataError

T = TypeVar("T")

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float that may be NaN."""


def dump(kind: type[T], value: T) -> str:
    """Indented JSON of a dataclass, or of a tuple of dataclasses; NaN and infinity become null."""
    return _adapter(cast(Any, kind)).dump_json(value, indent=2, by_alias=False).decode("utf-8")


def parse(kind: type[T], text: str, source: str, name: str, cure: str) -> T:
    """The value that `dump` wrote; unknown keys are ignored.

    DataError when the text is not one: "`source` is not `name` (the first error); `cure`".
    """
    try:
        return cast(T, _adapter(cast(Any, kind)).validate_json(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        reason = f"{path}: {first['msg']}" if path else first["msg"]
        raise DataError(f"{source} is not {name} ({reason}); {cure}") from error


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
