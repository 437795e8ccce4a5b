"""Parsing of timestamps."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tfrec.data.timestamps import parse_times

# 2024-02-29 12:30:00 UTC is 19,782 days and 45,000 s after 1970: 19,782 * 86,400 + 45,000 =
# 1,709,209,800.
LEAP_NOON = np.datetime64("2024-02-29T12:30:00.000", "ms")


def _parsed(*texts: str | None, pattern: str = "auto") -> list[np.datetime64]:
    return list(parse_times(pa.chunked_array([pa.array(texts, pa.string())]), pattern))


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29 12:30:00",
        "2024-02-29T12:30:00Z",
        " 2024-02-29T12:30:00.000000+00:00 ",
        "2024-02-29T14:30:00+02:00",
        "2024-02-29 12:30:00 UTC",
        "20240229123000",
        "1709209800",
        "1709209800.0",
        "1709209800000",
        "1709209800000000",
        "1709209800000000000",
    ],
)
def test_auto_parses_all_usual_forms_to_the_same_time(text: str) -> None:
    assert _parsed(text) == [LEAP_NOON]


def test_a_date_is_midnight_and_eight_digits_are_a_date() -> None:
    midnight = np.datetime64("2024-02-29T00:00:00.000", "ms")
    assert _parsed("20240229", "2024-02-29") == [midnight, midnight]


@pytest.mark.parametrize("text", [None, "", "soon", "13/2011", "2024-02-30", "0", "2024", "inf", "nan", "1e300"])
def test_text_that_is_no_timestamp_becomes_missing(text: str | None) -> None:
    assert np.isnat(_parsed(text)[0])


def test_times_are_parsed_by_a_pattern_or_a_unit() -> None:
    assert _parsed("29/02/2024 12:30", "2024-02-29", pattern="%d/%m/%Y %H:%M")[0] == LEAP_NOON
    assert np.isnat(_parsed("2024-02-29", pattern="%d/%m/%Y %H:%M")[0])
    assert _parsed("5", pattern="seconds") == [np.datetime64(5_000, "ms")]
    assert _parsed("5", pattern="milliseconds") == [np.datetime64(5, "ms")]


def test_a_timestamp_column_is_converted_to_utc() -> None:
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    local = datetime.datetime(2024, 2, 29, 21, 30, tzinfo=tokyo)
    column = pa.chunked_array([pa.array([local, None], pa.timestamp("us", tz="Asia/Tokyo"))])
    times = parse_times(column)
    assert times[0] == LEAP_NOON
    assert np.isnat(times[1])
