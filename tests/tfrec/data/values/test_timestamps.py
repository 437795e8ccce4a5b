"""Parsing of timestamps."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tfrec.data.values.timestamps import parse_times

# 2024-02-29 12:30:00 UTC is 19,782 days and 45,000 s after 1970: 19,782 * 86,400 + 45,000 =
# 1,709,209,800.
LEAP_NOON = np.datetime64("2024-02-29T12:30:00.000", "ms")


def _parsed(*texts: str | None, pattern: str = "auto", timezone: str = "UTC") -> list[np.datetime64]:
    return list(parse_times(pa.chunked_array([pa.array(texts, pa.string())]), pattern, timezone))


def _ms(*texts: str) -> list[np.datetime64]:
    return [np.datetime64(text, "ms") for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29 12:30:00",
        "2024-02-29T12:30:00Z",
        " 2024-02-29T12:30:00.000000+00:00 ",
        "2024-02-29T14:30:00+02:00",
        "2024-02-29 12:30:00 UTC",
        "2024-02-29T12:30:00z",
        "2024-02-29 12:30:00,000",
        "2024-02-29 13:30 CET",
        "2024-02-29 07:30 est",
        "2024-02-29 13:30:00 Europe/Berlin",
        "2024-02-29T13:30+01:00[Europe/Berlin]",
        "2024-02-29T13:30[Europe/Berlin]",
        "2024-02-29 14:30 GMT+0200",
        "202402291230",
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


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "soon",
        "13/2011",
        "2024-02-30",
        "0",
        "2024",
        "inf",
        "nan",
        "1e300",
        "2024-02-29 12:30 CST",
        "2024-02-29 12:30 Mars/Base",
        "2024-02-29 01:30 PM",
    ],
)
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


def test_numbers_of_10_and_12_digits_are_dates_where_nearly_all_are() -> None:
    assert _parsed("2024022912", "2014102100") == _ms("2024-02-29T12:00", "2014-10-21T00:00")
    assert _parsed("20240229.0", "202402291230.0") == [*_ms("2024-02-29T00:00"), LEAP_NOON]
    # Month 13 of one value in ten: that one is unreadable, not of 1976.
    minutes = ["202402291230"] * 1 + [f"2024010110{minute}" for minute in range(10, 18)] + ["202413011230"]
    times = _parsed(*minutes)
    assert times[0] == LEAP_NOON
    assert np.isnat(times[-1])


def test_numbers_of_10_and_12_digits_that_are_no_dates_are_epochs() -> None:
    # 1709209800 would be month 92; 946684800000 ms are 2000-01-01, no compact date of year 9466.
    assert _parsed("1709209800", "946684800000") == [LEAP_NOON, np.datetime64("2000-01-01", "ms")]
    # A date in the future is none: 2090-01-01 10:00 would be second 2,090,010,110, in March 2036.
    assert _parsed("2090010110") == [np.datetime64(2_090_010_110_000, "ms")]


def test_times_without_a_zone_are_local_and_others_are_not() -> None:
    # Berlin is an hour ahead of UTC in winter and two in summer.
    local = ["2024-02-29 13:30:00", "20240229133000", "202402291330", "2024-07-01", "2024-02-29 13:30:00,000"]
    expected = [LEAP_NOON, LEAP_NOON, LEAP_NOON, *_ms("2024-06-30T22:00"), LEAP_NOON]
    assert _parsed(*local, timezone="Europe/Berlin") == expected
    others = [
        "2024-02-29T12:30:00Z",
        "2024-02-29 15:30 +03:00",
        "1709209800",
        "2024-02-29 12:30 GMT",
        "2024-02-29T15:30+03:00[Asia/Tokyo]",
    ]
    assert _parsed(*others, timezone="Europe/Berlin") == [LEAP_NOON] * 5
    assert _parsed("29.02.2024 13:30", pattern="%d.%m.%Y %H:%M", timezone="Europe/Berlin") == [LEAP_NOON]
    assert _parsed("29.02.2024 13:30 +0100", pattern="%d.%m.%Y %H:%M %z", timezone="Asia/Tokyo") == [LEAP_NOON]


def test_hours_that_the_clock_skips_or_repeats_are_read() -> None:
    # On 2024-03-31 Berlin's clocks go from 2:00 to 3:00, on 2024-10-27 from 3:00 back to 2:00.
    times = _parsed("2024-03-31 02:30", "2024-10-27 02:30", timezone="Europe/Berlin")
    assert times == _ms("2024-03-31T01:00", "2024-10-27T01:30")


def test_a_timestamp_column_without_a_zone_is_local() -> None:
    column = pa.chunked_array([pa.array([datetime.datetime(2024, 2, 29, 13, 30)], pa.timestamp("us"))])
    assert list(parse_times(column, timezone="Europe/Berlin")) == [LEAP_NOON]
