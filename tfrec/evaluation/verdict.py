"""Whether a model may be pushed: it beats its floor and holds its own against the model in production.

It compares numbers that were measured under one protocol; it knows nothing of how.
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


def decide(model: Scores, baselines: dict[str, Scores], production: Scores | None, config: VerdictConfig) -> Verdict:
    """The verdict, with a sentence for each comparison made. All scores must be of the same users.

    Refuses where there is nothing to judge by: no users in the slice, or a number that is NaN. ConfigError
    when a metric, slice or baseline of `config` does not exist.
    """
    for slice_ in (config.slice, *config.protected):
        _check("slice", slice_, model.slices)
    known = model.slices[config.slice].metrics
    _check("metric", config.metric, [name for name in known if name.split("@")[0] in BETTER_WHEN_HIGHER])
    for name in config.floor:
        _check("floor", name, baselines)
    if model.slices[config.slice].users == 0:
        return Verdict(False, (_nobody(model, config),))
    checks = [_against_baseline(model, baselines[name], config) for name in config.floor]
    if production is not None:
        guarded = [slice_ for slice_ in config.protected if model.slices[slice_].users and slice_ != config.slice]
        checks += [_against_production(model, production, config, slice_) for slice_ in (config.slice, *guarded)]
    return Verdict(all(passed for passed, _ in checks), tuple(reason for _, reason in checks))


def _check(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigError(f"the verdict's `{name}` is {value!r}; use one of {', '.join(known)}")


def _nobody(model: Scores, config: VerdictConfig) -> str:
    others = ", ".join(f"{name} ({part.users})" for name, part in model.slices.items() if part.users)
    cure = f"judge by a slice that has users: {others}" if others else "evaluate on a longer window or more data"
    return f"no user is in slice {config.slice}, so {model.name} can't be judged; {cure}"


def _against_baseline(model: Scores, baseline: Scores, config: VerdictConfig) -> tuple[bool, str]:
    ours, theirs = _value(model, config, config.slice), _value(baseline, config, config.slice)
    if math.isnan(ours) or math.isnan(theirs):
        return False, _not_a_number(model if math.isnan(ours) else baseline, config, config.slice)
    low, high = interval(_per_user(model, config) - _per_user(baseline, config))
    passed = low > 0
    relation = "above" if passed else "not surely above"
    return passed, (
        f"{_claim(model, ours, config, config.slice)}, {relation} the {theirs:.4f} of the baseline {baseline.name}: "
        f"by {ours - theirs:.4f}, 95 % interval {low:.4f} to {high:.4f}"
    )


def _against_production(model: Scores, production: Scores, config: VerdictConfig, slice_: str) -> tuple[bool, str]:
    ours, theirs = _value(model, config, slice_), _value(production, config, slice_)
    if math.isnan(ours) or math.isnan(theirs):
        return False, _not_a_number(model if math.isnan(ours) else production, config, slice_)
    needed = config.min_ratio_to_production * theirs
    passed = ours >= needed
    relation = "at least" if passed else "below"
    share = f"{config.min_ratio_to_production:g} of the {theirs:.4f} of the model in production"
    return passed, f"{_claim(model, ours, config, slice_)}, {relation} the required {needed:.4f} ({share})"


def _value(scores: Scores, config: VerdictConfig, slice_: str) -> float:
    """The metric that decides; NaN where these scores lack the slice or the metric."""
    return scores.slices.get(slice_, SliceScores(0, math.nan, {})).metrics.get(config.metric, math.nan)


def _per_user(scores: Scores, config: VerdictConfig) -> np.ndarray:
    return scores.slices[config.slice].per_user[config.metric]


def _claim(model: Scores, value: float, config: VerdictConfig, slice_: str) -> str:
    return f"{model.name} has {config.metric} {value:.4f} on {slice_}"


def _not_a_number(scores: Scores, config: VerdictConfig, slice_: str) -> str:
    return f"{config.metric} of {scores.name} on {slice_} is not a number: nothing compares with it"
