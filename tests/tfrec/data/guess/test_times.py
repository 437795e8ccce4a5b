"""Formats of time columns."""

from __future__ import annotations

import pandas as pd
import pytest

from tfrec.data.guess.sampling.column import Column
from tfrec.data.guess.times import guess_time


def column(*values: str) -> Column:
    return Column("time", pd.Series(list(values), dtype=object))


@pytest.mark.parametrize(
    ("values", "pattern", "first"),
    [
        (["1430623510", "1430623535"], "seconds", "2015-05-03"),
        (["1430623510123", "1430623535456"], "milliseconds", "2015-05-03"),
        (["1709287200123456"], "auto", "2024-03-01"),
        (["2010-12-01 08:26:00"], "auto", "2010-12-01"),
        (["2024-03-01 10:00:00 -0500"], "auto", "2024-03-01"),
        (["20240301", "20240315"], "auto", "2024-03-01"),
        (["202403011200"], "%Y%m%d%H%M", "2024-03-01"),
        (["2024030112"], "%Y%m%d%H", "2024-03-01"),
        (["12/1/2010 8:26", "12/13/2010 18:26"], "%m/%d/%Y %H:%M", "2010-12-01"),
        (["01/12/2010", "13/12/2010"], "%d/%m/%Y", "2010-12-01"),
        (["1.12.2023", "4.12.2023"], "%d.%m.%Y", "2023-12-01"),
        (["03/25/24 10:00 PM", "03/26/24 9:00 AM"], "%m/%d/%y %I:%M %p", "2024-03-25"),
        (["24-Jan-1995"], "%d-%b-%Y", "1995-01-24"),
        (["09 13, 2009", "09 1, 2009"], "%m %d, %Y", "2009-09-01"),
        (["2024年3月1日"], "%Y年%m月%d日", "2024-03-01"),
    ],
)
def test_a_format_is_guessed_from_the_values(values, pattern, first):
    time = guess_time(column(*values))
    assert time is not None
    assert (time.format, time.first, time.doubt) == (pattern, first, "")


def test_a_day_that_no_value_tells_from_the_month_is_a_doubt():
    time = guess_time(column("01/02/2010", "03/04/2010"))
    assert time is not None
    assert time.format == "%m/%d/%Y"
    assert time.doubt.endswith("or write timestamp_format: '%d/%m/%Y'")


@pytest.mark.parametrize("values", [["214536502", "214536500"], ["5", "6"], ["tea", "mug"], ["1001.2002"], []])
def test_ids_words_and_small_numbers_are_no_times(values):
    assert guess_time(column(*values)) is None
