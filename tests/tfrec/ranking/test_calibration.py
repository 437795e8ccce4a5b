"""Slope and bias of a logit, on labels drawn from known probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.ranking.calibration import MIN_LABELS, MIN_SLOPE, Calibration, calibrate


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def draw_labels(logits: np.ndarray) -> np.ndarray:
    """Draw labels with the probabilities of these logits."""
    return (np.random.default_rng(5).random(len(logits)) < sigmoid(logits)).astype(np.float32)


def test_overconfident_logits_are_calibrated():
    truth = np.random.default_rng(4).normal(-2.0, 1.0, 50_000)
    logits = 2.0 * truth + 1.5  # truth = 0.5 * logits - 0.75
    labels = draw_labels(truth)
    calibration = calibrate(logits.astype(np.float32), labels)
    assert calibration.slope == pytest.approx(0.5, abs=0.02)
    assert calibration.bias == pytest.approx(-0.75, abs=0.03)
    probabilities = sigmoid(calibration.slope * logits + calibration.bias)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        within = (probabilities >= low) & (probabilities < high)
        assert probabilities[within].mean() == pytest.approx(labels[within].mean(), abs=0.01)
    is_sure = logits > 1.0
    assert sigmoid(logits[is_sure]).mean() - labels[is_sure].mean() > 0.2  # before calibration


def test_a_logit_of_the_wrong_sign_keeps_its_order_and_comes_near_the_mean():
    logits = np.tile([-3.0, 3.0], 1000)
    labels = np.tile([1.0, 0.0], 1000)  # the opposite of the logits
    calibration = calibrate(logits, labels)
    assert calibration.slope == MIN_SLOPE
    assert calibration.bias == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("rare", [0.0, 1.0])
def test_too_few_labels_of_a_kind_calibrate_nothing(rare):
    labels = np.full(1000, 1 - rare)
    labels[: MIN_LABELS - 1] = rare
    assert calibrate(np.linspace(-3, 3, 1000), labels) == Calibration(1.0, 0.0)
    assert calibrate(np.empty(0), np.empty(0)) == Calibration()
