"""Differences between two models user by user: who gains, who loses, in every slice and group."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from tfrec.evaluation.analysis.user_scores import LABELS, UserScores
from tfrec.evaluation.bootstrap import DIFFERENCES, interval


class ListedItem(NamedTuple):
    """An item of a list."""

    title: str  # or its id
    is_label: bool


@dataclasses.dataclass(frozen=True)
class ModelOfUsers:
    """One model of an evaluation's scores of users."""

    model: str
    users: UserScores

    def scores(self) -> pd.DataFrame:
        """Rows of the model: partition, group, user_id, value."""
        return _of_model(self.users.scores.to_pandas(), self.model)

    def lists(self, model: str | None = None) -> dict[str, list[ListedItem]]:
        """User -> first ten recommended items of the model, or of LABELS."""
        rows = _of_model(self.users.lists.to_pandas(), model or self.model)
        return {
            user: [ListedItem(*pair) for pair in zip(items, marks, strict=True)]
            for user, items, marks in zip(rows.user_id, rows["items"], rows["is_label"], strict=True)
        }


@dataclasses.dataclass(frozen=True)
class GroupDifference:
    """NDCG@20 of two models in one slice or group, over the users that both have in it."""

    partition: str
    group: str
    users: int
    first: float
    second: float
    low: float  # ends of the 95 % interval of second - first, paired by user
    high: float
    gained: int  # users with a higher score by the second
    lost: int


@dataclasses.dataclass(frozen=True)
class UserDifference:
    """One user with the scores and the lists of two models."""

    user_id: str
    first: float
    second: float
    labels: list[ListedItem]
    first_items: list[ListedItem]
    second_items: list[ListedItem]


def group_differences(first: ModelOfUsers, second: ModelOfUsers) -> list[GroupDifference]:
    """A difference for each slice and group with two users or more, in the order of the first."""
    return list(_differences(_joined(first, second)))


def largest(first: ModelOfUsers, second: ModelOfUsers, count: int) -> list[UserDifference]:
    """Up to `count` users of slice "all" with the largest gains, and as many of the losses.

    The largest gain comes first, the largest loss last; users of equal scores are left out.
    """
    both = _joined(first, second)
    of_all = both[(both["partition"] == "slice") & (both["group"] == "all")]
    ordered = of_all.assign(gain=of_all.value_second - of_all.value_first).sort_values(
        ["gain", "user_id"], ascending=[False, True]
    )
    shown = pd.concat([ordered[ordered.gain > 0].head(count), ordered[ordered.gain < 0].tail(count)])
    labels, lists = second.lists(LABELS), (first.lists(), second.lists())
    return [
        UserDifference(str(user), float(one), float(two), labels.get(user, []), *(each.get(user, []) for each in lists))
        for user, one, two in zip(shown.user_id, shown.value_first, shown.value_second, strict=True)
    ]


def _differences(both: pd.DataFrame) -> Iterator[GroupDifference]:
    for _, part in both.groupby(["partition", "group"], sort=False):
        if len(part) > 1:
            gain = (part.value_second - part.value_first).to_numpy()
            means = float(part.value_first.mean()), float(part.value_second.mean())
            counts = int((gain > 0).sum()), int((gain < 0).sum())
            partition, group = str(part["partition"].iloc[0]), str(part["group"].iloc[0])
            yield GroupDifference(partition, group, len(part), *means, *interval(gain, DIFFERENCES), *counts)


def _joined(first: ModelOfUsers, second: ModelOfUsers) -> pd.DataFrame:
    keys = ["partition", "group", "user_id"]
    both = first.scores().merge(second.scores(), on=keys, suffixes=("_first", "_second"))
    return both.astype({"value_first": "float64", "value_second": "float64"})


def _of_model(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    return rows[rows["model"] == model].drop(columns="model")
