"""Times that mean none: 1970 for an unknown one, the year 9999 for the open end of a price."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FIRST_TIME = np.datetime64("1990", "ms")
"""No shop's log is older; 1970, 1900 and year 1 are what programs write for an unknown time."""

_FIRST_YEAR, _LAST_YEAR = 1700, 2200  # of a time that means itself
_BEGIN_OF_ALL = np.datetime64("1970", "ms")
_DATE = r"^\s*(?:(?P<iso>\d{4})[-/.]?\d\d[-/.]?\d\d|\d\d?[-/.]\d\d?[-/.](?P<last>\d{4}))(?:\D|$)"


def is_default_time(times: np.ndarray, latest: float) -> np.ndarray:
    """[rows] bool, true for times before 1990 where others of the log, up to `latest`, are later.

    `times` are float64 milliseconds since 1970, NaN where unknown.
    """
    first = FIRST_TIME.astype("int64")
    return (times < first) & bool(np.any((times >= first) & (times <= latest)))


def open_ends(column: pa.ChunkedArray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[rows] bool twice, true where a time is before and after all times: of years 1 and 9999.

    `times` are the column's, NaT where its text was not read.
    """
    years = times.astype("datetime64[Y]").astype("int64") + 1970.0
    years[np.isnat(times)] = np.nan
    if pa.types.is_string(column.type) and np.isnat(times).any():
        years = np.where(np.isnat(times), _written_years(column), years)
    return years < _FIRST_YEAR, years > _LAST_YEAR


def read_open_ends(name: str, column: pa.ChunkedArray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace times that mean none: in `from`, before all times is 1970, elsewhere null.

    A default `timestamp` is none too. Returns [rows] times and bool, true where they were replaced.
    """
    is_before, is_after = open_ends(column, times)
    none = np.datetime64("NaT", "ms")
    if name == "from":
        return np.where(is_before, _BEGIN_OF_ALL, np.where(is_after, none, times)), is_before
    is_open = is_before | is_after
    if name == "timestamp" and (times >= FIRST_TIME).any():
        is_open |= times < FIRST_TIME
    return np.where(is_open, none, times), is_open


def _written_years(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] float64 year of a date in text, NaN where there is none."""
    found = pc.extract_regex(column, _DATE)
    texts = pc.if_else(
        pc.equal(pc.struct_field(found, "iso"), ""), pc.struct_field(found, "last"), pc.struct_field(found, "iso")
    )
    return texts.cast(pa.float64()).to_numpy().astype("float64")
