"""Chances against what came of them, on candidates counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.analysis.calibration_curve import Chances
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["book", "mug", "tea"], dtype=object)


@pytest.fixture
def holdout() -> Holdout:
    """ann chose the tea, bob book and tea."""
    rows = [("ann", "tea"), ("bob", "book"), ("bob", "tea")]
    during = pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(kind="purchase", timestamp=START)
    return holdout_from_events(during[:0], during, ITEMS, candidates="catalog")


def test_equally_many_candidates_are_in_a_bin_and_no_other_item(holdout):
    scores = np.array([[0.1, -1.0, 0.9], [0.2, 0.0, 0.5]], np.float32)
    probabilities = Chances(holdout)
    heard = probabilities.listening(lambda rows: scores[rows])
    np.testing.assert_array_equal(heard(np.array([1])), scores[1:])
    np.testing.assert_array_equal(heard(np.array([0])), scores[:1])
    # The mug of ann is no candidate. By chance: 0.0 (bob's mug), 0.1 (ann's book), 0.2 (bob's book, chosen),
    # 0.5 (bob's tea, chosen), 0.9 (ann's tea, chosen).
    found = probabilities.reliability(bins=2)
    assert [(b.predicted, b.observed, b.candidates) for b in found.bins] == [
        (pytest.approx(0.1), pytest.approx(1 / 3), 3),
        (pytest.approx(0.7), 1.0, 2),
    ]
    assert found.error == pytest.approx((3 * (1 / 3 - 0.1) + 2 * 0.3) / 5)


def test_few_candidates_have_few_bins_and_none_have_none(holdout):
    probabilities = Chances(holdout)
    assert probabilities.reliability() == type(probabilities.reliability())((), 0.0)
    probabilities.listening(lambda rows: np.full((len(rows), 3), [0.5, -2.0, np.nan], np.float32))(np.array([1]))
    (only,) = probabilities.reliability().bins
    assert (only.predicted, only.observed, only.candidates) == (0.5, 1.0, 1)
