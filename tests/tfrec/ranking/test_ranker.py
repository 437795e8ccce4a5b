"""The ranker alone: its inputs, its training and its probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.ranking.blend import PARTS, POPULARITY, TOWERS, Blend
from tfrec.ranking.ranker import LIMIT, Ranker, with_funnel

NAMES = ("towers", "item_users_28", "towers_below_best", "repeat", "user_events")
CONFIG = RankingConfig(hidden=(8,), cross_rank=4, embedding_dim=2, dropout=0.0)
COLUMNS = {
    "category": np.array([[0, 0], [1, 2], [1, 3]]),
    "category_size": 4,
    "profile_sizes": {"user_city": 3},
}


@pytest.fixture
def ranker(make_catalog) -> Ranker:
    tf.keras.utils.set_random_seed(3)
    return Ranker(make_catalog([[5], [6]], **COLUMNS), NAMES, ("view", "purchase"), 2, CONFIG)


def padded(features: list[list[float]] | np.ndarray) -> np.ndarray:
    """Two features of each candidate, and 0 for the others of NAMES."""
    return np.pad(np.array(features, np.float32), [(0, 0), (0, len(NAMES) - 2)])


def inputs(features: list[list[float]], rows: list[int], cities: list[int]) -> dict[str, tf.Tensor]:
    return {
        "features": tf.constant(padded(features)),
        "rows": tf.constant(rows, tf.int64),
        "user_city": tf.constant(cities, tf.int64),
    }


def test_each_head_learns_a_rule_of_its_own(ranker):
    # Views depend on the first feature, purchases on item and city: in city 1 item 1, in city 2
    # item 2.
    random = np.random.default_rng(0)
    features, rows, cities = random.normal(size=(512, 2)), random.integers(1, 3, 512), random.integers(1, 3, 512)
    labels = np.stack([features[:, 0] > 0, rows == cities], axis=1).astype(np.float32)
    batch = inputs(features.astype(np.float32).tolist(), rows.tolist(), cities.tolist()) | {
        "labels": tf.constant(labels)
    }
    ranker.fit_scale(padded(features.tolist()))
    ranker.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    ranker.fit(tf.data.Dataset.from_tensors(batch).repeat(300), verbose=0)
    predicted = tf.sigmoid(ranker(batch)).numpy() > 0.5
    assert (predicted == labels).mean(axis=0).min() > 0.97


def test_every_trainable_weight_moves_after_one_step(ranker):
    batch = inputs([[1.0, 2.0], [3.0, -1.0]], [1, 2], [1, 2]) | {"labels": tf.constant([[1.0, 0.0], [0.0, 1.0]])}
    ranker(batch)
    ranker.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    before = [weight.numpy() for weight in ranker.trainable_weights]
    # Two steps: a ReLU unit may be inactive in one of them.
    ranker.fit(tf.data.Dataset.from_tensors(batch).repeat(2), verbose=0)
    assert len(before) > 8
    for weight, old in zip(ranker.trainable_weights, before, strict=True):
        assert np.abs(weight.numpy() - old).max() > 0, weight.name


def test_features_are_scaled_and_a_constant_one_has_no_effect(ranker):
    ranker.fit_scale(padded([[1.0, 5.0], [3.0, 5.0]]))  # mean 2 and 5, spread 1 and 0
    rows = ([1] * 4, [0] * 4)
    logits = ranker(inputs([[2.0, 5.0], [2.0, 99.0], [2 + LIMIT, 5.0], [2 + 2 * LIMIT, 5.0]], *rows)).numpy()
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[2], logits[3])
    assert np.abs(logits[0] - logits[2]).max() > 1e-3


def test_a_feature_that_varies_by_rounding_alone_has_no_effect_later(ranker):
    # In a shop where everybody has four events, the count's logarithm is one number but for its
    # last digits.
    count = np.float32(np.log(5)) + np.array([0, 1e-4], np.float32).repeat(50)
    ranker.fit_scale(padded(np.stack([np.tile([1.0, 3.0], 50), count], axis=1)))
    logits = ranker(inputs([[2.0, np.log(5)], [2.0, np.log(6)]], [1, 1], [0, 0])).numpy()
    np.testing.assert_array_equal(logits[0], logits[1])


def test_calibrated_probabilities_keep_the_order_of_the_logits(ranker):
    batch = inputs([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5]], [1, 2, 1], [1, 2, 0])
    logits = ranker(batch).numpy()
    np.testing.assert_allclose(ranker.probabilities(batch), 1 / (1 + np.exp(-logits)), rtol=1e-5)
    ranker.slope.assign([[0.5, 2.0]] * len(PARTS))
    ranker.bias.assign([[-1.0, 0.25]] * len(PARTS))
    np.testing.assert_allclose(
        ranker.probabilities(batch), 1 / (1 + np.exp(-(logits * [0.5, 2.0] + [-1.0, 0.25]))), rtol=1e-5
    )
    np.testing.assert_array_equal(np.argsort(ranker.probabilities(batch), axis=0), np.argsort(logits, axis=0))


def test_a_funnel_multiplies_the_probability_of_any_kind_with_that_of_the_kind():
    logits = np.log(np.array([[1.0, 1 / 3, 3.0], [9.0, 1.0, 1e-6]]), dtype=np.float32)
    # Probabilities given an event 1/2 and 1/4, of an event 3/4; then 9/10, 1/2 and 1e-6.
    probabilities = tf.sigmoid(with_funnel(tf.constant(logits))).numpy()
    np.testing.assert_allclose(probabilities, [[3 / 8, 3 / 16, 3 / 4], [9e-7, 5e-7, 1e-6]], rtol=1e-4)


def test_with_a_funnel_an_event_of_any_kind_is_a_label_too(make_catalog):
    config = RankingConfig(heads="funnel", hidden=(4,), dropout=0.0)
    ranker = Ranker(make_catalog([[5]]), NAMES, ("view", "purchase"), 1, config)
    inputs = {"features": tf.zeros([2, len(NAMES)]), "rows": tf.constant([1, 1], tf.int64)}
    ranker.make_weights()
    for weight in ranker.trainable_weights:
        weight.assign(tf.zeros_like(weight))
    assert ranker.heads == ("view", "purchase")
    np.testing.assert_allclose(ranker.probabilities(inputs), [[0.25, 0.25]] * 2, rtol=1e-6)
    # Both candidates have an event: the view and the purchase of one each, with probability 1/4,
    # and an event of any kind of both, with 1/2: 2 * (ln 4 + ln 4/3) / 2 + ln 2.
    labels = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    expected = np.log(4) + np.log(4 / 3) + np.log(2)
    np.testing.assert_allclose(ranker.compute_loss(inputs | {"labels": labels}), expected, rtol=1e-6)


@pytest.mark.parametrize("heads", ["independent", "funnel"])
def test_the_first_probabilities_are_the_shares_of_the_labels(make_catalog, heads):
    config = RankingConfig(heads=heads, hidden=(4,), dropout=0.0)
    ranker = Ranker(make_catalog([[5]]), NAMES, ("view", "purchase", "cart"), 1, config)
    labels = np.zeros((1000, 3), np.float32)
    labels[:100, 0], labels[80:130, 1] = 1, 1  # of 130 candidates in all; nobody has a cart
    ranker.make_weights()
    ranker.start_at_rates(labels)
    inputs = {"features": tf.zeros([1, len(NAMES)]), "rows": tf.zeros([1], tf.int64)}
    for weight in ranker.trainable_weights:
        if weight.shape.rank > 1 or "heads" not in weight.name:
            weight.assign(tf.zeros_like(weight))
    np.testing.assert_allclose(ranker.probabilities(inputs), [[100.5 / 1001, 50.5 / 1001, 0.5 / 1001]], rtol=1e-3)
    only = np.ones((3, 3), np.float32)
    ranker.start_at_rates(only)  # no infinite bias where every candidate is a positive
    assert np.isfinite(ranker.probabilities(inputs)).all()


def test_one_head_has_no_funnel(make_catalog):
    ranker = Ranker(make_catalog([[5]]), NAMES, ("purchase",), 1, RankingConfig(heads="funnel"))
    assert ranker({"features": tf.zeros([2, len(NAMES)]), "rows": tf.constant([1, 1], tf.int64)}).shape == (2, 1)


def test_a_blend_weighs_the_scores_of_towers_and_popularity(ranker):
    batch = inputs([[1.0, 2.0], [3.0, -1.0]], [1, 2], [1, 2])
    logits = ranker(batch).numpy()
    ranker.blend.assign([Blend(0.5, towers=2.0, popularity=3.0)] * len(PARTS))
    # 2 * 1 + 3 * 2 and 2 * 3 + 3 * -1
    expected = 0.5 * logits + np.array([[8.0], [3.0]])
    np.testing.assert_allclose(ranker.probabilities(batch), 1 / (1 + np.exp(-expected)), rtol=1e-5)
    ranker.blend.assign([TOWERS] * len(PARTS))
    np.testing.assert_allclose(ranker.probabilities(batch)[:, 0], 1 / (1 + np.exp([-1.0, -3.0])), rtol=1e-5)


def test_a_blend_takes_the_towers_score_of_new_items_only(make_catalog):
    ranker = Ranker(make_catalog([[5]]), NAMES, ("purchase",), 1, CONFIG)
    batch = {
        "features": tf.constant([[7.0, 0.0, -2.0, 0.0, 0.0], [9.0, 0.0, 0.5, 1.0, 0.0]]),
        "rows": tf.constant([1, 1], tf.int64),
    }
    ranker.blend.assign([Blend(0.0, towers_of_new=1.0)] * len(PARTS))
    # 2 below the best new item; an item of the history.
    np.testing.assert_allclose(ranker.probabilities(batch)[:, 0], 1 / (1 + np.exp([2.0, 0.0])), rtol=1e-5)


def test_the_length_of_the_history_selects_blend_slope_and_bias(make_catalog):
    ranker = Ranker(make_catalog([[5]]), NAMES, ("purchase",), 1, CONFIG)
    # The towers' score is 1 and popularity 2, after 0, 1, 20 and 21 events.
    features = [[1.0, 2.0, 0.0, 0.0, np.log1p(events)] for events in (0, 1, 20, 21)]
    batch = {"features": tf.constant(features, tf.float32), "rows": tf.constant([1] * 4, tf.int64)}
    ranker.blend.assign([POPULARITY, TOWERS, Blend(0.0, towers=-1.0)])
    ranker.slope.assign([[1.0], [2.0], [3.0]])
    ranker.bias.assign([[0.5], [0.0], [0.0]])
    logits = np.array([2.5, 2.0, 2.0, -3.0])
    np.testing.assert_allclose(ranker.probabilities(batch)[:, 0], 1 / (1 + np.exp(-logits)), rtol=1e-5)
