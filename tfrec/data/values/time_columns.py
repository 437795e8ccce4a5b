"""Columns of times of several files or tables, brought to one type and one format."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.values.timestamps import parse_times

_TIME = pa.timestamp("ms", "UTC")


@dataclasses.dataclass(frozen=True)
class TimeFormat:
    """How times are written: arguments of `parse_times`."""

    pattern: str = "auto"
    timezone: str = "UTC"


UTC_TEXT = TimeFormat()
WRITTEN = TimeFormat("%Y-%m-%d %H:%M:%S.%f")
"""Format of text that `unify_times` writes."""


def unify_times(
    columns: Sequence[pa.ChunkedArray], formats: Sequence[TimeFormat]
) -> tuple[list[pa.ChunkedArray], TimeFormat]:
    """Bring columns to one type and one format, where they have several.

    Timestamps beside text become text; text that is no time stays, so that it can be shown.
    """
    is_known = [column.null_count < len(column) for column in columns]
    known = [(column, by) for column, by, knows in zip(columns, formats, is_known, strict=True) if knows]
    if not known:
        return list(columns), formats[0] if formats else UTC_TEXT
    unified, times = [column for column, _ in known], known[0][1]
    if len({column.type for column in unified}) > 1 or len({by for _, by in known}) > 1:
        has_text = any(pa.types.is_string(column.type) for column in unified)
        unified = [_write(column, by) if has_text else _parse(column, by) for column, by in known]
        times = WRITTEN
    rest, kind = iter(unified), unified[0].type
    nulls = [pa.chunked_array([pa.nulls(len(column), kind)]) for column in columns]
    return [next(rest) if knows else null for null, knows in zip(nulls, is_known, strict=True)], times


def _parse(column: pa.ChunkedArray, times: TimeFormat) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(parse_times(column, times.pattern, times.timezone))]).cast(_TIME)


def _write(column: pa.ChunkedArray, times: TimeFormat) -> pa.ChunkedArray:
    written = _parse(column, times).cast(pa.timestamp("ms")).cast(pa.string())
    return pc.coalesce(written, column) if pa.types.is_string(column.type) else written
