"""Condition of the verdict on the curve by events of history."""

from __future__ import annotations

from collections.abc import Iterator

import scipy.stats

from tfrec.evaluation.bootstrap import LEVEL
from tfrec.evaluation.details import ColdStart, ColdStartPoint
from tfrec.evaluation.verdict.conditions import Check, interval_words

NON_PERSONALIZED = ("recent_popularity", "popularity")
"""Lists that all users would get."""

METRIC = "ndcg@20"


def checks(model: str, curve: ColdStart) -> Iterator[Check]:
    """Check that no point is surely below the better of the two popular lists.

    A sentence for each point and slice that is, or one for the whole curve.
    """
    below = [
        Check(False, _reason(model, point, slice_, name, curve))
        for point in curve.points
        for slice_ in point.slices
        if point.slices[slice_].users and is_below(curve, point, slice_, name := best_list(curve, slice_))
    ]
    lengths = ", ".join(str(point.events) for point in curve.points if point.events is not None)
    yield from below or [
        Check(True, f"{model} is nowhere surely below the most popular items after {lengths} or all events of history")
    ]


def best_list(curve: ColdStart, slice_: str) -> str:
    """Name of the popular list with the higher NDCG@20 of the curve's users."""
    return max(NON_PERSONALIZED, key=lambda name: curve.baselines[name][slice_].metrics[METRIC])


def is_below(curve: ColdStart, point: ColdStartPoint, slice_: str, baseline: str) -> bool:
    """True if the whole interval of the difference to the baseline lies below 0.

    The interval is widened for the number of comparisons of the curve (Bonferroni), so that an
    equal model is refused once in forty times, not once at each second curve.
    """
    difference = point.differences[baseline][slice_]
    comparisons = sum(part.users > 0 for each in curve.points for part in each.slices.values())
    single, joint = (scipy.stats.norm.ppf(1 - (1 - LEVEL) / 2 / count) for count in (1, comparisons))
    return bool(difference.mean + joint / single * (difference.high - difference.mean) < 0)


def _reason(model: str, point: ColdStartPoint, slice_: str, baseline: str, curve: ColdStart) -> str:
    value, reference = (part[slice_].metrics[METRIC] for part in (point.slices, curve.baselines[baseline]))
    difference = point.differences[baseline][slice_]
    return (
        f"{model} has {METRIC} {value:.4f} on {slice_} after {words(point.events)} of history, surely below the "
        f"{reference:.4f} of the list {baseline}: by {difference.mean:.4f}, "
        f"{interval_words(difference.low, difference.high)}"
    )


def words(events: int | None) -> str:
    """The length of a history in words."""
    return "all events" if events is None else f"{events} event{'' if events == 1 else 's'}"
