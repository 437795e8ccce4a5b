"""Lists of a few sample users, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.evaluation.analysis.sample_users import sample_users
from tfrec.evaluation.details import SampleItem, SampleUser
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["book", "mug", "pen", "tea"], dtype=object)
TITLES = np.array(["A book", "A mug", "", "西湖龙井"], dtype=object)


def holdout(before: list[tuple[str, str, int]], during: list[tuple[str, str]]) -> Holdout:
    """Holdout of (user, item, days before the window) and of labels (user, item)."""
    past = pd.DataFrame(
        [(u, i, START - d * DAY_SECONDS) for u, i, d in before], columns=["user_id", "item_id", "timestamp"]
    )
    future = pd.DataFrame(during, columns=["user_id", "item_id"]).assign(timestamp=START)
    return holdout_from_events(
        past.assign(kind="purchase"), future.assign(kind="purchase"), ITEMS, candidates="catalog"
    )


def test_hits_are_marked_in_the_three_lists_of_a_user():
    # ann bought tea twice, then a book; dee, without a label, a pen. ann's labels: mug and book.
    before = [("ann", "tea", 9), ("ann", "tea", 7), ("ann", "book", 5), ("dee", "pen", 1)]
    scores = np.array([[0.9, -np.inf, 0.4, 0.8]], np.float32)  # the mug may not be recommended
    users = sample_users(holdout(before, [("ann", "mug"), ("ann", "book")]), lambda rows: scores[rows], TITLES)
    book, tea = SampleItem("book", "A book", True), SampleItem("tea", "西湖龙井", False)
    assert users == (
        SampleUser(
            "ann",
            history=(book, tea),
            recommended=(book, tea, SampleItem("pen", "", False)),
            labels=(book, SampleItem("mug", "A mug", False)),
            n_labels=2,
        ),
    )


def test_at_most_twenty_users_are_drawn_and_the_same_ones_each_time():
    many = holdout([], [(f"u{number}", "tea") for number in range(50)])
    first, second = (
        [user.user_id for user in sample_users(many, lambda rows: np.zeros((len(rows), 4)), TITLES)] for _ in range(2)
    )
    assert len(set(first)) == 20
    assert first == second
    assert sample_users(holdout([("ann", "tea", 1)], []), lambda rows: np.zeros((len(rows), 4)), TITLES) == ()


def test_a_model_that_scores_nan_recommends_nothing():
    one = holdout([], [("ann", "tea")])
    (user,) = sample_users(one, lambda rows: np.full((len(rows), 4), np.nan, np.float32), TITLES)
    assert user.recommended == ()


def test_the_history_holds_events_of_every_kind():
    # Labels are purchases; ann had put the pen into the cart and viewed the mug.
    past = pd.DataFrame(
        [("ann", "pen", "cart", START - 9), ("ann", "mug", "view", START - 5)],
        columns=["user_id", "item_id", "kind", "timestamp"],
    )
    future = pd.DataFrame([("ann", "tea", "purchase", START)], columns=past.columns)
    one = holdout_from_events(past, future, ITEMS, candidates="catalog", label_kinds=["purchase"], clock="utc")
    (user,) = sample_users(one, lambda rows: np.zeros((len(rows), 4), np.float32), TITLES)
    assert [item.item_id for item in user.history] == ["mug", "pen"]
