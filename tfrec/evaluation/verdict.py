"""Verdict BLESSED or REFUSED.

A blessed model beats the baselines of its floor and reaches the model in production. All scores
must come from one protocol.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tfrec.config import VerdictConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.bootstrap import interval
from tfrec.evaluation.scores import Scores, SliceScores, Verdict

BETTER_WHEN_HIGHER = ("ndcg", "recall", "map", "hit_rate", "mrr")


def decide_verdict(
    model: Scores, baselines: dict[str, Scores], production: Scores | None, config: VerdictConfig
) -> Verdict:
    """Verdict with a sentence for each comparison. All scores must be of the same users.

    A slice without users, or a metric that is NaN, is refused. ConfigError when a metric, slice or
    baseline of `config` does not exist.
    """
    for slice_ in (config.slice, *config.protected):
        _check("slice", slice_, model.slices)
    metrics = model.slices[config.slice].metrics
    _check("metric", config.metric, [name for name in metrics if name.split("@")[0] in BETTER_WHEN_HIGHER])
    for name in config.floor:
        _check("floor", name, baselines)
    if model.slices[config.slice].users == 0:
        return Verdict(False, (_no_users(model, config),))
    checks = [_against_baseline(model, baselines[name], config) for name in config.floor]
    if production is not None:
        guarded = [slice_ for slice_ in config.protected if model.slices[slice_].users and slice_ != config.slice]
        checks += [_against_production(model, production, config, slice_) for slice_ in (config.slice, *guarded)]
    return Verdict(all(passed for passed, _ in checks), tuple(reason for _, reason in checks))


def _check(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigError(f"the verdict's `{name}` is {value!r}; use one of {', '.join(known)}")


def _no_users(model: Scores, config: VerdictConfig) -> str:
    others = ", ".join(f"{name} ({part.users})" for name, part in model.slices.items() if part.users)
    cure = f"decide by a slice that has users: {others}" if others else "evaluate on a longer window or more data"
    return f"no user is in slice {config.slice}, so there is no verdict on {model.name}; {cure}"


def _against_baseline(model: Scores, baseline: Scores, config: VerdictConfig) -> tuple[bool, str]:
    value, reference = _value(model, config, config.slice), _value(baseline, config, config.slice)
    if math.isnan(value) or math.isnan(reference):
        return False, _nan_reason(model if math.isnan(value) else baseline, config, config.slice)
    low, high = interval(_per_user(model, config) - _per_user(baseline, config))
    passed = low > 0
    relation = "above" if passed else "not surely above"
    return passed, (
        f"{_claim(model, value, config, config.slice)}, {relation} the {reference:.4f} of the baseline "
        f"{baseline.name}: by {value - reference:.4f}, 95 % interval {low:.4f} to {high:.4f}"
    )


def _against_production(model: Scores, production: Scores, config: VerdictConfig, slice_: str) -> tuple[bool, str]:
    value, reference = _value(model, config, slice_), _value(production, config, slice_)
    if math.isnan(value) or math.isnan(reference):
        return False, _nan_reason(model if math.isnan(value) else production, config, slice_)
    required = config.min_ratio_to_production * reference
    passed = value >= required
    relation = "at least" if passed else "below"
    share = f"{config.min_ratio_to_production:g} of the {reference:.4f} of the model in production"
    return passed, f"{_claim(model, value, config, slice_)}, {relation} the required {required:.4f} ({share})"


def _value(scores: Scores, config: VerdictConfig, slice_: str) -> float:
    """Value of the deciding metric; NaN when these scores do not have the slice or the metric."""
    return scores.slices.get(slice_, SliceScores(0, math.nan, {})).metrics.get(config.metric, math.nan)


def _per_user(scores: Scores, config: VerdictConfig) -> np.ndarray:
    return scores.slices[config.slice].per_user[config.metric]


def _claim(model: Scores, value: float, config: VerdictConfig, slice_: str) -> str:
    return f"{model.name} has {config.metric} {value:.4f} on {slice_}"


def _nan_reason(scores: Scores, config: VerdictConfig, slice_: str) -> str:
    return f"{config.metric} of {scores.name} on {slice_} is not a number, so it can't be compared"
