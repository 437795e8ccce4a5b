"""Quality after the first clicks: the same users, scored with only the ends of their histories."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd

from tfrec.evaluation.baselines.last_click import last_click_knn
from tfrec.evaluation.bootstrap import DIFFERENCES, SHARES, interval
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


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Users and lengths of a curve."""

    rows: np.ndarray  # rows of the holdout's users
    lengths: tuple[int | None, ...]  # None: the whole history


def cuts(exported: ExportedModel, users: int) -> Cuts | None:
    """Up to `users` users with as many events as the longest cut; None without any.

    The longest cut is the largest of LENGTHS that half of the users with a history reach.
    """
    longest = _longest(exported.history_lengths)
    if not longest or users < 1:
        return None
    long_enough = np.flatnonzero(exported.history_lengths >= longest)
    rows = np.sort(np.random.default_rng(_SEED).permutation(long_enough)[:users])
    return Cuts(rows, (*(length for length in LENGTHS if length <= longest), None))


def points(exported: ExportedModel, holdout: Holdout, cut: Cuts, whole: Scores) -> tuple[ColdStartPoint, ...]:
    """Scores of a model's last stage at each length.

    `whole` are its scores with whole histories, with each user's NDCG@20 and recall@20.
    """

    def slices(length: int | None) -> dict[str, SliceScores]:
        if length is None:
            return {name: _of_rows(whole.slices[name], cut.rows) for name in SLICES}
        return _scores(exported.stages(length)[-1], holdout, cut.rows)

    return tuple(ColdStartPoint(length, slices(length)) for length in cut.lengths)


def cold_start(
    curve: tuple[ColdStartPoint, ...],
    exported: ExportedModel,
    holdout: Holdout,
    non_personalized: dict[str, Scorer],
    cut: Cuts,
) -> ColdStart:
    """The curve, its points compared with lists that need no model, of the same users.

    `non_personalized` are lists that all users would get, recent popularity first; item-kNN on the
    last item is added to them.
    """
    last_item = pd.Index(holdout.item_ids).get_indexer(pd.Index(exported.last_item_ids))
    scorers = {**non_personalized, ITEM_KNN: last_click_knn(holdout, last_item)}
    baselines = {name: _scores(score, holdout, cut.rows) for name, score in scorers.items()}

    def compared(point: ColdStartPoint) -> ColdStartPoint:
        names = [name for name in baselines if point.events != 0 or name != ITEM_KNN]  # it needs an event
        return dataclasses.replace(
            point, differences={name: _differences(point.slices, baselines[name]) for name in names}
        )

    return ColdStart(len(cut.rows), tuple(map(compared, curve)), next(iter(baselines.values())), baselines)


def _of_rows(part: SliceScores, rows: np.ndarray) -> SliceScores:
    """Scores of a slice over those of its users that are among `rows`."""
    is_kept = np.isin(part.user_rows, rows)
    empty = np.empty(0, np.float32)
    values = {metric: part.per_user.get(metric, empty)[is_kept] for metric in GROUP_METRICS}
    users = int(is_kept.sum())
    return SliceScores(
        users,
        float(values[METRIC].std(ddof=1) / math.sqrt(users)) if users > 1 else math.nan,
        {metric: float(each.mean()) if users else math.nan for metric, each in values.items()},
        {metric: interval(each.astype(np.float64), SHARES) for metric, each in values.items()} if users > 1 else {},
        values,
        part.user_rows[is_kept],
    )


def _longest(events: np.ndarray) -> int:
    known = events[events > 0]
    return max((length for length in LENGTHS if (known >= length).mean() >= 0.5), default=0) if len(known) else 0


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
    return PairedDifference(float(values.mean()), *interval(values, DIFFERENCES))
