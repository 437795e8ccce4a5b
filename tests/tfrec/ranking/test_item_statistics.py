"""Item statistics of seven events, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.ranking.item_statistics import NEVER_DAYS, STATISTIC_NAMES, item_statistics

DAY = 86_400
NOW = 1000 * DAY

# (user, row, days before NOW); row 3 has no event, row 0 is no item.
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
    return dict(zip(STATISTIC_NAMES, item_statistics(events, 4, NOW).T, strict=True))


def test_users_are_distinct_and_counted_by_their_last_event(statistics):
    assert statistics["item_users"].tolist() == [0, 2, 1, 0]
    assert statistics["item_users_7"].tolist() == [0, 1, 0, 0]
    assert statistics["item_users_28"].tolist() == [0, 2, 0, 0]
    assert statistics["item_users_90"].tolist() == [0, 2, 1, 0]


def test_the_trend_compares_a_short_time_with_a_longer_one(statistics):
    # log(1 + 4 * 1) - log(1 + 2) for the week; log(1 + 3 * 2) - log(1 + 2) and log(1) - log(1 + 1)
    # for the month.
    np.testing.assert_allclose(statistics["item_trend_7"], [0, np.log(5 / 3), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(statistics["item_trend_28"], [0, np.log(7 / 3), -np.log(2), 0], rtol=1e-6)


def test_repeats_gaps_and_ages_are_those_of_the_items_users(statistics):
    # Of the four baskets with item 1 three are ann's, who came back after 40 and 40 days; bob came
    # once.
    assert statistics["item_repeats"].tolist() == [0, 0.75, 0, 0]
    assert statistics["item_gap_days"].tolist() == [NEVER_DAYS, 40, NEVER_DAYS, NEVER_DAYS]
    assert statistics["item_age_days"].tolist() == [NEVER_DAYS, 100, 30, NEVER_DAYS]
    assert statistics["item_idle_days"].tolist() == [NEVER_DAYS, 5, 30, NEVER_DAYS]


def test_without_events_no_item_has_users():
    nothing = pd.DataFrame(
        {"user": np.empty(0, object), "row": np.empty(0, np.int64), "timestamp": np.empty(0, np.int64)}
    )
    assert item_statistics(nothing, 2, NOW)[:, STATISTIC_NAMES.index("item_users")].tolist() == [0, 0]
