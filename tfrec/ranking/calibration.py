"""Probabilities that come true as often as they say: a slope and a bias of the logit, fitted on choices held out.

Source: Platt scaling, Platt 1999. It knows nothing of shops.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

LEAST_CHOICES = 30
"""Fewer labels of a kind say too little: the standard error of the bias would be about 0.2."""

LEAST_SLOPE = 0.1  # above 0, so that the order of one head's probabilities stays


class Calibration(NamedTuple):
    """The chance is sigmoid(slope * logit + bias)."""

    slope: float = 1.0
    bias: float = 0.0


def calibrate(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """The likeliest slope and bias of `labels` [n] of 0 and 1; none where either label is rare."""
    chosen = float(labels.sum())
    if min(chosen, len(labels) - chosen) < LEAST_CHOICES:
        return Calibration()
    logits, labels = logits.astype(np.float64), labels.astype(np.float64)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        shifted = parameters[0] * logits + parameters[1]
        error = expit(shifted) - labels
        return float((np.logaddexp(0, shifted) - labels * shifted).mean()), np.array(
            [(error * logits).mean(), error.mean()]
        )

    found = minimize(loss, Calibration(), jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE, None), (None, None)])
    return Calibration(*map(float, found.x))
