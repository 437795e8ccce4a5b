"""Item statistics of seven choices, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.ranking.item_statistics import NAMES, NEVER_DAYS, item_statistics

DAY = 86_400
NOW = 1000 * DAY

# (user, row, days before NOW); row 3 is never chosen, row 0 is no item.
EVENTS = [
    ("ann", 1, 100),
    ("ann", 1, 60),
    ("ann", 1, 20),
    ("ann", 1, 20),  # the same basket twice
    ("bob", 1, 5),
    ("bob", 2, 30),
    ("cai", 2, -1),  # after NOW: not known yet
]


@pytest.fixture
def statistics() -> dict[str, np.ndarray]:
    users, rows, days = zip(*EVENTS, strict=True)
    events = pd.DataFrame({"user": users, "row": rows, "timestamp": NOW - np.array(days) * DAY})
    return dict(zip(NAMES, item_statistics(events, 4, NOW).T, strict=True))


def test_shoppers_are_distinct_and_counted_by_their_last_choice(statistics):
    assert statistics["item_shoppers"].tolist() == [0, 2, 1, 0]
    assert statistics["item_shoppers_7"].tolist() == [0, 1, 0, 0]
    assert statistics["item_shoppers_28"].tolist() == [0, 2, 0, 0]
    assert statistics["item_shoppers_90"].tolist() == [0, 2, 1, 0]


def test_the_trend_compares_a_short_time_with_a_longer_one(statistics):
    # log(1 + 4 * 1) - log(1 + 2) for the week; log(1 + 3 * 2) - log(1 + 2) and log(1) - log(1 + 1) for the month.
    np.testing.assert_allclose(statistics["item_trend_7"], [0, np.log(5 / 3), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(statistics["item_trend_28"], [0, np.log(7 / 3), -np.log(2), 0], rtol=1e-6)


def test_repeats_gaps_age_and_idleness(statistics):
    # Of the four baskets with item 1 three are ann's, who came back after 40 and 40 days; bob came once.
    assert statistics["item_repeats"].tolist() == [0, 0.75, 0, 0]
    assert statistics["item_gap_days"].tolist() == [NEVER_DAYS, 40, NEVER_DAYS, NEVER_DAYS]
    assert statistics["item_age_days"].tolist() == [NEVER_DAYS, 100, 30, NEVER_DAYS]
    assert statistics["item_idle_days"].tolist() == [NEVER_DAYS, 5, 30, NEVER_DAYS]


def test_a_shop_without_events_has_statistics_of_nothing():
    nothing = pd.DataFrame(
        {"user": np.empty(0, object), "row": np.empty(0, np.int64), "timestamp": np.empty(0, np.int64)}
    )
    assert item_statistics(nothing, 2, NOW)[:, NAMES.index("item_shoppers")].tolist() == [0, 0]
