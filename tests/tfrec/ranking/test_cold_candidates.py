"""What nobody chose yet: ranked by what a history holds of its groups, as the ranker's own evidence tells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.candidates import SOURCES
from tfrec.ranking.cold_candidates import LEAST_CHOICES, Newcomers
from tfrec.ranking.features import Evidence
from tfrec.ranking.item_statistics import item_statistics

DAY = 86_400
NOW = 1000 * DAY

# Items 1 and 2 of category 1 were chosen, 3 of category 2 too; 4 of category 1, 5 of 2 and 6 of none never.
CATEGORY = {"category": np.array([[0], [1], [1], [2], [1], [2], [0]]), "category_size": 3}
ROWS = 7
NEW = [4, 5, 6]
EVENTS = pd.DataFrame({"user": [0, 0, 1], "row": [1, 2, 3], "timestamp": [NOW - 30 * DAY] * 3})
HISTORY = History(
    tf.constant([[1, 2, 1], [3, 0, 0], [0, 0, 0]], tf.int64),
    tf.zeros([3, 3], tf.int64),
    tf.constant([[NOW - days * DAY for days in (90, 30, 10)], [NOW - 400 * DAY, 0, 0], [0, 0, 0]], tf.int64),
    tf.zeros([3, 3]),
    tf.constant([[True, True, True], [True, False, False], [False, False, False]]),
)
MOMENTS = tf.constant([NOW] * 3, tf.int64)
TOWERS = tf.constant(np.random.default_rng(0).normal(size=(3, ROWS)).astype(np.float32))


@pytest.fixture
def newcomers(make_catalog) -> Newcomers:
    statistics = item_statistics(EVENTS, ROWS, NOW)
    # Items 4 and 1 read alike; 0 is no text.
    evidence = Evidence(make_catalog([[5], [6], [7], [5], [9], [8]], **CATEGORY), statistics, "utc", SOURCES)
    made = Newcomers(evidence, ROWS)
    made.learn(statistics)
    return made


def evidence_of_new(newcomers: Newcomers) -> np.ndarray:
    """[3, new items, features] as the ranker is given it."""
    rows = tf.repeat(tf.constant([NEW], tf.int64), 3, axis=0)
    scores = tf.stack([tf.gather(TOWERS, rows, batch_dims=1), *[tf.zeros([3, 3])] * (len(SOURCES) - 1)], axis=-1)
    return newcomers._evidence(HISTORY, MOMENTS, rows, scores).numpy()


def test_untaught_it_leaves_them_in_the_order_of_the_towers(newcomers):
    assert newcomers.rows.numpy().tolist() == NEW
    np.testing.assert_array_equal(newcomers.scores(HISTORY, MOMENTS, TOWERS), TOWERS.numpy()[:, NEW])


def test_it_is_the_same_linear_function_of_the_rankers_evidence(newcomers):
    features = evidence_of_new(newcomers)
    random = np.random.default_rng(1)
    drawn = features.reshape(-1, features.shape[-1])[random.integers(0, 9, 2000)] + random.normal(size=(2000, 1))
    assert newcomers.teach(drawn, random.random(2000) < 0.3)
    coefficients = newcomers._coefficients.numpy()
    assert (coefficients != 0).sum() > 3
    found, expected = newcomers.scores(HISTORY, MOMENTS, TOWERS).numpy(), features @ coefficients
    centred = [scores - scores.mean(axis=1, keepdims=True) for scores in (found, expected)]
    np.testing.assert_allclose(*centred, atol=1e-4)


def test_it_learns_that_shoppers_stay_with_their_category(newcomers):
    features = evidence_of_new(newcomers)[:2].reshape(6, -1)
    is_chosen = np.array([True, False, False, False, True, False])  # the category of each one's own history
    assert newcomers.teach(np.repeat(features, 100, axis=0), np.repeat(is_chosen, 100))
    best = np.argmax(newcomers.scores(HISTORY, MOMENTS, tf.zeros([3, ROWS])), axis=1)
    assert best.tolist()[:2] == [0, 1]


def test_too_few_choices_teach_nothing(newcomers):
    features = np.random.default_rng(0).normal(size=(1000, len(newcomers._evidence.names)))
    assert not newcomers.teach(features, np.arange(1000) < LEAST_CHOICES - 1)
    np.testing.assert_array_equal(newcomers.scores(HISTORY, MOMENTS, TOWERS), TOWERS.numpy()[:, NEW])


def test_where_every_new_item_was_chosen_there_is_nothing_to_learn(newcomers):
    features = np.random.default_rng(0).normal(size=(1000, len(newcomers._evidence.names)))
    assert not newcomers.teach(features, np.ones(1000, bool))


def test_where_all_were_chosen_nothing_is_new(newcomers):
    newcomers.learn(np.ones((ROWS, 10), np.float32))
    assert newcomers.scores(HISTORY, MOMENTS, TOWERS).shape == (3, 0)
