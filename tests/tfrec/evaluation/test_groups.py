"""Departments, ages and activity on small holdouts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.evaluation.groups import activity, departments, groups, item_ages
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS


def holdout(before: list[tuple[str, str, float]], during: list[tuple[str, str]], items: list[str]) -> Holdout:
    """Of (user, item, days before the window) and (user, item)."""
    columns = ["user_id", "item_id", "timestamp"]
    past = pd.DataFrame([(user, item, START - int(days * DAY_SECONDS)) for user, item, days in before], columns=columns)
    future = pd.DataFrame([(user, item, START) for user, item in during], columns=columns)
    return holdout_from_events(
        past.assign(kind="purchase"), future.assign(kind="purchase"), np.array(items, object), candidates="catalog"
    )


def test_an_item_is_as_old_as_its_first_choice():
    # Borders are 7, 28 and 90 days; an item counts by its first event, not by its last.
    days = {"a": 0.5, "b": 6.9, "c": 7, "d": 27, "e": 28, "f": 90, "g": 400}
    before = [("u", item, age) for item, age in days.items()] + [("u", "g", 1)]
    partition = item_ages(holdout(before, [("u", "a")], [*days, "new"]))
    assert [partition.names[place] for place in partition.place] == [
        *("0 to 7 days", "0 to 7 days", "7 to 28 days", "7 to 28 days", "28 to 90 days"),
        *("90 days or more", "90 days or more", "never chosen before"),
    ]


def test_a_department_is_the_first_level_and_the_small_ones_are_put_together():
    # 22 departments, each chosen from once less than the one before; the last two are not looked at one by one.
    items = [f"i{n:02}" for n in range(22)]
    during = [(f"u{user}", item) for n, item in enumerate(items) for user in range(22 - n)]
    categories = np.array([f"hall {n:02} > shelf" for n in range(22)] + [""], object)
    partition = departments(holdout([], during, [*items, "odd"]), categories)
    assert partition.names == (*[f"hall {n:02}" for n in range(20)], "all others", "no category")
    assert partition.place.tolist() == [*range(20), 20, 20, 21]


def test_users_are_quartered_by_their_choices():
    # Of eight users who chose 1, 1, 2, 3, 4, 5, 6 and 9 times the quarters start at 1, 2, 4 and 6.
    times = [1, 1, 2, 3, 4, 5, 6, 9]
    before = [(f"u{user}", "a", day) for user, count in enumerate(times) for day in range(1, count + 1)]
    partition = activity(holdout(before, [(f"u{user}", "a") for user in range(9)], ["a"]))
    assert partition.names == ("0", "1", "2 to 3", "4 to 5", "6 to 9")
    assert partition.place.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 0]


def test_groups_without_anybody_are_not_named():
    everybody_alike = holdout([("u", "a", 1), ("v", "a", 1)], [("u", "a"), ("v", "a")], ["a"])
    assert activity(everybody_alike).names == ("1",)
    assert activity(holdout([], [("u", "a")], ["a"])).names == ("0",)


def test_a_shop_without_categories_or_clock_has_no_such_groups():
    dated = holdout([("u", "a", 1)], [("u", "a")], ["a"])
    assert list(groups(dated, np.array([""], object)).of_items) == ["item age"]
    frame = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "kind": "purchase", "timestamp": [1]})
    ordered = holdout_from_events(frame, frame.assign(timestamp=2), np.array(["a"], object))
    assert groups(ordered, np.array([""], object)).of_items == {}
