"""Quality after few events: the same users, scored again with only the ends of their histories."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrec.evaluation.details import ColdStart, ColdStartPoint
from tfrec.evaluation.evaluate import evaluate
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.per_user import GROUP_METRICS
from tfrec.evaluation.scores import Scores, SliceScores

LENGTHS = (0, 1, 2, 5, 10)
SLICES = ("all", "novel")

_SEED = 7


def cold_start(exported: ExportedModel, holdout: Holdout, non_personalized: Scorer, users: int) -> ColdStart | None:
    """The curve over up to `users` users; None when `users` is 0 or nobody has a history.

    `non_personalized` scores the list that all users would get. All points are of the same users,
    those with at least as many events as the longest cut. The longest cut is the largest of LENGTHS
    that half of the users with a history reach.
    """
    events = exported.history_lengths
    known = events[events > 0]
    longest = max((length for length in LENGTHS if (known >= length).mean() >= 0.5), default=0) if len(known) else 0
    if not longest or users < 1:
        return None
    long_enough = np.flatnonzero(events >= longest)
    rows = np.sort(np.random.default_rng(_SEED).permutation(long_enough)[:users])

    def point(length: int | None) -> ColdStartPoint:
        return ColdStartPoint(length, _scores(exported.stages(length)[-1], holdout, rows))

    points = [point(length) for length in (*(length for length in LENGTHS if length <= longest), None)]
    return ColdStart(len(rows), tuple(points), _scores(non_personalized, holdout, rows))


def _scores(score: Scorer, holdout: Holdout, rows: np.ndarray) -> dict[str, SliceScores]:
    """NDCG@20 and recall@20 of the slices that the curve shows."""
    scores: Scores = evaluate("", score, holdout, rows=rows)
    return {name: _reduced(scores.slices[name]) for name in SLICES}


def _reduced(part: SliceScores) -> SliceScores:
    metrics = {metric: part.metrics[metric] for metric in GROUP_METRICS}
    ends = {metric: ends for metric, ends in part.intervals.items() if metric in GROUP_METRICS}
    return dataclasses.replace(part, metrics=metrics, intervals=ends, per_user={})
