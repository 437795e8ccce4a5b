"""Calibration of probabilities: a slope and a bias of the logit, fitted on held-out labels.

Source: Platt scaling, Platt 1999.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

MIN_LABELS = 30
"""Labels of each kind, 0 and 1, that a fit needs.

With fewer the bias has a standard error of about 0.2.
"""

MIN_SLOPE = 0.1  # above 0, so that the order of one head's probabilities stays


class Calibration(NamedTuple):
    """The probability is sigmoid(slope * logit + bias)."""

    slope: float = 1.0
    bias: float = 0.0


def can_fit(labels: np.ndarray) -> bool:
    """True if `labels` [n] of 0 and 1 hold MIN_LABELS of both."""
    positives = float(labels.sum())
    return min(positives, len(labels) - positives) >= MIN_LABELS


def calibrate(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fit slope and bias by maximum likelihood to `logits` [n] and `labels` [n] of 0 and 1.

    The result is Calibration(), which changes nothing, where there are fewer than MIN_LABELS of
    either label.
    """
    if not can_fit(labels):
        return Calibration()
    logits, labels = logits.astype(np.float64), labels.astype(np.float64)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        calibrated = parameters[0] * logits + parameters[1]
        error = expit(calibrated) - labels
        return float((np.logaddexp(0, calibrated) - labels * calibrated).mean()), np.array(
            [(error * logits).mean(), error.mean()]
        )

    optimum = minimize(loss, Calibration(), jac=True, method="L-BFGS-B", bounds=[(MIN_SLOPE, None), (None, None)])
    return Calibration(*map(float, optimum.x))
