"""Quality after the first clicks: the same users, scored with only the ends of their histories."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tfrec.evaluation.baselines.last_click import last_click_knn
from tfrec.evaluation.bootstrap import interval
from tfrec.evaluation.details import ColdStart, ColdStartPoint, PairedDifference
from tfrec.evaluation.evaluate import evaluate
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.per_user import GROUP_METRICS
from tfrec.evaluation.scores import Scores, SliceScores

LENGTHS = (0, 1, 2, 3, 5, 10, 20)
SLICES = ("all", "novel")
METRIC = "ndcg@20"
ITEM_KNN = "item_knn"

_SEED = 7


def cold_start(
    exported: ExportedModel, holdout: Holdout, non_personalized: dict[str, Scorer], users: int
) -> ColdStart | None:
    """The curve over up to `users` users; None when `users` is 0 or nobody has a history.

    `non_personalized` are lists that all users would get, recent popularity first; item-kNN on the
    last item is added to them. All points are of the same users, those with at least as many events
    as the longest cut. The longest cut is the largest of LENGTHS that half of the users with a
    history reach.
    """
    longest = _longest(exported.history_lengths)
    if not longest or users < 1:
        return None
    rows = _sample(exported.history_lengths >= longest, users)
    last_item = pd.Index(holdout.item_ids).get_indexer(pd.Index(exported.last_item_ids))
    scorers = {**non_personalized, ITEM_KNN: last_click_knn(holdout, last_item)}
    baselines = {name: _scores(score, holdout, rows) for name, score in scorers.items()}

    def point(length: int | None) -> ColdStartPoint:
        slices = _scores(exported.stages(length)[-1], holdout, rows)
        compared = [name for name in baselines if length != 0 or name != ITEM_KNN]  # it needs an event
        return ColdStartPoint(length, slices, {name: _differences(slices, baselines[name]) for name in compared})

    lengths = (*(length for length in LENGTHS if length <= longest), None)
    return ColdStart(len(rows), tuple(map(point, lengths)), next(iter(baselines.values())), baselines)


def _longest(events: np.ndarray) -> int:
    known = events[events > 0]
    return max((length for length in LENGTHS if (known >= length).mean() >= 0.5), default=0) if len(known) else 0


def _sample(is_long_enough: np.ndarray, users: int) -> np.ndarray:
    return np.sort(np.random.default_rng(_SEED).permutation(np.flatnonzero(is_long_enough))[:users])


def _scores(score: Scorer, holdout: Holdout, rows: np.ndarray) -> dict[str, SliceScores]:
    """NDCG@20 and recall@20 of the slices that the curve shows."""
    scores: Scores = evaluate("", score, holdout, rows=rows)
    return {name: _reduced(scores.slices[name]) for name in SLICES}


def _reduced(part: SliceScores) -> SliceScores:
    metrics = {metric: part.metrics[metric] for metric in GROUP_METRICS}
    ends = {metric: ends for metric, ends in part.intervals.items() if metric in GROUP_METRICS}
    return dataclasses.replace(part, metrics=metrics, intervals=ends)


def _differences(model: dict[str, SliceScores], baseline: dict[str, SliceScores]) -> dict[str, PairedDifference]:
    """Slice -> paired difference of NDCG@20; slices without users are left out."""
    return {name: _difference(part, baseline[name]) for name, part in model.items() if part.users}


def _difference(model: SliceScores, baseline: SliceScores) -> PairedDifference:
    values = model.per_user[METRIC].astype(np.float64) - baseline.per_user[METRIC]
    return PairedDifference(float(values.mean()), *interval(values))
