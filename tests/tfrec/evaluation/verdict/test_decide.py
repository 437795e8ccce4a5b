"""Verdicts BLESSED and REFUSED, and the sentence for each comparison."""

from __future__ import annotations

import dataclasses
import math
from typing import get_args

import numpy as np
import pytest

from tfrec.config import Metric, Slice, VerdictConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.evaluate import SLICES
from tfrec.evaluation.per_user import METRICS
from tfrec.evaluation.scores import Scores, SliceScores, Verdict
from tfrec.evaluation.verdict.decide import BETTER_WHEN_HIGHER, Comparison
from tfrec.evaluation.verdict.decide import decide_verdict as decide

CONFIG = VerdictConfig(metric="ndcg@20", slice="all", floor=("popularity",), production_margin=0.02)
DEVIATIONS = np.tile([-0.1, 0.1], 50)  # of each user from the mean


def scores(name: str, ndcg: float, users: int = 100, novel: float = 0.1) -> Scores:
    def part(value: float, users: int) -> SliceScores:
        return SliceScores(
            users, 0.01, {"ndcg@20": value, "mrr": 0.5}, per_user={"ndcg@20": value + DEVIATIONS[:users]}
        )

    return Scores(
        name,
        {
            "all": part(ndcg, users),
            "novel": part(novel, users),
            "new_users": part(math.nan, 0),
            "cold": part(math.nan, 0),
        },
        1.0,
    )


def decide_verdict(
    model: Scores, baselines: dict[str, Scores], production: Scores | None, config: VerdictConfig
) -> Verdict:
    return decide(Comparison(model, baselines, "popularity", production=production), config)


BASELINES = {"random": scores("random", 0.01), "popularity": scores("popularity", 0.20)}


def test_a_model_above_its_floor_is_blessed():
    verdict = decide_verdict(scores("model", 0.21), BASELINES, None, CONFIG)
    assert verdict.blessed
    assert verdict.reasons == (
        "model has ndcg@20 0.2100 on all, above the 0.2000 of the baseline popularity: "
        "by 0.0100, 95 % interval 0.0100 to 0.0100",
    )


def test_a_model_that_only_equals_a_baseline_of_its_floor_is_refused():
    both = VerdictConfig(floor=("random", "popularity"))
    verdict = decide_verdict(scores("model", 0.20), BASELINES, None, both)
    assert not verdict.blessed
    assert verdict.reasons == (
        "model has ndcg@20 0.2000 on all, above the 0.0100 of the baseline random: "
        "by 0.1900, 95 % interval 0.1900 to 0.1900",
        "model has ndcg@20 0.2000 on all, not surely above the 0.2000 of the baseline popularity: "
        "by 0.0000, 95 % interval 0.0000 to 0.0000; a longer test window (examples.split.test_days) narrows the "
        "interval, and `floor: []` pushes a model that is not surely better",
    )
    assert verdict.unmet == verdict.reasons[1:]


def test_a_model_surely_below_its_floor_has_no_cure_in_a_longer_window():
    verdict = decide_verdict(scores("model", 0.15), BASELINES, None, CONFIG)
    assert verdict.unmet == (
        "model has ndcg@20 0.1500 on all, not surely above the 0.2000 of the baseline popularity: "
        "by -0.0500, 95 % interval -0.0500 to -0.0500",
    )


def test_the_floor_named_strongest_is_the_baseline_that_won_on_the_validation_window():
    assert VerdictConfig().floor == ("strongest",)
    baselines = BASELINES | {"personal_frequency": scores("personal_frequency", 0.30)}
    for strongest, blessed in (("popularity", True), ("personal_frequency", False)):
        compared = Comparison(scores("model", 0.25), baselines, strongest)
        verdict = decide(compared, VerdictConfig())
        assert verdict.blessed == blessed
        assert f"the baseline {strongest}" in verdict.reasons[0]
    twice = VerdictConfig(floor=("strongest", "popularity"))
    assert len(decide(Comparison(scores("model", 0.25), baselines, "popularity"), twice).reasons) == 1


def test_a_baseline_that_finds_nothing_is_named_as_such():
    silent = scores("popularity", 0.0)
    silent.slices["all"].per_user["ndcg@20"][:] = 0
    verdict = decide_verdict(scores("model", 0.2), {"popularity": silent}, None, CONFIG)
    assert verdict.blessed
    assert verdict.reasons[0].endswith(
        "; this baseline finds nothing (0.0000), so the comparison proves little: choose another `verdict.floor`"
    )
    assert "finds nothing" not in decide_verdict(scores("model", 0.2), BASELINES, None, CONFIG).reasons[0]


def test_a_single_user_is_not_enough():
    # One user has no interval, however large the gain.
    model, baseline = scores("model", 0.9, users=1), scores("popularity", 0.1, users=1)
    assert not decide_verdict(model, {"popularity": baseline}, None, CONFIG).blessed


