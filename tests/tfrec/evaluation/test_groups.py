"""Departments, ages and activity on small holdouts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tfrec.evaluation.groups import activity, departments, exposure_partitions, groups, item_ages
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS


def holdout(before: list[tuple[str, str, float]], during: list[tuple[str, str]], items: list[str]) -> Holdout:
    """Holdout of (user, item, days before the window) and of labels (user, item)."""
    columns = ["user_id", "item_id", "timestamp"]
    past = pd.DataFrame([(user, item, START - int(days * DAY_SECONDS)) for user, item, days in before], columns=columns)
    future = pd.DataFrame([(user, item, START) for user, item in during], columns=columns)
    return holdout_from_events(
        past.assign(kind="purchase"), future.assign(kind="purchase"), np.array(items, object), candidates="catalog"
    )


def test_an_items_age_is_counted_from_its_first_interaction():
    # Borders are 7, 28 and 90 days; an item counts by its first event, not by its last.
    days = {"a": 0.5, "b": 6.9, "c": 7, "d": 27, "e": 28, "f": 90, "g": 400}
    before = [("u", item, age) for item, age in days.items()] + [("u", "g", 1)]
    partition = item_ages(holdout(before, [("u", "a")], [*days, "new"]))
    assert [partition.names[index] for index in partition.group] == [
        *("0 to 7 days", "0 to 7 days", "7 to 28 days", "7 to 28 days", "28 to 90 days"),
        *("90 days or more", "90 days or more", "new"),
    ]


def test_departments_are_first_levels_and_small_ones_are_grouped_together():
    # 22 departments, each with one label less than the one before; the last two are grouped.
    items = [f"i{n:02}" for n in range(22)]
    during = [(f"u{user}", item) for n, item in enumerate(items) for user in range(22 - n)]
    categories = np.array([f"hall {n:02} > shelf" for n in range(22)] + [""], object)
    partition = departments(holdout([], during, [*items, "odd"]), categories)
    assert partition.names == (*[f"hall {n:02}" for n in range(20)], "all others", "no category")
    assert partition.group.tolist() == [*range(20), 20, 20, 21]


def test_users_are_grouped_into_quarters_by_their_interactions():
    # Eight users with 1, 1, 2, 3, 4, 5, 6 and 9 interactions: the quarters start at 1, 2, 4 and 6.
    times = [1, 1, 2, 3, 4, 5, 6, 9]
    before = [(f"u{user}", "a", day) for user, count in enumerate(times) for day in range(1, count + 1)]
    partition = activity(holdout(before, [(f"u{user}", "a") for user in range(9)], ["a"]))
    assert partition.names == ("0", "1", "2 to 3", "4 to 5", "6 to 9")
    assert partition.group.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 0]


def test_empty_groups_are_left_out():
    equal_users = holdout([("u", "a", 1), ("v", "a", 1)], [("u", "a"), ("v", "a")], ["a"])
    assert activity(equal_users).names == ("1",)
    assert activity(holdout([], [("u", "a")], ["a"])).names == ("0",)


def test_without_categories_or_clock_there_are_no_departments_or_ages():
    dated = holdout([("u", "a", 1)], [("u", "a")], ["a"])
    assert list(groups(dated, np.array([""], object)).of_items) == ["item age"]
    frame = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "kind": "purchase", "timestamp": [1]})
    ordered = holdout_from_events(frame, frame.assign(timestamp=2), np.array(["a"], object))
    assert groups(ordered, np.array([""], object)).of_items == {}
    last_out = dataclasses.replace(dated, split="leave_last_out")  # an item has another age for each user
    assert groups(last_out, np.array([""], object)).of_items == {}


def test_exposure_is_measured_by_every_attribute_that_an_item_has():
    shop = holdout([("u", "a", 1), ("u", "b", 40)], [("u", "b"), ("v", "b"), ("v", "c")], ["a", "b", "c"])
    columns = {"category": ["Food > Tea", "", ""], "brand": "", "maker": ["x", "y", ""]}
    partitions = exposure_partitions(shop, pd.DataFrame(columns, index=["a", "b", "c"]), ("maker",))
    assert {name: part.names for name, part in partitions.items()} == {
        "department": ("Food", "no category"),
        "maker": ("y", "x", "no maker"),  # by their labels: b has two, a has none
        "item age": ("new", "0 to 7 days", "7 to 28 days", "28 to 90 days", "90 days or more"),
    }
    assert partitions["maker"].group.tolist() == [1, 0, 2]


def test_a_column_of_the_name_of_another_partition_keeps_both():
    shop = holdout([("u", "a", 1)], [("u", "a")], ["a"])
    items = pd.DataFrame({"category": ["Food"], "brand": "", "department": ["north"]}, index=["a"])
    partitions = exposure_partitions(shop, items, ("department",))
    assert partitions["department"].names == ("Food",)
    assert partitions["item column department"].names == ("north",)
