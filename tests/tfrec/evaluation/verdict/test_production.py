"""Conditions on the comparison with the model in production, and their sentences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfrec.config import VerdictConfig
from tfrec.evaluation.details import ColdStart, ColdStartPoint
from tfrec.evaluation.scores import Scores, SliceScores, Verdict
from tfrec.evaluation.verdict.decide import Comparison, decide_verdict

CONFIG = VerdictConfig(floor=(), first_clicks=False, production_margin=0.02)
DEVIATIONS = np.tile([-0.1, 0.1], 50)  # of each user from the mean


def part(value: float, gain: np.ndarray | float = 0.0) -> SliceScores:
    """A slice of 100 users, whose values differ by `gain` from those around `value`."""
    values = value + DEVIATIONS + gain
    return SliceScores(100, 0.01, {"ndcg@20": float(values.mean())}, per_user={"ndcg@20": values})


def scores(name: str, **slices: SliceScores) -> Scores:
    return Scores(name, {"all": part(0.3), "novel": part(0.2), "cold": part(0.0)} | slices, 1.0)


def decide(model: Scores, config: VerdictConfig = CONFIG) -> Verdict:
    production = scores("production", **{"cart labels": part(0.2), "purchase labels": part(0.1)})
    same = {"cart labels": part(0.2), "purchase labels": part(0.1)}
    model = dataclasses.replace(model, slices=same | model.slices)
    return decide_verdict(Comparison(model, {}, production=production), config)


def test_the_model_in_production_itself_is_blessed():
    verdict = decide(scores("model"))
    assert verdict.blessed
    assert verdict.reasons[0] == (
        "model has ndcg@20 0.3000 on all, not inferior to the 0.3000 of the model in production: by 0.0000, "
        "95 % interval 0.0000 to 0.0000, and it may lose 0.0060 (production_margin 0.02)"
    )
    assert len(verdict.reasons) == 5  # all, novel, cold, and two kinds of labels


@pytest.mark.parametrize(("loss", "blessed"), [(0.005, True), (0.007, False)])
def test_a_model_may_lose_the_margin_alone(loss, blessed):
    # 0.02 of 0.30 is 0.006; every user loses the same, so the interval is a point.
    assert decide(scores("model", all=part(0.3, -loss))).blessed == blessed


def test_a_model_that_may_be_inferior_is_refused_with_a_cure():
    # 50 of 100 users gain 0.1 and 50 lose it: the interval is about 0.02 to either side.
    verdict = decide(scores("model", all=part(0.3, np.repeat([0.1, -0.1], 50))))
    assert not verdict.blessed
    assert "possibly inferior to the 0.3000" in verdict.reasons[0]
    assert verdict.reasons[0].endswith("; a longer test window narrows the interval")
    wide = dataclasses.replace(CONFIG, production_margin=0.1)
    assert decide(scores("model", all=part(0.3, np.repeat([0.1, -0.1], 50))), wide).blessed


def test_a_sure_loss_on_a_protected_slice_is_refused_even_if_all_users_gain():
    verdict = decide(scores("model", all=part(0.5), novel=part(0.19)))
    assert not verdict.blessed
    assert verdict.reasons[1] == (
        "model has ndcg@20 0.1900 on novel, surely below the 0.2000 of the model in production: by -0.0100, "
        "95 % interval -0.0100 to -0.0100"
    )
    unprotected = dataclasses.replace(CONFIG, protected=())
    assert decide(scores("model", all=part(0.5), novel=part(0.19)), unprotected).blessed


def test_a_loss_on_a_protected_slice_within_the_noise_or_the_margin_is_blessed():
    # 45 of 100 users gain 0.1 and 55 lose it: a mean loss of 0.01 with a standard error of 0.00995.
    assert decide(scores("model", novel=part(0.2, np.repeat([0.1, -0.1], [45, 55])))).blessed
    assert decide(scores("model", novel=part(0.197))).blessed  # 0.02 of 0.2 is 0.004


def test_a_planted_loss_of_one_kind_is_refused():
    model = scores("model", all=part(0.31), **{"purchase labels": part(0.05)})
    verdict = decide(model)
    assert not verdict.blessed
    assert any("0.0500 on purchase labels, surely below the 0.1000" in reason for reason in verdict.reasons)
    assert decide(model, dataclasses.replace(CONFIG, protected=("novel", "cold"))).blessed


def test_a_planted_loss_at_one_length_of_history_is_refused():
    def points(first: float) -> tuple[ColdStartPoint, ...]:
        return tuple(
            ColdStartPoint(events, {"all": part(value), "novel": part(0.1)})
            for events, value in ((1, first), (None, 0.3))
        )

    for first, blessed in ((0.15, True), (0.1, False)):
        curve = ColdStart(100, points(first), {})
        compared = Comparison(
            scores("model"), {}, first_clicks=curve, production=scores("production"), production_clicks=points(0.15)
        )
        verdict = decide_verdict(compared, CONFIG)
        assert verdict.blessed == blessed
    assert verdict.reasons[-1] == (
        "model has ndcg@20 0.1000 on all after 1 event of history, surely below the 0.1500 of the model in production: "
        "by -0.0500, 95 % interval -0.0500 to -0.0500"
    )
