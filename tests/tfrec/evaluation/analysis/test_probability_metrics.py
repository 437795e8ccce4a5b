"""AUC, log loss and accuracy of a few probabilities, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec.evaluation.analysis.probability_metrics import probability_metrics


def test_the_metrics_of_five_candidates():
    # Two labels, at 0.9 and 0.2. Of the six pairs (label, other) the label is higher in five: 0.9
    # above all, 0.2 above 0.1 and 0.1, below 0.6. At 0.5 the 0.2 and the 0.6 are wrong.
    values = probability_metrics(np.array([0.9, 0.2, 0.6, 0.1, 0.1]), np.array([True, True, False, False, False]))
    assert (values.candidates, values.labels) == (5, 2)
    assert values.auc == pytest.approx(5 / 6)
    assert values.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.4) + 2 * math.log(0.9)) / 5)
    assert values.accuracy == pytest.approx(3 / 5)


def test_a_certain_mistake_has_a_finite_log_loss_and_one_class_no_auc():
    values = probability_metrics(np.array([1.0, 0.0]), np.array([False, False]))
    assert 10 < values.log_loss < 100
    assert math.isnan(values.auc)
    assert values.accuracy == 0.5


def test_no_candidates_have_no_metrics():
    values = probability_metrics(np.empty(0), np.empty(0, bool))
    assert values.candidates == 0
    assert math.isnan(values.auc)
    assert math.isnan(values.log_loss)
    assert math.isnan(values.accuracy)
