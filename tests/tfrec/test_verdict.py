"""Verdicts: what is blessed, what is refused, and the sentence for each."""

from __future__ import annotations

import math

import pytest

from tfrec.config import VerdictConfig
from tfrec.errors import ConfigError
from tfrec.scores import Scores, SliceScores
from tfrec.verdict import decide

CONFIG = VerdictConfig(metric="ndcg@20", slice="all", baseline="popularity", min_ratio_to_production=0.98)


def scores(name: str, ndcg: float, users: int = 10) -> Scores:
    new = SliceScores(0, math.nan, {"ndcg@20": math.nan, "mrr": math.nan})
    return Scores(name, {"all": SliceScores(users, 0.01, {"ndcg@20": ndcg, "mrr": 0.5}), "new_users": new}, 1.0)


BASELINES = {"random": scores("random", 0.01), "popularity": scores("popularity", 0.20)}


def test_a_model_above_its_baseline_is_blessed():
    verdict = decide(scores("model", 0.21), BASELINES, None, CONFIG)
    assert verdict.blessed
    assert verdict.reasons == ("model has ndcg@20 0.2100 on all, above the 0.2000 of the baseline popularity",)


def test_a_model_that_only_equals_its_baseline_is_refused():
    verdict = decide(scores("model", 0.20), BASELINES, None, CONFIG)
    assert not verdict.blessed
    assert verdict.reasons == ("model has ndcg@20 0.2000 on all, not above the 0.2000 of the baseline popularity",)


@pytest.mark.parametrize(("ndcg", "blessed"), [(0.2941, True), (0.2939, False)])
def test_a_model_must_reach_its_share_of_the_model_in_production(ndcg, blessed):
    # 0.98 of 0.30 is 0.294.
    verdict = decide(scores("model", ndcg), BASELINES, scores("production", 0.30), CONFIG)
    assert verdict.blessed == blessed
    assert verdict.reasons[1] == (
        f"model has ndcg@20 {ndcg:.4f} on all, {'at least' if blessed else 'below'} the required 0.2940 "
        "(0.98 of the 0.3000 of the model in production)"
    )


def test_a_model_that_beats_production_but_not_the_baseline_is_refused():
    verdict = decide(scores("model", 0.15), BASELINES, scores("production", 0.10), CONFIG)
    assert not verdict.blessed
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize("broken", ["model", "popularity", "production"])
def test_a_number_that_does_not_exist_is_refused(broken):
    model, popularity, production = (
        scores(name, math.nan if name == broken else value)
        for name, value in (("model", 0.5), ("popularity", 0.2), ("production", 0.3))
    )
    verdict = decide(model, {"popularity": popularity}, production, CONFIG)
    assert not verdict.blessed
    assert any(f"ndcg@20 of {broken} on all is not a number" in reason for reason in verdict.reasons)


def test_a_slice_without_users_is_refused_and_the_others_are_named():
    verdict = decide(scores("model", 0.5), BASELINES, None, VerdictConfig(slice="new_users", baseline="random"))
    assert not verdict.blessed
    assert verdict.reasons == (
        "no user is in slice new_users, so model can't be judged; judge by a slice that has users: all (10)",
    )


def test_a_window_without_users_asks_for_more_data():
    verdict = decide(scores("model", math.nan, users=0), BASELINES, None, CONFIG)
    assert not verdict.blessed
    assert "evaluate on a longer window or more data" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (VerdictConfig(slice="old"), "`slice` is 'old'; use one of all, new_users"),
        (VerdictConfig(metric="auc"), "`metric` is 'auc'; use one of ndcg@20, mrr"),
        (VerdictConfig(baseline="ease"), "`baseline` is 'ease'; use one of random, popularity"),
    ],
)
def test_an_unknown_setting_lists_the_known_ones(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        decide(scores("model", 0.5), BASELINES, None, config)
