"""Cold items, scored by a history's events with their groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.candidates import SCORE_NAMES
from tfrec.ranking.cold_candidates import MIN_POSITIVES, ColdCandidates
from tfrec.ranking.features import CandidateFeatures
from tfrec.ranking.item_statistics import item_statistics

DAY = 86_400
NOW = 1000 * DAY

# Items 1 and 2 of category 1 were bought, 3 of category 2 too; 4 of category 1, 5 of 2 and 6 of
# none never were.
CATEGORY = {"category": np.array([[0], [1], [1], [2], [1], [2], [0]]), "category_size": 3}
ROWS = 7
COLD = [4, 5, 6]
EVENTS = pd.DataFrame({"user": [0, 0, 1], "row": [1, 2, 3], "timestamp": [NOW - 30 * DAY] * 3})
HISTORY = History(
    tf.constant([[1, 2, 1], [3, 0, 0], [0, 0, 0]], tf.int64),
    tf.zeros([3, 3], tf.int64),
    tf.constant([[NOW - days * DAY for days in (90, 30, 10)], [NOW - 400 * DAY, 0, 0], [0, 0, 0]], tf.int64),
    tf.zeros([3, 3]),
    tf.constant([[True, True, True], [True, False, False], [False, False, False]]),
)
QUERY_TIMES = tf.constant([NOW] * 3, tf.int64)
TOWERS = tf.constant(np.random.default_rng(0).normal(size=(3, ROWS)).astype(np.float32))


STATISTICS = item_statistics(EVENTS, ROWS, NOW)


@pytest.fixture
def features(make_catalog) -> CandidateFeatures:
    # Items 4 and 1 have the same text; 0 is no text.
    catalog = make_catalog([[5], [6], [7], [5], [9], [8]], **CATEGORY)
    return CandidateFeatures(catalog, STATISTICS, "utc", SCORE_NAMES)


@pytest.fixture
def cold(features: CandidateFeatures) -> ColdCandidates:
    made = ColdCandidates(features, ROWS)
    made.set_statistics(STATISTICS)
    return made


def values_of_cold(features: CandidateFeatures) -> np.ndarray:
    """[3, cold items, features] that the ranker would get."""
    rows = tf.repeat(tf.constant([COLD], tf.int64), 3, axis=0)
    scores = tf.stack([tf.gather(TOWERS, rows, batch_dims=1), *[tf.zeros([3, 3])] * (len(SCORE_NAMES) - 1)], axis=-1)
    return features.compute(HISTORY, QUERY_TIMES, rows, scores).numpy()


def test_before_a_fit_cold_items_are_scored_by_the_towers(cold):
    assert cold.rows.numpy().tolist() == COLD
    np.testing.assert_array_equal(cold.score(HISTORY, QUERY_TIMES, TOWERS), TOWERS.numpy()[:, COLD])


def test_scores_are_a_linear_function_of_the_ranking_features(cold, features):
    values = values_of_cold(features)
    random = np.random.default_rng(1)
    drawn = values.reshape(-1, values.shape[-1])[random.integers(0, 9, 2000)] + random.normal(size=(2000, 1))
    assert cold.fit(drawn, random.random(2000) < 0.3)
    coefficients = cold.coefficients.numpy()
    assert (coefficients != 0).sum() > 3
    scores, expected = cold.score(HISTORY, QUERY_TIMES, TOWERS).numpy(), values @ coefficients
    centered = [each - each.mean(axis=1, keepdims=True) for each in (scores, expected)]
    np.testing.assert_allclose(*centered, atol=1e-4)


def test_a_fit_learns_that_users_stay_with_their_category(cold, features):
    values = values_of_cold(features)[:2].reshape(6, -1)
    is_positive = np.array([True, False, False, False, True, False])  # the category of each one's own history
    assert cold.fit(np.repeat(values, 100, axis=0), np.repeat(is_positive, 100))
    best = np.argmax(cold.score(HISTORY, QUERY_TIMES, tf.zeros([3, ROWS])), axis=1)
    assert best.tolist()[:2] == [0, 1]


def test_too_few_positives_fit_nothing(cold, features):
    values = np.random.default_rng(0).normal(size=(1000, len(features.names)))
    assert not cold.fit(values, np.arange(1000) < MIN_POSITIVES - 1)
    np.testing.assert_array_equal(cold.score(HISTORY, QUERY_TIMES, TOWERS), TOWERS.numpy()[:, COLD])


def test_without_a_negative_nothing_is_fitted(cold, features):
    values = np.random.default_rng(0).normal(size=(1000, len(features.names)))
    assert not cold.fit(values, np.ones(1000, bool))


def test_without_cold_items_there_are_no_scores(cold):
    cold.set_statistics(np.ones((ROWS, 10), np.float32))
    assert cold.score(HISTORY, QUERY_TIMES, TOWERS).shape == (3, 0)
