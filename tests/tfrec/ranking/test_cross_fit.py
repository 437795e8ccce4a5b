"""Held-out users of the ranker's fit: who they are, and calibration."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.ranking.blend import EVENTS, FEATURES, PARTS, POPULARITY, Blend
from tfrec.ranking.calibration import Calibration
from tfrec.ranking.cross_fit import calibrate_ranker, fit_calibrations, held_out_folds, set_blends
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.training_data import Examples

NAMES = (*FEATURES, EVENTS)
CONFIG = RankingConfig(hidden=(8,), cross_rank=4, embedding_dim=2)


@pytest.fixture
def ranker(make_catalog) -> Ranker:
    return Ranker(make_catalog([[5], [6]]), NAMES, ("purchase",), 1, CONFIG)


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
    everything = np.ones(len(logits), bool)
    columns = logits[:, None], np.zeros((len(logits), 3)), labels[:, None]
    calibrate_ranker(ranker, [fit_calibrations(Blend(), *columns, [everything])] * len(PARTS))
    np.testing.assert_allclose(ranker.slope, [[0.5]] * 3, atol=0.05)
    np.testing.assert_allclose(ranker.bias, [[-1.0]] * 3, atol=0.05)


def test_each_head_is_calibrated_on_the_first_rows_that_hold_its_labels():
    # 100 rows of the part with 40 purchases, and 100 others with 40 of the ratings; no dislike.
    part, ones = np.arange(200) < 100, np.ones(40)
    purchase, rating, dislike = np.zeros((3, 200))
    purchase[:40], rating[100:140], dislike[:2] = ones, ones, 1
    labels, scores = np.stack([purchase, rating, dislike], axis=1), np.zeros((200, 3))
    scores[:, 2] = 3.0  # of popularity, for each row
    choices = [part, np.ones(200, bool)]
    fitted = fit_calibrations(POPULARITY, np.zeros((200, 3)), scores, labels, choices)
    probability = [1 / (1 + np.exp(-(3 * slope + bias))) for slope, bias in fitted]
    # The shares are 40 of 100 rows, 40 of 200, and 2.5 of 201.
    assert probability == pytest.approx([0.4, 0.2, 2.5 / 201], abs=1e-3)
    assert fit_calibrations(Blend(), np.zeros((200, 3)), scores, labels, choices)[2] == Calibration()


class Shop:
    """Held-out histories of a stage whose ranker gives the logits of the test."""

    def __init__(self, ranker: Ranker, positives: int):
        """Users with two candidates each: the first `positives` with a positive, the second one.

        Without a history the more popular candidate is the positive one, after ten events the one
        with the higher logit. Popularity and the logits contradict each other.
        """
        users = 2 * positives
        user = np.repeat(np.arange(users), 2)
        first, is_after_ten = np.tile([True, False], users), np.repeat(np.arange(users) % 2 == 1, 2)
        self.logits = np.where(first, 1.0, -1.0)[:, np.newaxis]
        features = np.zeros((2 * users, len(NAMES)), np.float32)
        features[:, NAMES.index("item_users_28")] = np.where(first, 0.0, 1.0)
        features[:, NAMES.index("user_events")] = np.where(is_after_ten, np.log1p(10), 0.0)
        labels = (first == is_after_ten).astype(np.float32)[:, np.newaxis]
        self.examples = Examples(user, features, np.ones(2 * users, np.int64), labels, {}, users)
        self.stage = SimpleNamespace(ranker=ranker, features=SimpleNamespace(names=NAMES), positive_heads=ranker.heads)

    def select(self) -> list[Blend]:
        """The blend of each part."""
        everything = np.arange(len(self.logits))
        set_blends(self.stage, self.examples, everything, self.logits, everything >= 0)
        return [Blend(*row) for row in self.stage.ranker.blend.numpy().tolist()]


def test_each_length_of_history_has_the_blend_that_orders_it_best(ranker):
    shop = Shop(ranker, positives=40)
    assert shop.select() == [POPULARITY, Blend(), Blend()]
    # Without a history the calibrated popularity of 1 of a positive is above 0.5, 0 is below it.
    inputs = shop.examples.inputs(shop.examples.features[:, NAMES.index(EVENTS)] == 0)
    labels = inputs.pop("labels")
    probabilities = ranker.probabilities({name: tf.constant(values) for name, values in inputs.items()})
    assert ((probabilities.numpy() > 0.5) == (labels > 0)).all()


def test_too_few_positives_leave_the_ranker_as_it_is_with_a_warning(ranker, capsys):
    assert Shop(ranker, positives=14).select() == [Blend()] * len(PARTS)
    np.testing.assert_array_equal(ranker.slope, [[1.0]] * 3)
    np.testing.assert_array_equal(ranker.bias, [[0.0]] * 3)
    expected = "warning: probabilities of purchase are not calibrated: 28 of the candidates are positives, fewer than"
    assert expected in capsys.readouterr().out