def test_a_better_mean_within_the_noise_is_refused():
    # 65 of 100 users gain 0.1 and 35 lose it: the mean gain of 0.03 has a standard error of 0.0095.
    # With 55 it is 0.01 with 0.00995: its interval, about 0.02 either way, holds 0.
    for gainers, blessed in ((65, True), (55, False)):
        model = scores("model", 0.2)
        gain = np.where(np.arange(100) < gainers, 0.1, -0.1)
        part = model.slices["all"]
        part.metrics["ndcg@20"] += float(gain.mean())
        part.per_user["ndcg@20"] = part.per_user["ndcg@20"] + gain
        assert decide_verdict(model, BASELINES, None, CONFIG).blessed == blessed


@pytest.mark.parametrize("metric", ["coverage@20", "gini@20", "popularity@20", "novelty@20"])
def test_a_metric_that_is_not_better_when_higher_is_refused(metric):
    with pytest.raises(ConfigError, match=f"`metric` is '{metric}'.*; use one of ndcg@5, ndcg@10"):
        dataclasses.replace(CONFIG, metric=metric)


def test_a_second_stage_surely_below_its_first_is_refused():
    towers = scores("two-tower", 0.30)
    verdict = decide(Comparison(scores("both", 0.29), BASELINES, first_stage=towers), CONFIG)
    assert not verdict.blessed
    assert verdict.reasons[1] == (
        "both has ndcg@20 0.2900 on all, surely below the 0.3000 of its first stage alone (two-tower): by -0.0100, "
        "95 % interval -0.0100 to -0.0100; set ranking.epochs to 0 to leave the second stage out"
    )
    off = dataclasses.replace(CONFIG, first_stage=False)
    assert decide(Comparison(scores("both", 0.29), BASELINES, first_stage=towers), off).blessed


def test_a_second_stage_that_loses_on_novel_items_alone_is_refused():
    towers = scores("two-tower", 0.30, novel=0.2)
    verdict = decide(Comparison(scores("both", 0.50, novel=0.19), BASELINES, first_stage=towers), CONFIG)
    assert not verdict.blessed
    assert "0.1900 on novel, surely below the 0.2000 of its first stage" in verdict.reasons[2]


def test_a_second_stage_below_its_first_within_the_noise_is_blessed():
    # 45 of 100 users gain 0.1 and 55 lose it: a mean loss of 0.01 with a standard error of 0.00995.
    model, towers = scores("both", 0.29), scores("two-tower", 0.30)
    model.slices["all"].per_user["ndcg@20"][:] = towers.slices["all"].per_user["ndcg@20"] + np.repeat(
        [0.1, -0.1], [45, 55]
    )
    verdict = decide(Comparison(model, BASELINES, first_stage=towers), CONFIG)
    assert verdict.blessed
    assert "0.2900 on all, not surely below the 0.3000 of its first stage" in verdict.reasons[1]


def test_a_model_that_beats_production_but_not_the_floor_is_refused():
    verdict = decide_verdict(scores("model", 0.15), BASELINES, scores("production", 0.10), CONFIG)
    assert not verdict.blessed
    assert len(verdict.reasons) == 3  # the floor; production on all, and on novel, a protected slice


@pytest.mark.parametrize("broken", ["model", "popularity", "production"])
def test_a_nan_is_refused(broken):
    model, popularity, production = (
        scores(name, math.nan if name == broken else value)
        for name, value in (("model", 0.5), ("popularity", 0.2), ("production", 0.3))
    )
    verdict = decide_verdict(model, {"popularity": popularity}, production, CONFIG)
    assert not verdict.blessed
    assert any(f"ndcg@20 of {broken} on all is not a number" in reason for reason in verdict.reasons)


def test_a_slice_without_users_is_refused_and_slices_with_users_are_named():
    verdict = decide_verdict(scores("model", 0.5), BASELINES, None, VerdictConfig(slice="new_users", floor=("random",)))
    assert not verdict.blessed
    assert verdict.reasons == (
        "no user is in slice new_users, so there is no verdict on model; "
        "decide by a slice that has users: all (100), novel (100)",
    )


def test_a_window_without_users_asks_for_more_data():
    verdict = decide_verdict(scores("model", math.nan, users=0), BASELINES, None, CONFIG)
    assert not verdict.blessed
    assert "evaluate on a longer window or more data" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (VerdictConfig(slice="cold_among"), "`slice` is 'cold_among'; use one of all, novel, new_users, cold"),
        (VerdictConfig(metric="map@5"), "`metric` is 'map@5'; use one of ndcg@20, mrr"),
        (
            VerdictConfig(floor=("personal_frequency",)),
            "'personal_frequency'; use one of random, popularity",
        ),
    ],
)
def test_what_was_not_measured_is_refused_with_what_was(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        decide_verdict(scores("model", 0.5), BASELINES, None, config)


def test_the_settings_name_the_metrics_and_slices_of_the_evaluation():
    assert set(get_args(Metric)) == {name for name in METRICS if name.split("@")[0] in BETTER_WHEN_HIGHER}
    assert get_args(Slice) == tuple(SLICES)
