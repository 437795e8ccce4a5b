"""The lists of a few shoppers, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.evaluation.analysis.sample_users import shoppers
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.scores import Listed, Shopper
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["book", "mug", "pen", "tea"], dtype=object)
TITLES = np.array(["A book", "A mug", "", "西湖龙井"], dtype=object)


def holdout(before: list[tuple[str, str, int]], during: list[tuple[str, str]]) -> Holdout:
    """Of (user, item, days before the window) and (user, item)."""
    past = pd.DataFrame(
        [(u, i, START - d * DAY_SECONDS) for u, i, d in before], columns=["user_id", "item_id", "timestamp"]
    )
    future = pd.DataFrame(during, columns=["user_id", "item_id"]).assign(timestamp=START)
    return holdout_from_events(
        past.assign(kind="purchase"), future.assign(kind="purchase"), ITEMS, candidates="catalog"
    )


def test_a_shopper_is_told_by_three_lists_that_are_held_against_each_other():
    # ann bought tea twice and then a book; dee, who is not held out, a pen. Then ann buys mug and book.
    before = [("ann", "tea", 9), ("ann", "tea", 7), ("ann", "book", 5), ("dee", "pen", 1)]
    scores = np.array([[0.9, -np.inf, 0.4, 0.8]], np.float32)  # the mug may not be recommended
    found = shoppers(holdout(before, [("ann", "mug"), ("ann", "book")]), lambda rows: scores[rows], TITLES)
    book, tea = Listed("book", "A book", True), Listed("tea", "西湖龙井", False)
    assert found == (
        Shopper(
            "ann",
            history=(book, tea),
            recommended=(book, tea, Listed("pen", "", False)),
            chosen=(book, Listed("mug", "A mug", False)),
            choices=2,
        ),
    )


def test_no_more_than_twenty_are_drawn_and_the_same_each_time():
    many = holdout([], [(f"u{number}", "tea") for number in range(50)])
    first, second = (
        [shopper.user_id for shopper in shoppers(many, lambda rows: np.zeros((len(rows), 4)), TITLES)] for _ in range(2)
    )
    assert len(set(first)) == 20
    assert first == second
    assert shoppers(holdout([("ann", "tea", 1)], []), lambda rows: np.zeros((len(rows), 4)), TITLES) == ()


def test_a_model_that_gives_no_number_recommends_nothing():
    one = holdout([], [("ann", "tea")])
    (shopper,) = shoppers(one, lambda rows: np.full((len(rows), 4), np.nan, np.float32), TITLES)
    assert shopper.recommended == ()
