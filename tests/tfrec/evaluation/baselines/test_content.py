"""Content-based baselines: the text decides, also for items without any buyer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.baselines.content import log_popularity, text_knn, tfidf_profile
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["p1", "p2", "h1", "h2"], dtype=object)
TEXTS = ["dry pasta penne", "dry pasta fusilli", "claw hammer", "sledge hammer"]
# Unit vectors: pasta east, hammers north, the second of each 30 degrees off.
VECTORS = np.array([[1, 0], [np.cos(np.pi / 6), 0.5], [0, 1], [0.5, np.cos(np.pi / 6)]], np.float32)
ANN, BOB = 0, 1


@pytest.fixture
def holdout() -> Holdout:
    def events(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
        users, items, days = zip(*rows, strict=True)
        seconds = START + np.array(days) * DAY_SECONDS
        return pd.DataFrame({"user_id": users, "item_id": items, "kind": "purchase", "timestamp": seconds})

    return holdout_from_events(
        events([("ann", "p1", -1), ("bob", "h1", -1)]), events([("ann", "p2", 1), ("bob", "h2", 1)]), ITEMS
    )


def test_a_cold_item_with_similar_words_is_found(holdout):
    scores = tfidf_profile(holdout, TEXTS)(np.array([ANN, BOB]))
    # "dry", "pasta" and "hammer" stand in two texts each, all others in one, which is too rare.
    np.testing.assert_allclose(scores, [[1, 1, 0, 0], [0, 0, 1, 1]], atol=1e-6)


def test_similarities_are_raised_to_the_power_and_scaled_to_the_best(holdout):
    scores = text_knn(holdout, TEXTS, VECTORS, power=2, weight="binary")(np.array([ANN]))
    # Cosines 1, cos 30, 0, cos 60 to the power of two.
    np.testing.assert_allclose(scores, [[1, 0.75, 0, 0.25]], atol=1e-6)


def test_equal_texts_share_one_vector(holdout):
    texts = ["dry pasta", "dry pasta", "hammer", "hammer"]
    vectors = VECTORS[[0, 0, 2, 2]]
    scores = text_knn(holdout, texts, vectors, power=1, weight="binary")(np.array([BOB, ANN]))
    np.testing.assert_allclose(scores, [[0, 0, 1, 1], [1, 1, 0, 0]], atol=1e-6)


def test_popularity_is_added_with_its_weight(holdout):
    # p1 and h1 have one buyer each, the most there is; the others none.
    assert log_popularity(holdout).tolist() == [1, 0, 1, 0]
    with_prior = text_knn(holdout, TEXTS, VECTORS, power=2, weight="binary", popularity=0.5)(np.array([ANN]))
    np.testing.assert_allclose(with_prior, [[1.5, 0.75, 0.5, 0.25]], atol=1e-6)
