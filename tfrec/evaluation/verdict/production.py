"""Conditions of the verdict on the comparison with the model in production."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tfrec.config import VerdictConfig
from tfrec.evaluation.bootstrap import DIFFERENCES, interval
from tfrec.evaluation.details import ColdStartPoint
from tfrec.evaluation.scores import Scores, is_of_kind
from tfrec.evaluation.verdict.conditions import Check, claim, interval_words, nan_reason, per_user, value_of
from tfrec.evaluation.verdict.first_clicks import METRIC, words

LABEL_KINDS, FIRST_CLICKS = "label_kinds", "first_clicks"
"""Names of `VerdictConfig.protected` that are no slices."""


def not_inferior(model: Scores, production: Scores, config: VerdictConfig) -> Check:
    """Check that the model loses less than the margin on the deciding slice, if anything."""
    value, reference = (value_of(scores, config, config.slice) for scores in (model, production))
    if math.isnan(value) or math.isnan(reference):
        return Check(False, nan_reason(model if math.isnan(value) else production, config, config.slice))
    low, high = interval(
        per_user(model, config, config.slice) - per_user(production, config, config.slice), DIFFERENCES
    )
    margin = config.production_margin * reference
    passed = low >= -margin
    relation = "not inferior to" if passed else "possibly inferior to" if high >= -margin else "inferior to"
    cure = "; a longer test window narrows the interval" if low < -margin <= high else ""
    return Check(
        passed,
        f"{claim(model, value, config, config.slice)}, {relation} the {reference:.4f} of the model in production: by "
        f"{value - reference:.4f}, {interval_words(low, high)}, and it may lose {margin:.4f} "
        f"(production_margin {config.production_margin:g}){cure}",
    )


def protected_slices(model: Scores, production: Scores, config: VerdictConfig) -> Iterator[Check]:
    """Check that no protected slice surely loses more than the margin; a sentence for each."""
    kinds = filter(is_of_kind, model.slices) if LABEL_KINDS in config.protected else ()
    named = [name for name in config.protected if name in model.slices]
    for slice_ in dict.fromkeys([*named, *kinds]):
        if model.slices[slice_].users and slice_ != config.slice:
            yield _protected_slice(model, production, config, slice_)


def protected_points(
    model: str, points: tuple[ColdStartPoint, ...], production: tuple[ColdStartPoint, ...], margin: float
) -> Iterator[Check]:
    """Check that no length of history surely loses more than the margin.

    A sentence for each that does.
    """
    for point, other in zip(points, production, strict=True):
        for slice_, part in point.slices.items():
            if part.users:
                value, reference = part.metrics[METRIC], other.slices[slice_].metrics[METRIC]
                differences = part.per_user[METRIC] - other.slices[slice_].per_user[METRIC]
                start = f"{model} has {METRIC} {value:.4f} on {slice_} after {words(point.events)} of history"
                check = _no_sure_loss(start, value, reference, differences, margin)
                if not check.passed:
                    yield check


def _protected_slice(model: Scores, production: Scores, config: VerdictConfig, slice_: str) -> Check:
    value, reference = (value_of(scores, config, slice_) for scores in (model, production))
    if math.isnan(value) or math.isnan(reference):
        return Check(False, nan_reason(model if math.isnan(value) else production, config, slice_))
    differences = per_user(model, config, slice_) - per_user(production, config, slice_)
    start = claim(model, value, config, slice_)
    return _no_sure_loss(start, value, reference, differences, config.production_margin)


def _no_sure_loss(start: str, value: float, reference: float, differences: np.ndarray, margin: float) -> Check:
    low, high = interval(differences, DIFFERENCES)
    passed = high >= 0 or value >= (1 - margin) * reference
    relation = "not surely below" if passed else "surely below"
    return Check(
        passed,
        f"{start}, {relation} the {reference:.4f} of the model in production: by {value - reference:.4f}, "
        f"{interval_words(low, high)}",
    )
