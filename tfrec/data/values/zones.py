"""Time zones: of a shop's local times, and by name behind a time."""

from __future__ import annotations

import zoneinfo

import numpy as np
import pandas as pd

_HOURS = {
    **{"UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3},
    **{"EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
    **{"JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13},
}
"""Hours east of UTC. CST, IST and BST are left out: each is the name of several zones."""

_OFFSET = r"(?:\d:\d\d(?:\.\d+)?|T\d{2,6}) ?(?:Z|[+-]\d\d(?::?\d\d)?)$"
_NAMED = r"^(?P<date>.*\d)\s*(?:\[(?P<region>[\w/+-]+)\]|\(?(?P<name>[A-Za-z][\w/+-]*)\)?)$"
_GMT_OFFSET = r" ?(?:UTC|GMT)(?=[+-]\d\d)"
_LOG_FRACTION = r"(:\d\d),(\d+)"  # of a second: 10:15:00,123


def names_zone(zone: str) -> bool:
    """Whether this is a zone of the IANA database (Europe/Berlin) or a known abbreviation."""
    if zone in _HOURS:
        return True
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def has_offset(text: pd.Series) -> np.ndarray:
    """[values] bool, true where a time of ISO 8601 ends in Z or an offset."""
    return text.str.contains(_OFFSET, regex=True).to_numpy(dtype=bool)


def split_zone(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Split "2024-03-01 10:00 Europe/Berlin" in time and zone; "" where no known zone is named.

    A region behind an offset, as Java writes, is dropped: the offset says more.
    """
    text = text.str.replace(_LOG_FRACTION, r"\1.\2", regex=True).str.replace(_GMT_OFFSET, "", regex=True)
    parts = text.str.extract(_NAMED)
    names = parts["region"].where(parts["region"].notna(), parts["name"])
    known = {name: _find_zone(name) for name in names.dropna().unique()}
    zones = pd.Series([known.get(name, "") for name in names], text.index, dtype=object)
    return parts["date"].where(zones != "", text), zones


def _find_zone(name: str) -> str:
    if name.upper() in _HOURS:
        return name.upper()
    return name if "/" in name and names_zone(name) else ""


def to_utc(times: np.ndarray, zone: str) -> np.ndarray:
    """Local times [rows] datetime64[ms] of a zone in UTC.

    Of a time that exists twice, at the end of summer, the later is meant; one that does not exist,
    at its begin, becomes the next that does.
    """
    if zone in _HOURS:
        return times - np.timedelta64(_HOURS[zone], "h")
    index = pd.DatetimeIndex(times)
    is_summer = np.zeros(len(index), bool)
    local = index.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ms]")
