"""Groups of a shop that are evaluated one by one: departments, ages of items, activity of users.

A department is the first level of an item's category. An item's age runs from its first interaction
before the window. A user's activity is the number of their interactions before the window. Exposure
is also measured by brand and by further columns of the items.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfrec.evaluation.holdout import Holdout
from tfrec.schema import CATEGORY_SEPARATOR, DAY_SECONDS

N_VALUES = 20  # departments or brands with the most labels, evaluated one by one
AGES_DAYS = (7, 28, 90)
QUARTERS = 4

NO_CATEGORY, OTHERS, NEW = "no category", "all others", "new"


@dataclasses.dataclass(frozen=True)
class Partition:
    """The group of each item, or of each user."""

    names: tuple[str, ...]
    group: np.ndarray  # [items] or [users] int64, index into `names`


@dataclasses.dataclass(frozen=True)
class Groups:
    """Partitions of a holdout by their names."""

    of_items: dict[str, Partition] = dataclasses.field(default_factory=dict)
    of_users: dict[str, Partition] = dataclasses.field(default_factory=dict)


def groups(holdout: Holdout, categories: np.ndarray) -> Groups:
    """Partitions "department" and "item age" of the items, "activity" of the users.

    `categories` are [items] str paths. Without windows there are no ages, since items have another
    age for each user; without any category there are no departments.
    """
    of_items = {}
    if (categories != "").any():
        of_items["department"] = departments(holdout, categories)
    if holdout.has_windows:
        of_items["item age"] = item_ages(holdout)
    return Groups(of_items, {"activity": activity(holdout)})


def departments(holdout: Holdout, categories: np.ndarray) -> Partition:
    """The 20 departments with the most labels, then all others, then items without a category."""
    first = pd.Series(categories, dtype=object).str.split(CATEGORY_SEPARATOR).str[0]
    return by_value(holdout, first.to_numpy(), NO_CATEGORY)


def by_value(holdout: Holdout, values: np.ndarray, missing: str) -> Partition:
    """The 20 values with the most labels, then all others, then items without one.

    `values` [items] str, "" for none; `missing` names the group of these items.
    """
    value = pd.Series(values, dtype=object).replace("", missing)
    labels = pd.Series(np.asarray(holdout.labels.sum(axis=0)).ravel()).groupby(value.to_numpy()).sum()
    named = labels.drop(missing, errors="ignore").sort_values(ascending=False, kind="stable").index[:N_VALUES]
    names = (*named, OTHERS, missing)
    group = pd.Index(names).get_indexer(value)
    return _without_empty(Partition(names, np.where(group < 0, names.index(OTHERS), group)))


def exposure_partitions(holdout: Holdout, items: pd.DataFrame, columns: Sequence[str]) -> dict[str, Partition]:
    """Partitions of the items by department, brand, further `columns` and age.

    `items` has the columns category, brand and `columns`. An attribute that no item has is left
    out.
    """
    by_category = groups(holdout, items.category.to_numpy()).of_items
    partitions = {name: part for name, part in by_category.items() if name != "item age"}
    for column in ("brand", *columns):
        if (items[column] != "").any():
            name = f"item column {column}" if column in by_category else column
            partitions[name] = by_value(holdout, items[column].to_numpy(), f"no {column}")
    return partitions | {name: part for name, part in by_category.items() if name == "item age"}


def item_ages(holdout: Holdout) -> Partition:
    """Items by the days between their first interaction and the window."""
    first = pd.Series(holdout.event_timestamp).groupby(holdout.event_item).min()
    days = np.full(len(holdout.item_ids), -1.0)
    days[first.index] = (holdout.window_start - first.to_numpy()) / DAY_SECONDS
    borders = (0, *AGES_DAYS)
    steps = [f"{low} to {high} days" for low, high in itertools.pairwise(borders)]
    names = (NEW, *steps, f"{AGES_DAYS[-1]} days or more")
    return Partition(names, np.searchsorted(borders, days, side="right"))


def activity(holdout: Holdout) -> Partition:
    """Users without an interaction before the window, then quarters by number of interactions."""
    interactions = np.asarray(holdout.history.sum(axis=1)).ravel().astype(np.int64)
    known = np.sort(interactions[interactions > 0])
    quarters = [known[quarter * len(known) // QUARTERS] for quarter in range(QUARTERS)] if len(known) else []
    starts = np.unique(np.array(quarters, np.int64))
    ends = [*(starts[1:] - 1), *known[-1:]]
    names = ("0", *(_range(low, high) for low, high in zip(starts, ends, strict=True)))
    return _without_empty(Partition(names, np.searchsorted(starts, interactions, side="right")))


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _without_empty(partition: Partition) -> Partition:
    """The partition without groups that hold nothing."""
    used, group = np.unique(partition.group, return_inverse=True)
    return Partition(tuple(partition.names[index] for index in used), group)
