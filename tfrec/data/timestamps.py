"""Parse the usual written forms of timestamps to UTC milliseconds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

_FIRST_SECONDS = 1e8  # March 1973; a smaller number is a rank, a year or a default
_FIRST_MILLISECONDS = 1e11
_FIRST_MICROSECONDS = 1e14
_FIRST_NANOSECONDS = 1e17


def parse_times(column: pa.ChunkedArray, pattern: str = "auto") -> np.ndarray:
    """Parse a column to [rows] datetime64[ms] in UTC, NaT where the text is missing or unreadable.

    `pattern` is "seconds" or "milliseconds" since 1970, a strptime pattern, or "auto": ISO 8601,
    YYYYMMDD, YYYYMMDDhhmmss, or seconds, milliseconds, microseconds or nanoseconds since 1970,
    distinguished by size. Times without a zone are UTC.
    """
    if not pa.types.is_string(column.type):
        return column.cast(pa.timestamp("ms"), safe=False).to_numpy().astype("datetime64[ms]")
    distinct = column.combine_chunks().dictionary_encode()
    parsed = _parse(pd.Series(distinct.dictionary.to_pylist(), dtype=object), pattern)
    rows = distinct.indices.fill_null(len(parsed)).to_numpy(zero_copy_only=False)
    return np.append(parsed, np.datetime64("NaT", "ms"))[rows]


def _parse(text: pd.Series, pattern: str) -> np.ndarray:
    text = text.str.strip()
    numbers = pd.to_numeric(text, errors="coerce").astype("float64").to_numpy()
    if pattern == "seconds":
        return _from_milliseconds(numbers * 1e3)
    if pattern == "milliseconds":
        return _from_milliseconds(numbers)
    if pattern != "auto":
        return _parse_dates(text, pattern)
    times = _parse_dates(text.str.replace(r" ?(UTC|GMT)$", "+00:00", regex=True), "ISO8601")
    epochs = _from_milliseconds(_to_milliseconds(numbers))
    times = np.where(np.isnan(numbers), times, epochs)
    for digits, compact in ((8, "%Y%m%d"), (14, "%Y%m%d%H%M%S")):
        is_compact = text.str.fullmatch(rf"\d{{{digits}}}").to_numpy(dtype=bool)
        times[is_compact] = _parse_dates(text[is_compact], compact)
    return times


def _parse_dates(text: pd.Series, pattern: str) -> np.ndarray:
    parsed = pd.to_datetime(text, format=pattern, errors="coerce", utc=True)
    return parsed.to_numpy(dtype="datetime64[ns]").astype("datetime64[ms]")


def _to_milliseconds(numbers: np.ndarray) -> np.ndarray:
    size = np.abs(numbers)
    scales = [np.nan, 1e3, 1.0, 1e-3, 1e-6]
    borders = [_FIRST_SECONDS, _FIRST_MILLISECONDS, _FIRST_MICROSECONDS, _FIRST_NANOSECONDS]
    return numbers * np.array(scales)[np.digitize(size, borders)]


def _from_milliseconds(milliseconds: np.ndarray) -> np.ndarray:
    is_time = np.isfinite(milliseconds) & (np.abs(milliseconds) < 2.5e14)  # year 9892
    times = np.where(is_time, milliseconds, 0).astype("int64").astype("datetime64[ms]")
    times[~is_time] = np.datetime64("NaT")
    return times
