"""Trend of items' shares of users, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec.schema import DAY_SECONDS
from tfrec.training.popularity_trend import trend


def events(*rows: tuple[str, int, int]) -> pd.DataFrame:
    """Events as (user, row, day)."""
    table = pd.DataFrame(rows, columns=["user", "row", "timestamp"])
    return table.assign(timestamp=table.timestamp * DAY_SECONDS)


def test_the_trend_is_positive_for_recent_sales_and_negative_for_old_ones():
    bias = trend(events(("ann", 1, 0), ("bob", 1, 0), ("ann", 2, 7), ("bob", 2, 7)), 4, 7.0)
    # Recently 2 * 1/2 and 2 * 1 users, 3 in all; usually 2 and 2, scaled to 3: 1.5 each. Row 3 has
    # no sales.
    np.testing.assert_allclose(bias, [0.0, np.log(2 / 2.5), np.log(3 / 2.5), 0.0], atol=1e-6)
    assert bias.dtype == np.float32


def test_the_usual_share_may_decay_too():
    bought = events(("ann", 1, 0), ("ann", 2, 14))
    # Recently 1/4 and 1; usually 1/2 and 1, scaled by 1.25 / 1.5
    expected = [0.0, np.log(1.25 / (0.5 * 1.25 / 1.5 + 1)), np.log(2 / (1.25 / 1.5 + 1))]
    np.testing.assert_allclose(trend(bought, 3, 7.0, 14.0), expected, atol=1e-6)
    np.testing.assert_allclose(trend(bought, 3, 14.0, 14.0), 0.0, atol=1e-6)


def test_a_user_counts_once_for_an_item_at_the_latest_timestamp():
    again = events(("ann", 1, 0), ("ann", 1, 7), ("bob", 2, 0), ("cat", 2, 0))
    once = events(("ann", 1, 7), ("bob", 2, 0), ("cat", 2, 0))
    np.testing.assert_array_equal(trend(again, 3, 7.0), trend(once, 3, 7.0))


def test_the_empty_row_has_no_trend():
    assert trend(events(("ann", 0, 0), ("ann", 1, 700)), 2, 7.0)[0] == 0.0


@pytest.mark.parametrize("rows", [1, 5])
def test_without_events_the_trend_is_0(rows):
    assert trend(events(), rows, 7.0).tolist() == [0.0] * rows
