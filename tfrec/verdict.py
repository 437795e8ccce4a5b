"""Whether a model may be pushed: it beats a baseline and holds its own against the model in production.

It compares numbers that were measured under one protocol; it knows nothing of how.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tfrec.config import VerdictConfig
from tfrec.errors import ConfigError
from tfrec.scores import Scores, SliceScores, Verdict


def decide(model: Scores, baselines: dict[str, Scores], production: Scores | None, config: VerdictConfig) -> Verdict:
    """The verdict, with a sentence for each comparison made.

    Refuses where there is nothing to judge by: no users in the slice, or a number that is NaN. ConfigError
    when the metric, slice or baseline of `config` does not exist.
    """
    _check("slice", config.slice, model.slices)
    _check("metric", config.metric, model.slices[config.slice].metrics)
    _check("baseline", config.baseline, baselines)
    if model.slices[config.slice].users == 0:
        return Verdict(False, (_nobody(model, config),))
    checks = [_against_baseline(model, baselines[config.baseline], config)]
    if production is not None:
        checks.append(_against_production(model, production, config))
    return Verdict(all(passed for passed, _ in checks), tuple(reason for _, reason in checks))


def _check(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigError(f"the verdict's `{name}` is {value!r}; use one of {', '.join(known)}")


def _nobody(model: Scores, config: VerdictConfig) -> str:
    others = ", ".join(f"{name} ({part.users})" for name, part in model.slices.items() if part.users)
    cure = f"judge by a slice that has users: {others}" if others else "evaluate on a longer window or more data"
    return f"no user is in slice {config.slice}, so {model.name} can't be judged; {cure}"


def _against_baseline(model: Scores, baseline: Scores, config: VerdictConfig) -> tuple[bool, str]:
    ours, theirs = _value(model, config), _value(baseline, config)
    if math.isnan(ours) or math.isnan(theirs):
        return False, _not_a_number(model if math.isnan(ours) else baseline, config)
    passed = ours > theirs
    relation = "above" if passed else "not above"
    return (
        passed,
        f"{_claim(model, ours, config)}, {relation} the {theirs:.4f} of the baseline {baseline.name}",
    )


def _against_production(model: Scores, production: Scores, config: VerdictConfig) -> tuple[bool, str]:
    ours, theirs = _value(model, config), _value(production, config)
    if math.isnan(ours) or math.isnan(theirs):
        return False, _not_a_number(model if math.isnan(ours) else production, config)
    needed = config.min_ratio_to_production * theirs
    passed = ours >= needed
    relation = "at least" if passed else "below"
    share = f"{config.min_ratio_to_production:g} of the {theirs:.4f} of the model in production"
    return passed, f"{_claim(model, ours, config)}, {relation} the required {needed:.4f} ({share})"


def _value(scores: Scores, config: VerdictConfig) -> float:
    """The metric that decides; NaN where these scores lack the slice or the metric."""
    return scores.slices.get(config.slice, SliceScores(0, math.nan, {})).metrics.get(config.metric, math.nan)


def _claim(model: Scores, value: float, config: VerdictConfig) -> str:
    return f"{model.name} has {config.metric} {value:.4f} on {config.slice}"


def _not_a_number(scores: Scores, config: VerdictConfig) -> str:
    return f"{config.metric} of {scores.name} on {config.slice} is not a number: nothing compares with it"
