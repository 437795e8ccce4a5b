"""Warnings about interactions that pass the rules, or fail them, for a reason in the mapping."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.cleaning_report import CleaningReport
from tfrec.data.values.default_times import FIRST_TIME

BAD_TIME = "bad timestamp"
FUTURE = "timestamp in the future"
DEFAULT_TIME = "timestamp before 1990"
UNKNOWN_KIND = "unknown kind"
FORMAT_HINT = "set `timestamp_format` in the mapping, such as '%d/%m/%Y %H:%M'"
KINDS_HINT = "map them under `kinds`"

_WARNING_SHARE = 0.01  # of the rows
_MOST_KINDS = 10  # in a warning
_USER_EVENTS = 50
_USER_SHARE, _USER_FACTOR = 0.2, 5  # a user with more may be a word for unknown users
_SUSPECTS = "na n/a nil none unknown unbekannt anonymous anonym anon guest visitor 0 -1 - — ? (none)".split()

_LOGGER = logging.getLogger(__name__)


def warn_of_kinds(report: CleaningReport) -> None:
    """Name the unknown kinds and their rows."""
    dropped = report.rejected.filter(pc.equal(report.rejected["rule"], UNKNOWN_KIND))
    if not dropped.num_rows:
        return
    kinds = dropped["kind"].to_pandas().fillna("").value_counts()
    names = ", ".join(f"{kind!r} {rows:,}" for kind, rows in kinds.head(_MOST_KINDS).items())
    further = f" and {len(kinds) - _MOST_KINDS} others" if len(kinds) > _MOST_KINDS else ""
    _LOGGER.warning(f"{dropped.num_rows:,} interactions of unknown kinds were dropped: {names}{further}; {KINDS_HINT}")


def warn_of_user(user_ids: pa.ChunkedArray) -> None:
    """Warn of one user with a large share of all events, or named by a word such as NA or guest."""
    counts = pc.value_counts(user_ids)
    names, rows = counts.field("values"), counts.field("counts").to_numpy()
    events, next_events = (*np.sort(rows)[::-1][:2].tolist(), 0)[:2]
    is_large = (rows == events) & (events > max(_USER_SHARE * len(user_ids), _USER_FACTOR * next_events))
    is_suspect = pc.is_in(pc.utf8_lower(names), pa.array(_SUSPECTS)).to_numpy(zero_copy_only=False)
    is_suspect &= rows > _WARNING_SHARE * len(user_ids)
    for index in np.flatnonzero((rows >= _USER_EVENTS) & (is_large | is_suspect)):
        name = names[int(index)].as_py()
        _LOGGER.warning(
            f"user {name!r} has {rows[index]:,} of {len(user_ids):,} interactions ({rows[index] / len(user_ids):.0%}); "
            f"if this stands for unknown users, add `missing: [{name!r}]` to interactions"
        )


def warn_of_times(times: np.ndarray, report: CleaningReport) -> None:
    """Warn where the timestamps may have another format than the one assumed."""
    latest = np.datetime64(int(times.max()), "ms")
    if latest < FIRST_TIME:
        _LOGGER.warning(f"the last of {len(times):,} interactions is of {latest}; if that is wrong, {FORMAT_HINT}")
    for rule in report.rules:
        if rule.rule in (BAD_TIME, FUTURE, DEFAULT_TIME) and rule.dropped > _WARNING_SHARE * (rule.dropped + rule.kept):
            _LOGGER.warning(
                f"{rule.rule}: {rule.dropped:,} of {rule.dropped + rule.kept:,} interactions were dropped "
                f"({report.example(rule.rule)}); {FORMAT_HINT}"
            )
