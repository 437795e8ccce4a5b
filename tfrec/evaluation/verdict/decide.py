"""Verdict BLESSED or REFUSED.

A blessed model meets every condition of conditions.py. All scores must come from one protocol.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from tfrec.config import VerdictConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.details import ColdStart, ColdStartPoint
from tfrec.evaluation.scores import Scores, Verdict
from tfrec.evaluation.verdict import conditions, first_clicks, production
from tfrec.evaluation.verdict.conditions import Check
from tfrec.evaluation.verdict.production import FIRST_CLICKS, LABEL_KINDS

STRONGEST = "strongest"
"""Name of a floor: the baseline that was the strongest on the validation window."""

NOVEL = "novel"
"""Slice on which nothing may get surely worse: a better order of repeats hides it on "all"."""

BETTER_WHEN_HIGHER = ("ndcg", "recall", "map", "hit_rate", "mrr")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Scores of a model and of what it is compared with, all of the same users."""

    model: Scores
    baselines: dict[str, Scores]
    strongest: str = ""  # the baseline that was the strongest on the validation window
    first_stage: Scores | None = None  # the towers alone, of a model of two stages
    first_clicks: ColdStart | None = None
    production: Scores | None = None
    production_clicks: tuple[ColdStartPoint, ...] = ()  # the points of `first_clicks`, by that model


def decide_verdict(compared: Comparison, config: VerdictConfig) -> Verdict:
    """Verdict with a sentence for each condition.

    A slice without users, or a metric that is NaN, is refused. ConfigError when a metric, slice or
    baseline of `config` does not exist.
    """
    model = compared.model
    for slice_ in (config.slice, *config.protected):
        _check("slice", slice_, (*model.slices, LABEL_KINDS, FIRST_CLICKS))
    metrics = model.slices[config.slice].metrics
    _check("metric", config.metric, [name for name in metrics if name.split("@")[0] in BETTER_WHEN_HIGHER])
    if model.slices[config.slice].users == 0:
        reasons = (_no_users(model, config),)
        return Verdict(False, reasons, reasons)
    checks = list(_checks(compared, config))
    unmet = tuple(check.reason for check in checks if not check.passed)
    return Verdict(not unmet, tuple(check.reason for check in checks), unmet)


def _checks(compared: Comparison, config: VerdictConfig) -> Iterator[Check]:
    for name in dict.fromkeys(compared.strongest if name == STRONGEST else name for name in config.floor):
        _check("floor", name, compared.baselines)
        yield conditions.above_baseline(compared.model, compared.baselines[name], config)
    if config.first_stage and compared.first_stage is not None:
        for slice_ in dict.fromkeys((config.slice, NOVEL)):
            if compared.model.slices[slice_].users:
                yield conditions.not_below_first_stage(compared.model, compared.first_stage, config, slice_)
    if config.first_clicks and compared.first_clicks is not None:
        yield from first_clicks.checks(compared.model.name, compared.first_clicks)
    if compared.production is not None:
        yield production.not_inferior(compared.model, compared.production, config)
        yield from production.protected_slices(compared.model, compared.production, config)
        if compared.first_clicks is not None and compared.production_clicks and FIRST_CLICKS in config.protected:
            points, margin = compared.first_clicks.points, config.production_margin
            yield from production.protected_points(compared.model.name, points, compared.production_clicks, margin)


def _check(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigError(f"the verdict's `{name}` is {value!r}; use one of {', '.join(known)}")


def _no_users(model: Scores, config: VerdictConfig) -> str:
    others = ", ".join(f"{name} ({part.users})" for name, part in model.slices.items() if part.users)
    cure = f"decide by a slice that has users: {others}" if others else "evaluate on a longer window or more data"
    return f"no user is in slice {config.slice}, so there is no verdict on {model.name}; {cure}"
