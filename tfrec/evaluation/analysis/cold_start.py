"""How good recommendations are after few events: the same users, asked again with the ends of their histories alone."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrec.evaluation.evaluate import evaluate
from tfrec.evaluation.exported_model import Exported
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.per_user import GROUP_METRICS
from tfrec.evaluation.scores import ColdStart, Point, Scores, SliceScores

LENGTHS = (0, 1, 2, 5, 10)
SLICES = ("all", "novel")

_SEED = 7


def cold_start(exported: Exported, holdout: Holdout, stranger: Scorer, users: int) -> ColdStart | None:
    """The curve over up to `users` users; None when they are none, or nobody has a history.

    `stranger` scores what anybody would be shown. All points are of the same users, those who have as many events
    as the longest cut; that is the longest of LENGTHS which half of the users with a history reach.
    """
    events = exported.history_lengths
    known = events[events > 0]
    longest = max((length for length in LENGTHS if (known >= length).mean() >= 0.5), default=0) if len(known) else 0
    if not longest or users < 1:
        return None
    reached = np.flatnonzero(events >= longest)
    rows = np.sort(np.random.default_rng(_SEED).permutation(reached)[:users])

    def point(length: int | None) -> Point:
        scores = evaluate("", exported.stages(length)[-1], holdout, rows=rows)
        return Point(length, _brief(scores))

    points = [point(length) for length in (*(length for length in LENGTHS if length <= longest), None)]
    return ColdStart(len(rows), tuple(points), _brief(evaluate("", stranger, holdout, rows=rows)))


def _brief(scores: Scores) -> dict[str, SliceScores]:
    """NDCG@20 and recall@20 of the slices that the curve shows."""
    return {name: _of_first_twenty(scores.slices[name]) for name in SLICES}


def _of_first_twenty(part: SliceScores) -> SliceScores:
    metrics = {metric: part.metrics[metric] for metric in GROUP_METRICS}
    ends = {metric: ends for metric, ends in part.intervals.items() if metric in GROUP_METRICS}
    return dataclasses.replace(part, metrics=metrics, intervals=ends, per_user={})
