"""Held-out users of the ranker's fit: who they are, and calibration."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.config import RankingConfig
from tfrec.ranking.blend import FEATURES
from tfrec.ranking.cross_fit import calibrate_ranker, held_out_folds
from tfrec.ranking.ranker import Ranker

CONFIG = RankingConfig(hidden=(8,), cross_rank=4, embedding_dim=2)


@pytest.fixture
def ranker(make_catalog) -> Ranker:
    return Ranker(make_catalog([[5], [6]]), FEATURES, ("purchase",), 1, CONFIG)


def folds(users: int, share: float) -> list[list[int]]:
    candidates = np.repeat(np.arange(10, 10 + users), 3)  # numbered from 10 on, three candidates each
    return [part.tolist() for part in held_out_folds(candidates, RankingConfig(calibration_share=share))]


def test_a_large_shop_holds_out_its_last_users():
    assert folds(2000, 0.1) == [list(range(1810, 2010))]


def test_a_small_shop_holds_out_each_half_in_turn():
    assert folds(5, 0.1) == [[10, 12, 14], [11, 13]]
    first, second = folds(1990, 0.1)
    assert sorted(first + second) == list(range(10, 2000))


@pytest.mark.parametrize(("users", "share"), [(2000, 0.0), (1, 0.1), (0, 0.1)])
def test_nobody_is_held_out_without_a_share_or_a_second_user(users, share):
    assert folds(users, share) == []


def test_overconfident_logits_are_calibrated(ranker):
    random = np.random.default_rng(8)
    logits = random.normal(size=40_000)
    truth = 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
    labels = (random.random(len(truth)) < truth).astype(np.float32)
    calibrate_ranker(ranker, logits[:, None], labels[:, None])
    assert ranker.slope.numpy()[0] == pytest.approx(0.5, abs=0.05)
    assert ranker.bias.numpy()[0] == pytest.approx(-1.0, abs=0.05)


def test_too_few_positives_to_calibrate_by_are_a_warning(ranker, capsys):
    labels = np.zeros((2000, 1))
    labels[:29] = 1
    calibrate_ranker(ranker, np.random.default_rng(8).normal(size=(2000, 1)), labels)
    assert (ranker.slope.numpy()[0], ranker.bias.numpy()[0]) == (1.0, 0.0)
    expected = "warning: probabilities of purchase are not calibrated: 29 of the candidates are positives"
    assert expected in capsys.readouterr().out
