"""Parse the usual written forms of timestamps to UTC milliseconds."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.data.values.zones import has_offset, split_zone, to_utc

_FIRST_SECONDS = 1e8  # March 1973; a smaller number is a rank, a year or a default
_FIRST_MILLISECONDS = 1e11
_FIRST_MICROSECONDS = 1e14
_FIRST_NANOSECONDS = 1e17

_FIRST_COMPACT_YEAR = 1990
_COMPACT_SHARE = 0.9  # of the numbers of 10 or 12 digits that are dates, where the column holds dates


def parse_times(column: pa.ChunkedArray, pattern: str = "auto", timezone: str = "UTC") -> np.ndarray:
    """Parse a column to [rows] datetime64[ms] in UTC, NaT where the text is missing or unreadable.

    `pattern` is "seconds" or "milliseconds" since 1970, a strptime pattern, or "auto": ISO 8601,
    YYYYMMDD, YYYYMMDDhh, YYYYMMDDhhmm, YYYYMMDDhhmmss, or seconds, milliseconds, microseconds or
    nanoseconds since 1970, distinguished by size. `timezone` is the zone of times that name none.

    Numbers of 12 digits can be minutes or milliseconds of 1976, those of 10 digits hours or seconds
    after 2033: they are dates where nearly all of the column are, from 1990 to tomorrow.
    """
    if not pa.types.is_string(column.type):
        times = column.cast(pa.timestamp("ms"), safe=False).to_numpy().astype("datetime64[ms]")
        return times if getattr(column.type, "tz", None) else to_utc(times, timezone)
    distinct = column.combine_chunks().dictionary_encode()
    parsed = _parse(pd.Series(distinct.dictionary.to_pylist(), dtype=object), pattern, timezone)
    rows = distinct.indices.fill_null(len(parsed)).to_numpy(zero_copy_only=False)
    return np.append(parsed, np.datetime64("NaT", "ms"))[rows]


def _parse(text: pd.Series, pattern: str, timezone: str) -> np.ndarray:
    text = text.str.strip()
    numbers = pd.to_numeric(text, errors="coerce").astype("float64").to_numpy()
    if pattern == "seconds":
        return _from_milliseconds(numbers * 1e3)
    if pattern == "milliseconds":
        return _from_milliseconds(numbers)
    if pattern != "auto":
        times = _parse_dates(text, pattern)
        return times if "%z" in pattern or "%Z" in pattern else to_utc(times, timezone)
    is_number = ~np.isnan(numbers)
    times = _from_milliseconds(_to_milliseconds(numbers))
    times[~is_number] = _parse_texts(text[~is_number], timezone)
    if is_number.any():
        _read_compact_dates(times, text.str.removesuffix(".0"), timezone)  # pandas writes it where a time is missing
    return times


def _parse_texts(text: pd.Series, timezone: str) -> np.ndarray:
    """Dates of ISO 8601, with an offset or the name of a zone, or in `timezone`."""
    times = _parse_dates(text, "ISO8601")
    if timezone != "UTC":
        is_local = ~has_offset(text)
        times[is_local] = to_utc(times[is_local], timezone)
    unread = np.isnat(times)
    if unread.any():
        times[unread] = _parse_zoned(text[unread], timezone)
    return times


def _parse_zoned(text: pd.Series, timezone: str) -> np.ndarray:
    """Dates with the name of a zone, or else another form that pandas does not read."""
    dates, zones = split_zone(text)
    times = _parse_dates(dates, "ISO8601")
    zones = zones.replace("", timezone).mask(has_offset(dates), "UTC")
    for zone in zones.unique():
        is_zone = (zones == zone).to_numpy()
        times[is_zone] = to_utc(times[is_zone], zone)
    return times


def _read_compact_dates(times: np.ndarray, text: pd.Series, timezone: str) -> None:
    """Read numbers that are dates, such as 20240229, in the column's `times`."""
    tomorrow = np.datetime64(datetime.datetime.now(datetime.UTC).replace(tzinfo=None), "ms") + np.timedelta64(1, "D")
    for digits, pattern in ((8, "%Y%m%d"), (10, "%Y%m%d%H"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")):
        is_compact = text.str.fullmatch(rf"\d{{{digits}}}").to_numpy(dtype=bool)
        if not is_compact.any():
            continue
        dates = _parse_dates(text[is_compact], pattern)
        is_plausible = (dates >= np.datetime64(f"{_FIRST_COMPACT_YEAR}")) & (dates <= tomorrow)  # false for NaT
        if digits in (8, 14) or is_plausible.mean() >= _COMPACT_SHARE:
            times[is_compact] = to_utc(dates, timezone)


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
