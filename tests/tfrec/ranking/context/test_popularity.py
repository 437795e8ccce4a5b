"""Popularity by store of three candidates, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.ranking.context.popularity import ContextFeatures

DAY = 86_400
NOW = 1000 * DAY
NORTH, SOUTH, CLOSED = 1, 2, 3

#  user item store   days ago
EVENTS = [
    ("ann", 1, NORTH, 1),
    ("ann", 1, NORTH, 2),  # the same user again
    ("bob", 2, NORTH, 3),
    ("cai", 2, SOUTH, 3),
    ("dee", 2, SOUTH, 5),
    ("eve", 1, 0, 5),  # of no known store: counts in the shop alone
    ("eve", 3, SOUTH, 91),  # too old
    ("fay", 3, NORTH, 0),  # at the query time, not before it
]


@pytest.fixture(scope="module")
def features() -> ContextFeatures:
    events = pd.DataFrame(EVENTS, columns=["user", "row", "store", "days_ago"])
    features = ContextFeatures(4, ["store"])
    features.set_events(events.assign(timestamp=NOW - events.days_ago * DAY), NOW)
    return features


def compute(features: ContextFeatures, *stores: int) -> np.ndarray:
    """[stores, candidates 1, 2, 3, share and lift]."""
    rows = tf.repeat(tf.constant([[1, 2, 3]], tf.int64), len(stores), axis=0)
    values = features.compute(tf.constant(stores, tf.int64)[:, tf.newaxis], rows).numpy()
    assert values.shape == (len(stores), 3, len(features.names))
    return values


def test_a_share_is_that_of_the_users_in_the_store(features):
    # The shop: item 1 has ann and eve, item 2 bob, cai and dee. The north: items 1 and 2 once each.
    share = compute(features, NORTH, SOUTH, 0)[..., 0]
    np.testing.assert_allclose(share, [[500, 500, 0], [0, 1000, 0], [400, 600, 0]], rtol=1e-6)


def test_a_lift_compares_the_store_with_the_shop(features):
    lift = compute(features, NORTH, SOUTH)[..., 1]
    # (1 + 200 * 0.4) / (2 + 200) / 0.4 in the north, (0 + 200 * 0.4) / 202 / 0.4 in the south.
    np.testing.assert_allclose(lift[:, 0], [math.log(81 / 202 / 0.4), math.log(80 / 202 / 0.4)], atol=1e-6)
    np.testing.assert_allclose(lift[:, 2], [0, 0])  # an item without events


@pytest.mark.parametrize("store", [0, CLOSED, 99])
def test_an_unknown_store_has_the_shares_of_the_shop(features, store):
    np.testing.assert_allclose(compute(features, store)[0], [[400, 0], [600, 0], [0, 0]], rtol=1e-6)


def test_each_row_of_a_batch_has_its_own_store(features):
    both = compute(features, NORTH, SOUTH)
    np.testing.assert_allclose(both[1], compute(features, SOUTH)[0])


def test_without_columns_there_is_no_feature():
    features = ContextFeatures(4, [])
    features.set_events(pd.DataFrame({"user": [], "row": [], "timestamp": []}), NOW)
    assert features.names == ()
