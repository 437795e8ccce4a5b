"""Collaborative baselines on a shop of two tastes, and compared with their formulas."""

from __future__ import annotations

from ctypes.util import find_library
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation.baselines import collaborative
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS

needs_gomp = pytest.mark.skipif(
    find_library("gomp") is None, reason="the package loads libgomp1; Debian 12: apt-get install libgomp1"
)
ITEMS = np.array(["pasta", "sauce", "hammer", "nails", "tea"], dtype=object)

# Cooks buy pasta and sauce, builders hammer and nails; ann has pasta, bob nails, nobody tea.
BEFORE = [
    ("ann", "pasta", -60),
    ("ann", "pasta", -120),
    ("bob", "nails", -1),
    *((f"cook{n}", item, -90) for n in range(4) for item in ("pasta", "sauce")),
    *((f"builder{n}", item, -90) for n in range(4) for item in ("hammer", "nails")),
]
DURING = [("ann", "sauce", 0), ("bob", "hammer", 2), ("fay", "tea", 3)]
ANN, BOB, FAY = 0, 1, 2


def events(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    users, items, days = zip(*rows, strict=True)
    seconds = START + np.array(days) * DAY_SECONDS
    return pd.DataFrame({"user_id": users, "item_id": items, "kind": "purchase", "timestamp": seconds})


@pytest.fixture
def holdout() -> Holdout:
    return holdout_from_events(events(BEFORE), events(DURING), ITEMS)


def best_new(scores: np.ndarray, known: int) -> str:
    return str(ITEMS[np.argmax(np.where(np.arange(len(ITEMS)) == known, -np.inf, scores))])


@pytest.mark.parametrize(
    "baseline",
    [
        collaborative.item_knn,
        collaborative.ease,
        lambda holdout: collaborative.linear_autoencoder(holdout, 2, 1.0),
        pytest.param(lambda holdout: collaborative.ials(holdout, factors=2, regularization=0.1), marks=needs_gomp),
        pytest.param(lambda holdout: collaborative.bpr(holdout, factors=4), marks=needs_gomp),
    ],
    ids=["item_knn", "ease", "linear_autoencoder", "ials", "bpr"],
)
def test_a_cook_gets_sauce_and_a_builder_a_hammer(baseline, holdout):
    score = baseline(holdout)
    scores = score(np.array([ANN, BOB]))
    assert scores.shape == (2, 5)
    assert best_new(scores[0], 0) == "sauce"
    assert best_new(scores[1], 3) == "hammer"
    np.testing.assert_allclose(score(np.array([BOB])), scores[1:], rtol=1e-4, atol=1e-6)


def test_a_user_without_history_has_zero_scores(holdout):
    assert collaborative.item_knn(holdout)(np.array([FAY])).tolist() == [[0, 0, 0, 0, 0]]


def test_interactions_have_the_selected_weight(holdout):
    of_ann = {
        weight: collaborative.interactions(holdout, weight)[ANN].toarray()[0, 0]
        for weight in get_args(collaborative.Weight)
    }
    # Two baskets, 60 and 120 days old, with a half-life of 60 days.
    assert of_ann == pytest.approx({"binary": 1, "log": np.log(3), "recent": 0.75})
    with pytest.raises(ConfigError, match="`weight` is 'heavy'; use one of binary, log, recent"):
        collaborative.interactions(holdout, "heavy")


def test_ease_gives_the_same_scores_solved_over_users_and_over_items(holdout):
    # 11 users and 5 items: solved over items. Over users it must give x - (x P) / diag(P).
    matrix = collaborative.interactions(holdout).toarray().astype(np.float64)
    inverse = np.linalg.inv(matrix.T @ matrix + 3.0 * np.eye(5))
    expected = matrix - (matrix @ inverse) / np.diag(inverse)
    np.testing.assert_allclose(collaborative.ease(holdout, 3.0)(np.arange(3)), expected[:3], atol=1e-5)
    wide = np.array([*ITEMS, *(f"other{n}" for n in range(20))], dtype=object)
    more = events([*BEFORE, *(("ann", f"other{n}", -5) for n in range(20))])
    holdout = holdout_from_events(more, events(DURING), wide)
    matrix = collaborative.interactions(holdout).toarray().astype(np.float64)
    assert matrix.shape[0] < matrix.shape[1]
    inverse = np.linalg.inv(matrix.T @ matrix + 3.0 * np.eye(25))
    expected = matrix - (matrix @ inverse) / np.diag(inverse)
    np.testing.assert_allclose(collaborative.ease(holdout, 3.0)(np.arange(3)), expected[:3], atol=1e-4)


def test_item_knn_sums_over_the_nearest_neighbors_only(holdout):
    # Cosines: pasta-sauce 4 / sqrt(5 * 4); with one neighbor each item's nearest is itself.
    assert collaborative.item_knn(holdout, 2)(np.array([ANN]))[0, :2] == pytest.approx([1, 4 / np.sqrt(20)])
    assert collaborative.item_knn(holdout, 1)(np.array([ANN]))[0].tolist() == pytest.approx([1, 0, 0, 0, 0])


def test_a_shop_too_large_for_ease_is_refused_with_alternatives(holdout, monkeypatch):
    monkeypatch.setattr(collaborative, "MAX_DENSE", 4)
    with pytest.raises(ConfigError, match="EASE inverts a matrix of 5 rows, more than 4; use item_knn"):
        collaborative.ease(holdout)
