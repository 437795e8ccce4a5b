"""Scores of one model by slice, the protocol they hold under, and the verdict.

A number that does not exist (no users in a slice, a model that gave NaN) is NaN here and null in
JSON.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field

from tfrec.results_json import Number

_KIND_SUFFIX = " labels"


def of_kind(kind: str) -> str:
    """Name of the slice of one kind of label."""
    return kind + _KIND_SUFFIX


def is_of_kind(slice_: str) -> bool:
    """True for a slice of one kind of label."""
    return slice_.endswith(_KIND_SUFFIX)


def _current_masks(masks: str) -> str:
    """The sentence for the same masks in files of older versions becomes the present one."""
    return masks.replace("what the user chose before the window", "the user's history")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Conditions of the measurement: numbers of different protocols may not be compared."""

    window: str  # "validation" or "test"
    window_start: int  # seconds since the epoch, or a position in an order; without windows the first label's
    clock: str  # one of schema.CLOCKS
    label_kinds: tuple[str, ...]
    candidates: str  # "sold": items with an event before or in the window; "catalog": all
    users: int
    new_users: int
    items: int
    cold_items: int
    ties: str
    masks: Annotated[str, BeforeValidator(_current_masks)]
    data: str = ""  # a hash of users, candidates, labels and histories
    split: str = "time"  # examples.split.method; without meaning for the order clock


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclasses.dataclass(frozen=True)
class SliceScores:
    """One model on one slice: means over the users with at least one relevant item in it."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)
    users: int
    ndcg_se: Number  # standard error of ndcg@20 over users
    metrics: dict[str, Number]  # per_user.METRICS -> value; of a group per_user.GROUP_METRICS
    # per_user.PER_USER -> ends of the 95 % interval of the mean over users; none for a single user
    intervals: dict[str, tuple[Number, Number]] = dataclasses.field(default_factory=dict)
    # per_user.PER_USER -> [users] values, to compare models user by user; left out of JSON
    per_user: Annotated[dict[str, np.ndarray], Field(exclude=True)] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )
    # [users] rows of the holdout, in the order of `per_user`; left out of JSON
    user_rows: Annotated[np.ndarray, Field(exclude=True)] = dataclasses.field(
        default_factory=_no_rows, compare=False, repr=False
    )


@dataclasses.dataclass(frozen=True)
class Scores:
    """One model on every slice."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)
    name: str
    slices: dict[str, SliceScores]  # evaluate.SLICES -> scores
    score_seconds: float  # spent in the model's own scoring of all users
    # partition ("department", "item age", "activity") -> group -> scores of the first 20, nothing
    # masked
    groups: dict[str, dict[str, SliceScores]] = dataclasses.field(default_factory=dict)
    exposure: tuple[Number, ...] = ()  # shares of all users' first 20 by tenth of the items, the most popular first
    # [users, 20] columns of the holdout's items, -1 for none, the users as in slice "all"; left out
    # of JSON
    lists: Annotated[np.ndarray, Field(exclude=True)] = dataclasses.field(
        default_factory=_no_rows, compare=False, repr=False
    )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Verdict on whether the model may be pushed, and the reasons, in sentences with numbers."""

    blessed: bool
    reasons: tuple[str, ...]
    unmet: tuple[str, ...] = ()
    """Those of the reasons that refuse the model."""
