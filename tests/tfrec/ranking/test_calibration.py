"""Slope and bias of a logit, on choices whose true chances are planted."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.ranking.calibration import LEAST_CHOICES, LEAST_SLOPE, Calibration, calibrate


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def choices(logits: np.ndarray) -> np.ndarray:
    """Labels that come true with the chances of these logits."""
    return (np.random.default_rng(5).random(len(logits)) < sigmoid(logits)).astype(np.float32)


def test_overconfident_and_too_high_logits_come_out_calibrated():
    truth = np.random.default_rng(4).normal(-2.0, 1.0, 50_000)
    claimed = 2.0 * truth + 1.5  # truth = 0.5 * claimed - 0.75
    labels = choices(truth)
    found = calibrate(claimed.astype(np.float32), labels)
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.bias == pytest.approx(-0.75, abs=0.03)
    probabilities = sigmoid(found.slope * claimed + found.bias)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        within = (probabilities >= low) & (probabilities < high)
        assert probabilities[within].mean() == pytest.approx(labels[within].mean(), abs=0.01)
    surest = claimed > 1.0
    assert sigmoid(claimed[surest]).mean() - labels[surest].mean() > 0.2  # as it was before


def test_a_logit_that_says_nothing_keeps_the_order_and_comes_near_the_mean():
    logits = np.tile([-3.0, 3.0], 1000)
    labels = np.tile([1.0, 0.0], 1000)  # the opposite of what it claims
    found = calibrate(logits, labels)
    assert found.slope == LEAST_SLOPE
    assert found.bias == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("rare", [0.0, 1.0])
def test_too_few_choices_calibrate_nothing(rare):
    labels = np.full(1000, 1 - rare)
    labels[: LEAST_CHOICES - 1] = rare
    assert calibrate(np.linspace(-3, 3, 1000), labels) == Calibration(1.0, 0.0)
    assert calibrate(np.empty(0), np.empty(0)) == Calibration()
