"""Features of two candidates for a history of five events, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.features import CandidateFeatures
from tfrec.ranking.item_statistics import NEVER_DAYS, STATISTIC_NAMES

DAY = 86_400
NOW = 1000 * DAY

# Items 1 and 2 are of category 1, item 3 of category 2; all have texts of their own and no brand.
CATEGORY = {"category": np.array([[0], [1], [1], [2]]), "category_size": 3}
ROWS = [1, 2, 3, 1, 1]
DAYS_AGO = [90, 30, 30, 30, 10]  # three baskets
LENGTH = 7


@pytest.fixture(scope="module")
def features(make_catalog) -> CandidateFeatures:
    statistics = np.zeros((4, len(STATISTIC_NAMES)), np.float32)
    statistics[:, STATISTIC_NAMES.index("item_gap_days")] = [0, 20, 5, 5]
    return CandidateFeatures(make_catalog([[5], [6], [7]], **CATEGORY), statistics, "utc", ("first", "second"))


def history_of(rows: list[int], days_ago: list[int], length: int = LENGTH) -> History:
    padding = length - len(rows)
    return History(
        tf.constant([rows + [0] * padding], tf.int64),
        tf.zeros([1, len(rows) + padding], tf.int64),
        tf.constant([[NOW - days * DAY for days in days_ago] + [0] * padding], tf.int64),
        tf.constant([[1.0] * len(rows) + [0.0] * padding]),
        tf.constant([[True] * len(rows) + [False] * padding], tf.bool),
    )


def compute(features: CandidateFeatures, history: History, rows: list[int]) -> dict[str, np.ndarray]:
    """Name -> [candidates], logarithms undone except for the scores."""
    scores = tf.constant([[[0.5, -2.0]] * len(rows)])
    values = features.compute(history, tf.constant([NOW], tf.int64), tf.constant([rows], tf.int64), scores)[0].numpy()
    assert values.shape == (len(rows), len(features.names))
    raw = np.sign(values) * np.expm1(np.abs(values))
    raw[:, -2:] = values[:, -2:]
    return dict(zip(features.names, raw.T, strict=True))


@pytest.fixture(scope="module")
def values(features) -> dict[str, np.ndarray]:
    return compute(features, history_of(ROWS, DAYS_AGO), [1, 2])


def test_a_pair_has_counts_and_ages_and_gaps(values):
    np.testing.assert_allclose(values["times"], [3, 1], rtol=1e-5)
    np.testing.assert_allclose(values["times_30"], [0.5**3 + 0.5 + 0.5 ** (1 / 3), 0.5], rtol=1e-5)
    np.testing.assert_allclose(values["times_in_5_baskets"], [3, 1], rtol=1e-5)
    np.testing.assert_allclose(values["idle_days"], [10, 30], rtol=1e-5)
    np.testing.assert_allclose(values["age_days"], [90, 30], rtol=1e-5)
    # Item 1 came after 60 and 20 days, 40 on average; item 2 once.
    np.testing.assert_allclose(values["gap_days"], [40, NEVER_DAYS], rtol=1e-5)
    np.testing.assert_allclose(values["due"], [10 / 40, 30 / NEVER_DAYS], rtol=1e-5)
    np.testing.assert_allclose(values["item_due"], [10 / 20, 30 / 5], rtol=1e-5)
    np.testing.assert_allclose(values["per_basket"], [1, 1 / 3], rtol=1e-5)


def test_a_category_sums_its_items_and_an_unknown_brand_has_no_events(values):
    np.testing.assert_allclose(values["category_0_times"], [4, 4], rtol=1e-5)
    np.testing.assert_allclose(values["category_0_idle_days"], [10, 10], rtol=1e-5)
    by_120 = [0.5 ** (days / 120) for days in (90, 30, 10, 30)]
    np.testing.assert_allclose(
        values["category_0_share"], [sum(by_120[:3]) / sum(by_120), by_120[3] / sum(by_120)], rtol=1e-4
    )
    np.testing.assert_allclose(values["text_times"], [3, 1], rtol=1e-5)
    assert values["brand_times"].tolist() == [0, 0]
    assert values["brand_share"].tolist() == [0, 0]


def test_a_cold_item_gets_the_users_of_its_groups(make_catalog):
    statistics = np.zeros((4, len(STATISTIC_NAMES)), np.float32)
    statistics[:, STATISTIC_NAMES.index("item_users_28")] = [9, 4, 0, 6]
    features = CandidateFeatures(
        make_catalog([[5], [6], [7]], **CATEGORY), np.zeros_like(statistics), "utc", ("first", "second")
    )
    assert compute(features, history_of([], []), [2])["item_category_0_users"].tolist() == [0]
    features.set_statistics(statistics)
    values = compute(features, history_of([], []), [1, 2, 3])
    np.testing.assert_allclose(values["item_category_0_users"], [4, 4, 6], rtol=1e-5)
    np.testing.assert_allclose(values["item_category_0_users_per_item"], [2, 2, 6], rtol=1e-5)
    assert values["item_brand_users"].tolist() == [0, 0, 0]  # all unknown: no group


def test_a_user_has_baskets_events_and_prices(values):
    for name, value in (("baskets", 3), ("baskets_28", 1), ("events", 5), ("events_28", 1), ("idle_days", 10)):
        np.testing.assert_allclose(values[f"user_{name}"], [value, value], rtol=1e-5)
    np.testing.assert_allclose(values["user_mean_price"], [1, 1], rtol=1e-5)
    assert values["first"].tolist() == [0.5, 0.5]
    assert values["second"].tolist() == [-2, -2]


def test_each_user_of_a_batch_gets_features_of_their_own_history(features):
    histories = [history_of(ROWS, DAYS_AGO), history_of([], []), history_of([3, 2], [20, 4])]
    together = History(*(tf.concat(parts, axis=0) for parts in zip(*histories, strict=True)))
    query_times, rows = tf.constant([NOW] * 3, tf.int64), tf.constant([[1, 3], [3, 0], [2, 3]], tf.int64)
    scores = tf.zeros([3, 2, 2])
    values = features.compute(together, query_times, rows, scores).numpy()
    for user, history in enumerate(histories):
        alone = features.compute(history, query_times[:1], rows[user : user + 1], scores[:1]).numpy()[0]
        np.testing.assert_allclose(values[user], alone, rtol=1e-6)


def test_a_user_without_a_history_gets_finite_features(features):
    nothing = compute(features, history_of([], []), [1, 3])
    assert nothing["times"].tolist() == [0, 0]
    np.testing.assert_allclose(nothing["idle_days"], [NEVER_DAYS] * 2, rtol=1e-5)
    np.testing.assert_allclose(nothing["user_idle_days"], [NEVER_DAYS] * 2, rtol=1e-5)
    assert nothing["user_baskets"].tolist() == [0, 0]
    assert all(np.isfinite(values).all() for values in nothing.values())


def test_a_batch_of_length_0_gets_the_features_of_a_padded_one(features):
    padded, shortest = (
        compute(features, history_of([], []), [1, 3]),
        compute(features, history_of([], [], length=0), [1, 3]),
    )
    for name, values in padded.items():
        np.testing.assert_allclose(shortest[name], values, rtol=1e-5, err_msg=name)


def test_events_with_unknown_items_count_for_no_group(features):
    assert compute(features, history_of([0, 0], [5, 5]), [1])["category_0_times"].tolist() == [0]
