"""Comparison of two models user by user for the terminal: gains and losses, and examples."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from tfrec.evaluation.analysis.user_differences import (
    GroupDifference,
    ListedItem,
    ModelOfUsers,
    UserDifference,
    group_differences,
    largest,
)
from tfrec.evaluation.result import PRODUCTION, Evaluation
from tfrec.reports.columns import display_width, fit, one_line
from tfrec.reports.terminal import WIDTH

EXAMPLES = 10  # users with the largest gains, and as many with the largest losses
SHOWN_ITEMS = 5
SHOWN_WIDTH = 22  # of an item's title

_NAME = 34  # width


def compare_users(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """A block for each evaluation after the first, against the first, where users are known.

    A single evaluation is compared with its model in production, or with its strongest baseline.
    """
    known = {name: each for name, each in evaluations.items() if each.users is not None}
    if len(evaluations) == 1:
        return [_within(each) for each in known.values()]
    first, *others = evaluations
    return [
        render_user_comparison((first, name), _model(evaluations[first]), _model(evaluations[name]))
        for name in others
        if first in known and name in known
    ]


def _within(evaluation: Evaluation) -> str:
    other = PRODUCTION if PRODUCTION in evaluation.scores else evaluation.details.baseline
    model = _model(evaluation)
    return render_user_comparison((other, model.model), ModelOfUsers(other, model.users), model)


def _model(evaluation: Evaluation) -> ModelOfUsers:
    """The evaluated model; the evaluation must hold scores of users."""
    if evaluation.users is None:
        raise ValueError(evaluation)
    return ModelOfUsers(evaluation.model.name, evaluation.users)


def render_user_comparison(names: tuple[str, str], first: ModelOfUsers, second: ModelOfUsers) -> str:
    """A row for each slice and group, then twenty users."""
    rows = group_differences(first, second)
    title = f"User by user: first is {names[0]}, second is {names[1]}"
    header = fit("ndcg@20", _NAME) + (
        f"{'users':>8}{'first':>9}{'second':>9}{'difference':>12}{'95 % interval':>20}{'gained':>8}{'lost':>7}  surely"
    )
    users = largest(first, second, EXAMPLES)
    table = [title, header, "-" * display_width(header), *map(_row, rows)]
    examples = ["Users with the largest gains and losses (* is a label):", *(_example(user) for user in users)]
    return "\n\n".join(["\n".join(table), *(["\n".join(examples)] if users else [])])


def _row(row: GroupDifference) -> str:
    sure = "gains" if row.low > 0 else "loses" if row.high < 0 else ""
    ends = "" if math.isnan(row.low) else f"{row.low:+.4f} to {row.high:+.4f}"
    name = row.group if row.partition == "slice" else f"{row.partition}: {one_line(row.group)}"
    return (
        fit(name, _NAME)
        + f"{row.users:>8,}{row.first:>9.4f}{row.second:>9.4f}{row.second - row.first:>+12.4f}{ends:>20}"
        + f"{row.gained:>8,}{row.lost:>7,}  {sure}"
    ).rstrip()


def _example(user: UserDifference) -> str:
    title = f"user {one_line(user.user_id)}: {user.first:.4f} -> {user.second:.4f}"
    lines = {"labels": user.labels, "first": user.first_items, "second": user.second_items}
    return "\n".join([title, *(f"  {name:<7} {_items(items)}" for name, items in lines.items())])


def _items(items: Sequence[ListedItem]) -> str:
    shown = [("*" if item.is_label else "") + _short(item.title) for item in items[:SHOWN_ITEMS]]
    return textwrap.shorten("; ".join(shown), WIDTH - 10, placeholder=" …") if shown else "none"


def _short(text: str) -> str:
    return fit(one_line(text), min(SHOWN_WIDTH, display_width(one_line(text))))
