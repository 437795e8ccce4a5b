"""Baselines on eight events whose counts are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation.baselines import popularity
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS  # the window's first second, a midnight
ITEMS = np.array(["pasta", "sauce", "tea", "mug"], dtype=object)

# ann bought pasta twice, 60 and 30 days before the window, and tea 30 days before; the pasta of 30
# days ago is a duplicate line. dee is not in the window. fay has no history.
BEFORE = [
    ("ann", "pasta", -60),
    ("ann", "pasta", -30),
    ("ann", "pasta", -30),
    ("ann", "tea", -30),
    ("bob", "sauce", -20),
    ("dee", "sauce", -50),
    ("dee", "mug", -10),
    ("bob", "mug", -5),
]
DURING = [("ann", "pasta", 0), ("bob", "tea", 3), ("fay", "mug", 4)]
ANN, BOB, FAY = 0, 1, 2


def events(rows: Sequence[tuple[str, str, float]], start: int = START) -> pd.DataFrame:
    users, items, days = zip(*rows, strict=True)
    seconds = start + (np.array(days) * DAY_SECONDS).astype(np.int64)
    return pd.DataFrame({"user_id": users, "item_id": items, "kind": "purchase", "timestamp": seconds})


@pytest.fixture
def holdout() -> Holdout:
    return holdout_from_events(events(BEFORE), events(DURING), ITEMS)


def test_popularity_counts_distinct_users_of_all_time(holdout):
    # pasta: ann; sauce: bob, dee; tea: ann; mug: bob, dee.
    scores = popularity.popularity(holdout)(np.array([ANN, FAY]))
    assert scores.tolist() == [[1, 2, 1, 2], [1, 2, 1, 2]]
    assert scores.dtype == np.float32


def test_popularity_by_baskets_counts_the_same_user_again(holdout):
    # pasta: ann twice; the duplicate line of one basket counts once.
    assert popularity.popularity(holdout, "baskets")(np.array([ANN])).tolist() == [[2, 2, 1, 2]]


def test_an_unknown_count_is_refused(holdout):
    with pytest.raises(ConfigError, match="`count` is 'clicks'; use users or baskets"):
        popularity.popularity(holdout, "clicks")


def test_recent_popularity_counts_the_users_of_the_last_28_days(holdout):
    # pasta and tea lie 30 days back; sauce: bob; mug: bob, dee.
    assert popularity.recent_popularity(holdout)(np.array([ANN])).tolist() == [[0, 1, 0, 2]]


def test_recent_popularity_counts_all_users_when_no_event_is_recent(holdout):
    assert popularity.recent_popularity(holdout, days=1)(np.array([ANN])).tolist() == [[1, 2, 1, 2]]


def test_a_users_random_scores_do_not_depend_on_the_batch(holdout):
    score = popularity.random_ranking(holdout)
    together, alone = score(np.array([ANN, BOB])), score(np.array([BOB]))
    assert together[1].tolist() == alone[0].tolist()
    assert together[0].tolist() != together[1].tolist()
    assert popularity.random_ranking(holdout, seed=8)(np.array([BOB]))[0].tolist() != alone[0].tolist()


@pytest.fixture
def last_out() -> Holdout:
    """Leave-last-out: ann is queried on day 0, bob on day 40, fay on day -100."""
    during = [("ann", "pasta", 0.5), ("bob", "tea", 40.5), ("fay", "mug", -100.5)]
    return holdout_from_events(events(BEFORE), events(during), ITEMS, split="leave_last_out")


def test_without_windows_recent_popularity_is_that_before_the_day_of_each_query(last_out):
    # ann: the 28 days before day 0, as with a window. bob: no event in days 12 to 39, so all before
    # them. fay: nothing was known on day -101.
    scores = popularity.recent_popularity(last_out)(np.array([ANN, BOB, FAY]))
    assert scores.tolist() == [[0, 1, 0, 2], [1, 2, 1, 2], [0, 0, 0, 0]]
    assert popularity.recent_popularity(last_out)(np.array([], np.int64)).shape == (0, 4)


def test_without_windows_popularity_is_that_of_all_events_not_held_out(last_out):
    assert popularity.popularity(last_out)(np.array([FAY])).tolist() == [[1, 2, 1, 2]]


def test_an_order_has_no_recency():
    # Leave-last-out: second n of 1970 is event n.
    before = pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"], "timestamp": [1, 2, 1]})
    during = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [3, 2]})
    holdout = holdout_from_events(
        before.assign(kind="purchase"), during.assign(kind="purchase"), np.array(["x", "y"], dtype=object)
    )
    assert popularity.recent_popularity(holdout)(np.array([0])).tolist() == [[2, 1]]
