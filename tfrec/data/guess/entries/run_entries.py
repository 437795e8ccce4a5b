"""Entries of the run: preset, labels, windows."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec.data.guess.entries.events import EventsDraft
from tfrec.data.guess.entries.yaml_text import Entry

_BROWSING = ("view", "click", "impression", "cart", "favorite", "share", "rating")
_WINDOW_DAYS = 28
_FEWEST_WINDOWS = 4  # of 28 days in the data, for windows of the usual length
_FEWEST_DAYS = 3
_SHARE = 6  # of the days, one in so many is the length of a shorter window


def run_entries(events: Sequence[EventsDraft]) -> tuple[Entry, ...]:
    """Draft the run of a shop with these interactions."""
    return (
        Entry("preset", "auto", "training takes the preset that suits the tables"),
        *_label_entries(events),
        *_window_entries(events),
    )


def _label_entries(events: Sequence[EventsDraft]) -> tuple[Entry, ...]:
    kinds = {kind for draft in events for kind, share in draft.kinds.items() if share > 0}
    browsed = [kind for kind in _BROWSING if kind in kinds]
    if "purchase" not in kinds or not browsed:
        return ()
    return (Entry("label_kinds", ("purchase",), f"{browsed[0]}s are logged beside purchases"),)


def _window_entries(events: Sequence[EventsDraft]) -> tuple[Entry, ...]:
    """Shorter windows where the usual ones would leave too little to train on."""
    times = [draft.columns.time for draft in events if draft.columns.time and draft.has_all_times]
    days = max((time.days for time in times), default=0.0)
    if not times or days >= _FEWEST_WINDOWS * _WINDOW_DAYS or len(times) < len(events):
        return ()
    if days < _FEWEST_DAYS:
        doubt = "the data spans less than three days, expected some weeks: no days can be held out for the evaluation"
        return (Entry("", doubt=doubt),)
    length = str(max(1, int(days / _SHARE)))
    reason = f"the data spans {days:.0f} days; windows of {_WINDOW_DAYS} days would leave too few to train on"
    settings = (Entry("examples.split.test_days", length, reason), Entry("examples.split.validation_days", length))
    return (Entry("settings", settings),)
