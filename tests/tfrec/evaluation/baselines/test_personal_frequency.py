"""Personal frequency on a few events whose counts are worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation.baselines.personal_frequency import (
    FrequencySettings,
    label_rates,
    personal_frequency,
    settings_to_try,
)
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS  # the window's first second, a midnight
ITEMS = np.array(["pasta", "sauce", "tea", "mug"], dtype=object)
ANN, BOB, FAY = 0, 1, 2

# ann bought pasta twice, 60 and 30 days before the window, and tea 30 days before; the pasta of 30
# days ago is a duplicate line. dee is not in the window. fay has no history.
BEFORE = [
    ("ann", "pasta", "purchase", -60),
    ("ann", "pasta", "purchase", -30),
    ("ann", "pasta", "purchase", -30),
    ("ann", "tea", "purchase", -30),
    ("bob", "sauce", "purchase", -20),
    ("dee", "sauce", "purchase", -50),
    ("dee", "mug", "purchase", -10),
    ("bob", "mug", "purchase", -5),
]
DURING = [("ann", "pasta", "purchase", 0), ("bob", "tea", "purchase", 3), ("fay", "mug", "purchase", 4)]

# cai put tea and a mug into the cart and viewed pasta and sauce, then buys the tea; dan put a mug
# into the cart, viewed pasta, and buys the sauce, which he had not seen.
FUNNEL_BEFORE = [
    ("cai", "tea", "cart", -3),
    ("cai", "mug", "cart", -2),
    ("cai", "pasta", "view", -2),
    ("cai", "sauce", "view", -1),
    ("cai", "sauce", "view", -1),
    ("dan", "mug", "cart", -2),
    ("dan", "pasta", "view", -2),
]
FUNNEL_DURING = [("cai", "tea", "purchase", 0), ("dan", "sauce", "purchase", 0)]


def events(rows: list[tuple[str, str, str, int]]) -> pd.DataFrame:
    users, items, kinds, days = zip(*rows, strict=True)
    seconds = START + np.array(days) * DAY_SECONDS
    return pd.DataFrame({"user_id": users, "item_id": items, "kind": kinds, "timestamp": seconds})


@pytest.fixture
def holdout() -> Holdout:
    return holdout_from_events(events(BEFORE), events(DURING), ITEMS)


@pytest.fixture
def funnel() -> Holdout:
    """Labels are purchases, the history holds views and carts alone."""
    return holdout_from_events(events(FUNNEL_BEFORE), events(FUNNEL_DURING), ITEMS, label_kinds=["purchase"])


def test_personal_frequency_counts_baskets_and_fills_up_with_recent_popularity(holdout):
    # Recent popularity adds 0, 0.5, 0 and 1 ten-thousandths. ann: pasta in two baskets, tea in one.
    scores = personal_frequency(holdout)(np.array([ANN, BOB]))
    assert scores[0].tolist() == pytest.approx([2, 0.00005, 1, 0.0001])
    assert scores[1].tolist() == pytest.approx([0, 1.00005, 0, 1.0001])


def test_a_basket_loses_half_its_weight_in_a_half_life(holdout):
    # Half-life 30: ann's pasta 1/4 + 1/2, her tea 1/2.
    scores = personal_frequency(holdout, 30)(np.array([ANN]))
    assert scores[0].tolist() == pytest.approx([0.75, 0.00005, 0.5, 0.0001])


def test_a_user_without_history_gets_recent_popularity(holdout):
    scores = personal_frequency(holdout, 30)(np.array([FAY]))
    assert np.argsort(-scores[0])[:2].tolist() == [3, 1]


def test_a_half_life_must_be_positive(holdout):
    with pytest.raises(ConfigError, match="`half_life_days` is 0; use a positive number"):
        personal_frequency(holdout, 0)


def test_an_order_has_no_half_life():
    # Leave-last-out: second n of 1970 is event n.
    before = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": [1, 1]})
    during = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [3, 2]})
    holdout = holdout_from_events(
        before.assign(kind="purchase"), during.assign(kind="purchase"), np.array(["x", "y"], dtype=object)
    )
    assert [settings.half_life_days for settings in settings_to_try(holdout)] == [None]
    with pytest.raises(ConfigError, match="`half_life_days` is 30 but the data has only an order"):
        personal_frequency(holdout, 30)


def test_events_of_other_kinds_count_by_their_weights(funnel):
    # Nobody bought anything before, so the labels' own kind finds nothing.
    assert personal_frequency(funnel)(np.array([0, 1])).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    # cai: two views of one second are one event.
    scores = personal_frequency(funnel, weights={"cart": 3.0, "view": 1.0})(np.array([0, 1]))
    assert scores.tolist() == [[1, 1, 3, 3], [1, 0, 0, 3]]
    # Half-life 1: the tea 3 / 8, the mug 3 / 4, pasta 1 / 4, sauce 1 / 2.
    scores = personal_frequency(funnel, 1, {"cart": 3.0, "view": 1.0})(np.array([0]))
    assert scores[0].tolist() == pytest.approx([0.25, 0.5, 0.375, 0.75])


def test_an_old_item_of_the_user_stays_above_the_most_popular_other_item(holdout):
    # After 20 half-lives an event counts a millionth, less than the ten-thousandth of a tie-break.
    scores = personal_frequency(holdout, 1.5)(np.array([ANN]))[0]
    assert np.argsort(-scores)[:3].tolist() == [0, 2, 3]  # equal counts of pasta and tea, then the mug
    assert scores[3] > 0


def test_weights_of_kinds_are_the_shares_that_become_a_label(funnel):
    # Of three (user, item) pairs with a cart one is bought, of three with a view none.
    assert label_rates(funnel) == {"view": 0.0, "cart": pytest.approx(1 / 3)}


def test_kinds_are_a_choice_only_where_there_are_several(holdout, funnel):
    assert {settings.weights is None for settings in settings_to_try(holdout)} == {True}
    weights = [settings.weights for settings in settings_to_try(funnel) if settings.half_life_days == 7]
    assert weights == [None, {"view": 1.0, "cart": 1.0}, {"view": 0.0, "cart": pytest.approx(1 / 3)}]


def test_settings_are_described_in_words():
    assert str(FrequencySettings(7, {"view": 0.25, "cart": 1.0})) == "view 0.25, cart 1; half-life 7 days"
    assert str(FrequencySettings()) == "label kinds; no decay"


def test_without_windows_a_baskets_age_is_that_at_the_users_own_query():
    # Leave-last-out: bob is queried on day 40, where his sauce is 60 days old and his mug 45. No
    # event lies in the 28 days before, and of all before them two users have sauce and mug, one
    # has pasta and tea: share 1/2 of them, which adds half a ten-thousandth.
    during = events([("ann", "pasta", "purchase", 0), ("bob", "tea", "purchase", 40)])
    last_out = holdout_from_events(events(BEFORE), during, ITEMS, split="leave_last_out")
    scores = personal_frequency(last_out, 30)(np.array([BOB]))[0]
    assert scores[1] == pytest.approx(0.25 * 1.0001)
    assert scores[3] == pytest.approx(0.5**1.5 * 1.0001)
    assert scores[0] == scores[2] == pytest.approx(0.00005)
