"""Features by event kind of three candidates, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.ranking.features import CandidateFeatures, FeatureOptions
from tfrec.ranking.item_statistics import NEVER_DAYS, STATISTIC_NAMES

DAY = 86_400
NOW = 1000 * DAY
VIEW, CART, PURCHASE, RETURN = 1, 3, 4, 10  # as in preprocessing.kind_index

# Items 1 and 2 are of category 1, item 3 of category 2.
CATEGORY = {"category": np.array([[0], [1], [1], [2]]), "category_size": 3}
# Item 1 was viewed twice and put into the cart, item 2 bought; the last event is padding.
HISTORY = History(
    row=tf.constant([[1, 1, 2, 1, 0]], tf.int64),
    kind=tf.constant([[VIEW, VIEW, PURCHASE, CART, 0]], tf.int64),
    timestamp=tf.constant([[NOW - days * DAY for days in (14, 7, 7, 1)] + [0]], tf.int64),
    price=tf.zeros([1, 5]),
    valid=tf.constant([[True, True, True, True, False]]),
)


@pytest.fixture(scope="module")
def make_features(make_catalog):
    def make(*kinds: str) -> CandidateFeatures:
        statistics = np.zeros((4, len(STATISTIC_NAMES)), np.float32)
        return CandidateFeatures(
            make_catalog([[5], [6], [7]], **CATEGORY), statistics, "utc", ("score",), FeatureOptions(kinds)
        )

    return make


def compute(features: CandidateFeatures, history: History = HISTORY) -> dict[str, list[float]]:
    """Name -> [candidates 1, 2, 3], logarithms undone."""
    rows = tf.constant([[1, 2, 3]], tf.int64)
    values = features.compute(history, tf.constant([NOW], tf.int64), rows, tf.zeros([1, 3, 1]))[0].numpy()
    assert values.shape == (3, len(features.names))
    return dict(zip(features.names, np.expm1(values).round(4).T.tolist(), strict=True))


def test_events_of_each_kind_have_counts_and_ages_of_their_own(make_features):
    values = compute(make_features("view", "cart", "purchase"))
    assert values["item_view_times"] == [2, 0, 0]
    assert values["item_view_times_7"] == [0.75, 0, 0]  # half-lives of a week: 1/4 + 1/2
    assert values["item_view_idle_days"] == pytest.approx([7, NEVER_DAYS, NEVER_DAYS], rel=1e-4)
    assert values["item_cart_idle_days"] == pytest.approx([1, NEVER_DAYS, NEVER_DAYS], rel=1e-4)
    assert values["item_purchase_times"] == [0, 1, 0]
    # Of category 1: two views and the purchase of the other item.
    assert values["category_0_view_times"] == [2, 2, 0]
    assert values["category_0_purchase_times_7"] == [0.5, 0.5, 0]
    assert values["user_view_events"] == [2, 2, 2]
    assert values["user_purchase_idle_days"] == pytest.approx([7, 7, 7], rel=1e-4)


def test_the_recent_users_of_an_item_and_its_groups_are_counted_by_kind(make_features):
    features = make_features("view", "purchase")
    events = [(1, 1, VIEW, 3), (1, 1, VIEW, 2), (2, 1, VIEW, 2), (2, 2, PURCHASE, 2), (3, 2, PURCHASE, 40)]
    table = pd.DataFrame(events, columns=["user", "row", "kind", "days_ago"])
    features.set_events(table.assign(timestamp=NOW - table.days_ago * DAY), NOW)
    values = compute(features)
    assert values["item_view_users_28"] == [2, 0, 0]
    assert values["item_purchase_users_28"] == [0, 1, 0]  # the other purchase is 40 days old
    assert values["category_0_view_users_28"] == [2, 2, 0]
    assert values["brand_view_users_28"] == [0, 0, 0]  # no brand is known


def test_a_return_counts_as_a_return_alone(make_features):
    returned = HISTORY._replace(kind=tf.constant([[VIEW, VIEW, RETURN, CART, 0]], tf.int64))
    values = compute(make_features("view", "return"), returned)
    assert values["times"] == [3, 0, 0]
    assert values["idle_days"] == pytest.approx([1, NEVER_DAYS, NEVER_DAYS], rel=1e-4)
    assert values["category_0_times"] == [3, 3, 0]
    assert values["item_return_times"] == [0, 1, 0]


def test_items_without_a_text_share_none(make_catalog):
    # [CLS] and [SEP] alone: otherwise all items of a shop without texts were one group.
    catalog = make_catalog([[101, 102], [101, 102], [101, 7, 102]])
    assert catalog.known_text_row.tolist() == [0, 0, 0, 2]
    statistics = np.zeros((4, len(STATISTIC_NAMES)), np.float32)
    features = CandidateFeatures(catalog, statistics, "utc", ("score",), FeatureOptions(("view", "cart", "purchase")))
    values = compute(features)
    assert values["times"] == [3, 1, 0]
    assert values["text_times"] == values["text_view_times"] == [0, 0, 0]


def test_one_kind_alone_has_no_features(make_features):
    assert make_features("purchase").names == make_features().names


def test_a_history_of_length_0_gets_finite_features(make_features):
    nothing = History(*(values[:, :0] for values in HISTORY))
    values = compute(make_features("view", "cart"), nothing)
    assert values["item_view_times"] == [0, 0, 0]
    assert values["user_view_idle_days"] == pytest.approx([NEVER_DAYS] * 3, rel=1e-4)
