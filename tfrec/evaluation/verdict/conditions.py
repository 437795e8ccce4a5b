"""Conditions of the verdict, each with its sentence."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfrec.config import VerdictConfig
from tfrec.evaluation.bootstrap import DIFFERENCES, interval
from tfrec.evaluation.scores import Scores, SliceScores

TIE_CURE = (
    "; a longer test window (examples.split.test_days) narrows the interval, and `floor: []` pushes a model that is "
    "not surely better"
)


class Check(NamedTuple):
    """Result of one condition."""

    passed: bool
    reason: str


def above_baseline(model: Scores, baseline: Scores, config: VerdictConfig) -> Check:
    """Check that the model is surely better than the baseline."""
    value, reference = value_of(model, config, config.slice), value_of(baseline, config, config.slice)
    if math.isnan(value) or math.isnan(reference):
        return Check(False, nan_reason(model if math.isnan(value) else baseline, config, config.slice))
    low, high = interval(per_user(model, config, config.slice) - per_user(baseline, config, config.slice), DIFFERENCES)
    passed = low > 0
    relation = "above" if passed else "not surely above"
    cure = TIE_CURE if low <= 0 <= high else ""
    return Check(
        passed,
        f"{claim(model, value, config, config.slice)}, {relation} the {reference:.4f} of the baseline "
        f"{baseline.name}: by {value - reference:.4f}, {interval_words(low, high)}{cure}{_zero_floor(reference)}",
    )


def not_below_first_stage(model: Scores, first_stage: Scores, config: VerdictConfig, slice_: str) -> Check:
    """Check that the second stage is not surely worse than the towers alone."""
    value, reference = value_of(model, config, slice_), value_of(first_stage, config, slice_)
    if math.isnan(value) or math.isnan(reference):
        return Check(False, nan_reason(model if math.isnan(value) else first_stage, config, slice_))
    low, high = interval(per_user(model, config, slice_) - per_user(first_stage, config, slice_), DIFFERENCES)
    passed = high >= 0
    relation = "not surely below" if passed else "surely below"
    cure = "" if passed else "; set ranking.epochs to 0 to leave the second stage out"
    return Check(
        passed,
        f"{claim(model, value, config, slice_)}, {relation} the {reference:.4f} of its first stage alone "
        f"({first_stage.name}): by {value - reference:.4f}, {interval_words(low, high)}{cure}",
    )


def _zero_floor(reference: float) -> str:
    """Part of a sentence that warns of a baseline which finds nothing; "" for any other."""
    if reference != 0:
        return ""
    return "; this baseline finds nothing (0.0000), so the comparison proves little: choose another `verdict.floor`"


def interval_words(low: float, high: float) -> str:
    """The ends of an interval in words."""
    return f"95 % interval {low:.4f} to {high:.4f}"


def value_of(scores: Scores, config: VerdictConfig, slice_: str) -> float:
    """Value of the deciding metric; NaN when these scores do not have the slice or the metric."""
    return scores.slices.get(slice_, SliceScores(0, math.nan, {})).metrics.get(config.metric, math.nan)


def per_user(scores: Scores, config: VerdictConfig, slice_: str) -> np.ndarray:
    """[users] values of the deciding metric."""
    return scores.slices[slice_].per_user[config.metric]


def claim(model: Scores, value: float, config: VerdictConfig, slice_: str) -> str:
    """The beginning of a reason."""
    return f"{model.name} has {config.metric} {value:.4f} on {slice_}"


def nan_reason(scores: Scores, config: VerdictConfig, slice_: str) -> str:
    """The reason to refuse scores that are NaN."""
    return f"{config.metric} of {scores.name} on {slice_} is not a number, so it can't be compared"
