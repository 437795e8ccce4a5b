"""Parts of a shop that an evaluation looks at one by one: departments, ages of items, activity of users.

A department is the first level of an item's category. An item's age runs from its first choice before the window;
a user's activity is the number of their choices before it.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd

from tfrec.evaluation.holdout import Holdout
from tfrec.schema import CATEGORY_SEPARATOR, DAY_SECONDS

LARGEST = 20  # departments that are looked at one by one
AGES_DAYS = (7, 28, 90)
QUARTERS = 4

NO_CATEGORY, OTHERS, NEVER = "no category", "all others", "never chosen before"


@dataclasses.dataclass(frozen=True)
class Partition:
    """Which group each item, or each user, is in."""

    names: tuple[str, ...]
    place: np.ndarray  # [items] or [users] int64, of `names`


@dataclasses.dataclass(frozen=True)
class Groups:
    """Partitions of a holdout by what they are called."""

    of_items: dict[str, Partition] = dataclasses.field(default_factory=dict)
    of_users: dict[str, Partition] = dataclasses.field(default_factory=dict)


def groups(holdout: Holdout, categories: np.ndarray) -> Groups:
    """The partitions "department" and "item age" of the items, "activity" of the users; `categories` [items] str paths.

    Without a clock there are no ages, without any category no departments.
    """
    of_items = {}
    if (categories != "").any():
        of_items["department"] = departments(holdout, categories)
    if holdout.clock == "utc":
        of_items["item age"] = item_ages(holdout)
    return Groups(of_items, {"activity": activity(holdout)})


def departments(holdout: Holdout, categories: np.ndarray) -> Partition:
    """The 20 departments with the most labels, the most first; the others together, and what has no category."""
    first = pd.Series(categories, dtype=object).str.split(CATEGORY_SEPARATOR).str[0].replace("", NO_CATEGORY)
    labels = pd.Series(np.asarray(holdout.labels.sum(axis=0)).ravel()).groupby(first.to_numpy()).sum()
    named = labels.drop(NO_CATEGORY, errors="ignore").sort_values(ascending=False, kind="stable").index[:LARGEST]
    names = (*named, OTHERS, NO_CATEGORY)
    place = pd.Index(names).get_indexer(first)
    return _without_empty(Partition(names, np.where(place < 0, names.index(OTHERS), place)))


def item_ages(holdout: Holdout) -> Partition:
    """Items by the days between their first choice and the window."""
    first = pd.Series(holdout.event_timestamp).groupby(holdout.event_item).min()
    days = np.full(len(holdout.item_ids), -1.0)
    days[first.index] = (holdout.window_start - first.to_numpy()) / DAY_SECONDS
    borders = (0, *AGES_DAYS)
    steps = [f"{low} to {high} days" for low, high in itertools.pairwise(borders)]
    names = (NEVER, *steps, f"{AGES_DAYS[-1]} days or more")
    return Partition(names, np.searchsorted(borders, days, side="right"))


def activity(holdout: Holdout) -> Partition:
    """Users without a choice before the window, and the others in quarters from the least to the most active."""
    choices = np.asarray(holdout.history.sum(axis=1)).ravel().astype(np.int64)
    known = np.sort(choices[choices > 0])
    quarters = [known[quarter * len(known) // QUARTERS] for quarter in range(QUARTERS)] if len(known) else []
    starts = np.unique(np.array(quarters, np.int64))
    ends = [*(starts[1:] - 1), *known[-1:]]
    names = ("0", *(_range(low, high) for low, high in zip(starts, ends, strict=True)))
    return _without_empty(Partition(names, np.searchsorted(starts, choices, side="right")))


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _without_empty(partition: Partition) -> Partition:
    """The partition without the groups that nothing is in."""
    used, place = np.unique(partition.place, return_inverse=True)
    return Partition(tuple(partition.names[index] for index in used), place)
