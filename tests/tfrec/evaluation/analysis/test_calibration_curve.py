"""Predicted probabilities and observed shares of candidates counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.analysis.calibration_curve import CandidateProbabilities
from tfrec.evaluation.details import CalibrationCurve
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["book", "mug", "tea"], dtype=object)


@pytest.fixture
def holdout() -> Holdout:
    """Labels: ann's tea, bob's book and tea."""
    rows = [("ann", "tea"), ("bob", "book"), ("bob", "tea")]
    during = pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(kind="purchase", timestamp=START)
    return holdout_from_events(during[:0], during, ITEMS, candidates="catalog")


def test_bins_hold_equally_many_candidates_and_no_other_items(holdout):
    scores = np.array([[0.1, -1.0, 0.9], [0.2, 0.0, 0.5]], np.float32)
    probabilities = CandidateProbabilities(holdout)
    recorded = probabilities.recorded(lambda rows: scores[rows])
    np.testing.assert_array_equal(recorded(np.array([1])), scores[1:])
    np.testing.assert_array_equal(recorded(np.array([0])), scores[:1])
    # The mug of ann is no candidate. In order: 0.0 (bob's mug), 0.1 (ann's book), 0.2 (bob's book,
    # a label), 0.5 (bob's tea, a label), 0.9 (ann's tea, a label).
    curve = probabilities.curve(bins=2)
    assert [(b.predicted, b.observed, b.candidates) for b in curve.bins] == [
        (pytest.approx(0.1), pytest.approx(1 / 3), 3),
        (pytest.approx(0.7), 1.0, 2),
    ]
    assert curve.error == pytest.approx((3 * (1 / 3 - 0.1) + 2 * 0.3) / 5)


def test_few_candidates_have_few_bins_and_no_candidates_none(holdout):
    probabilities = CandidateProbabilities(holdout)
    assert probabilities.curve() == CalibrationCurve((), 0.0)
    probabilities.recorded(lambda rows: np.full((len(rows), 3), [0.5, -2.0, np.nan], np.float32))(np.array([1]))
    (only,) = probabilities.curve().bins
    assert (only.predicted, only.observed, only.candidates) == (0.5, 1.0, 1)
