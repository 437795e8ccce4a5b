"""Formats of time columns, guessed from their values."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.data.guess.sampling.column import Column
from tfrec.data.values.timestamps import parse_times

_ENOUGH = 0.97  # share of values that a format must read
_EARLIEST = np.datetime64("1990-01-01")
_MOST_VALUES = 200_000
_FIRST_VALUES = 1000
_RARE = 0.005  # share of stray times at each end, which do not count for the span
_TIME = (
    (r"\d{1,2}:\d{2}:\d{2}\.\d+", "%H:%M:%S.%f"),
    (r"\d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]", "%I:%M:%S %p"),
    (r"\d{1,2}:\d{2} ?[AaPp][Mm]", "%I:%M %p"),
    (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
)
_NUMERIC_DATE = r"(?P<first>\d{1,2})(?P<sep>[/.\-])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})"
_DATES = (
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}年\d{1,2}月\d{1,2}日", "%Y年%m月%d日"),
    (r"\d{1,2} \d{1,2}, \d{4}", "%m %d, %Y"),
    (r"\d{1,2}[ -][A-Za-z]{3}[ -]\d{4}", "%d{sep}%b{sep}%Y"),
    (r"\d{1,2}[ -][A-Za-z]{3}[ -]\d{2}", "%d{sep}%b{sep}%y"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
    (r"[A-Za-z]{4,9} \d{1,2}, \d{4}", "%B %d, %Y"),
)
_COMPACT = ((10, "%Y%m%d%H"), (12, "%Y%m%d%H%M"))


_DAY_MILLISECONDS = 86_400_000


@dataclasses.dataclass(frozen=True)
class TimeGuess:
    """A format of `timestamp_format`, and what it reads."""

    format: str
    words: str
    """What the format is, for a person: "milliseconds since 1970"."""
    first: str
    last: str
    days: float
    doubt: str = ""


@functools.lru_cache(maxsize=4096)
def guess_time(column: Column) -> TimeGuess | None:
    """Guess the format of a time column; None if its values are no times."""
    texts = column.texts.iloc[:_MOST_VALUES].str.strip()
    if texts.empty or (len(texts) > _FIRST_VALUES and not _guess(texts.iloc[:_FIRST_VALUES])):
        return None
    return _guess(texts)


def _guess(text: pd.Series) -> TimeGuess | None:
    for pattern, words, doubt in (*_numeric_formats(text), *_text_formats(text)):
        times = parse_times(pa.chunked_array([pa.array(text, pa.string())]), pattern)
        known = times[~np.isnat(times)]
        is_plausible = (known >= _EARLIEST) & (known <= _latest())
        if is_plausible.sum() >= _ENOUGH * len(text):
            low, high = known[is_plausible].min(), known[is_plausible].max()
            early, late = np.quantile(known[is_plausible].astype("int64"), [_RARE, 1 - _RARE])
            days = float(late - early) / _DAY_MILLISECONDS
            return TimeGuess(pattern, words, str(low)[:10], str(high)[:10], days, doubt)
    return None


def _latest() -> np.datetime64:
    return np.datetime64(datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=2), "ms")


def _numeric_formats(text: pd.Series) -> list[tuple[str, str, str]]:
    """Formats of numbers, the compact dates first: 20240301 is a date, not 1970."""
    if text.str.fullmatch(r"\d+(\.\d+)?").mean() < _ENOUGH:
        return []
    digits = text.str.len().mode().iloc[0]
    compact = [(p, f"dates written as {p}", "") for length, p in _COMPACT if digits == length]
    whole = text.str.replace(r"\..*", "", regex=True).str.len().mode().iloc[0]
    if whole in (8, 14):
        return [("auto", "compact dates such as " + str(text.iloc[0]), "")]
    names = {9: "seconds", 10: "seconds", 12: "milliseconds", 13: "milliseconds"}
    names |= {15: "microseconds", 16: "microseconds", 18: "nanoseconds", 19: "nanoseconds"}
    if whole not in names:
        return compact
    pattern = names[whole] if whole in (9, 10, 12, 13) else "auto"
    epoch = (pattern, f"{names[whole]} since 1970", "")
    return [epoch, *compact] if digits == 10 else [*compact, epoch]


def _text_formats(text: pd.Series) -> list[tuple[str, str, str]]:
    auto = ("auto", "ISO 8601", "")
    clock, dates = _split_clock(text)
    numeric = dates.str.extract(f"^{_NUMERIC_DATE}$")
    if numeric["first"].notna().mean() >= _ENOUGH:
        return [_day_or_month_first(numeric.dropna(), clock)]
    forms = [_fill_separator(pattern, form, dates) for pattern, form in _DATES]
    named = [f"{form}{clock}" for form in forms if form]
    return [auto, *((pattern, f"dates written as {pattern}", "") for pattern in named)]


def _split_clock(text: pd.Series) -> tuple[str, pd.Series]:
    """The pattern of the time of day with the characters before it, and the dates alone."""
    for zone, zone_pattern in ((r" ?[+-]\d{2}:?\d{2}|Z", "%z"), ("", "")):
        for clock, pattern in _TIME:
            parts = text.str.extract(rf"^(.*?)(,? |T)({clock})({zone or '(?:)'})$")
            if parts[0].notna().mean() >= _ENOUGH:
                rows = parts.dropna()
                space = " " if zone and str(rows[3].iloc[0]).startswith(" ") else ""
                if pattern.endswith("%p") and not str(rows[2].iloc[0])[:-2].endswith(" "):
                    pattern = pattern.replace(" %p", "%p")
                return f"{rows[1].iloc[0]}{pattern}{space}{zone_pattern}", rows[0]
    return "", text


def _day_or_month_first(dates: pd.DataFrame, clock: str) -> tuple[str, str, str]:
    """Decide by numbers over 12, which can't be a month."""
    first, second = dates["first"].astype(int).max(), dates["second"].astype(int).max()
    separator, year = dates["sep"].iloc[0], "%Y" if len(dates["year"].iloc[0]) == 4 else "%y"
    is_day_first = first > 12 or (second <= 12 and separator == ".")
    order = ("%d", "%m") if is_day_first else ("%m", "%d")
    pattern = separator.join((*order, year)) + clock
    name, highest = ("day", first) if is_day_first else ("month", second)
    if max(first, second) > 12:
        return pattern, f"{name} first, for the {'first' if is_day_first else 'second'} number goes to {highest}", ""
    if separator == ".":
        return pattern, "day first, as dates with points are written", ""
    other = pattern.replace("%d", "%x").replace("%m", "%d").replace("%x", "%m")
    doubt = f"no value tells the day from the month; check one, or write timestamp_format: '{other}'"
    return pattern, "month first or day first", doubt


def _fill_separator(pattern: str, form: str, dates: pd.Series) -> str:
    """The strptime form if the dates match the pattern, else an empty text."""
    if dates.str.fullmatch(pattern).mean() < _ENOUGH:
        return ""
    found = re.search(r"[ -]", dates.iloc[0])
    return form.replace("{sep}", found.group() if found else " ")
