"""What an evaluation says: each model's scores by slice, the protocol they hold under, the verdict; as JSON.

It knows nothing of how the numbers come about. A number that does not exist (no users in a slice, a model
that gave NaN) is NaN here and null in JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Under what conditions the numbers were measured: numbers of unlike protocols may not be compared."""

    window: str  # "validation" or "test"
    window_start: int  # seconds since the epoch, or a place in an order
    clock: str  # one of schema.CLOCKS
    label_kinds: tuple[str, ...]
    candidates: str  # "sold": items with an event before or in the window; "catalog": all
    users: int
    new_users: int
    items: int
    cold_items: int
    ties: str
    masks: str
    data: str = ""  # a hash of users, candidates, labels and histories


@dataclasses.dataclass(frozen=True)
class SliceScores:
    """One model on one slice: means over the slice's users, each with at least one relevant item."""

    users: int
    ndcg_se: float  # standard error of ndcg@20 over users
    metrics: dict[str, float]  # evaluate.METRICS -> value; of a group evaluate.GROUP_METRICS
    # evaluate.PER_USER -> ends of the 95 % interval of the mean over users; none for a single user
    intervals: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    # evaluate.PER_USER -> [users] values, to compare models user by user; left out of JSON
    per_user: dict[str, np.ndarray] = dataclasses.field(default_factory=dict, compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Scores:
    """One model on every slice."""

    name: str
    slices: dict[str, SliceScores]  # evaluate.SLICES -> scores
    score_seconds: float  # spent in the model's own scoring of all users
    # partition ("department", "item age", "activity") -> group -> scores of the first 20, nothing masked
    groups: dict[str, dict[str, SliceScores]] = dataclasses.field(default_factory=dict)
    exposure: tuple[float, ...] = ()  # shares of all users' first 20 by tenth of the items, the most popular first


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether the model may be pushed, and why, in sentences with numbers."""

    blessed: bool
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation: baselines first, then the model in production, the judged model last."""

    protocol: Protocol
    scores: dict[str, Scores]  # by name, in the order of the table
    verdict: Verdict

    @property
    def judged(self) -> Scores:
        """Of the model that the verdict is about."""
        return list(self.scores.values())[-1]

    def to_json(self) -> str:
        """Indented JSON that any reader takes (NaN is null), in the order of the table; without users' own values."""
        means = {
            name: dataclasses.replace(
                scores,
                slices=_without_users(scores.slices),
                groups={key: _without_users(parts) for key, parts in scores.groups.items()},
            )
            for name, scores in self.scores.items()
        }
        raw = _null_for_nan(dataclasses.asdict(dataclasses.replace(self, scores=means)))
        return json.dumps(raw, indent=2, allow_nan=False, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Evaluation:
        """The Evaluation that `to_json` wrote."""
        raw = json.loads(text)
        protocol, verdict = raw["protocol"], raw["verdict"]
        return Evaluation(
            Protocol(**{**protocol, "label_kinds": tuple(protocol["label_kinds"])}),
            {name: _scores(scores) for name, scores in raw["scores"].items()},
            Verdict(verdict["blessed"], tuple(verdict["reasons"])),
        )


def _scores(raw: dict[str, Any]) -> Scores:
    groups = {key: _slices(parts) for key, parts in raw.get("groups", {}).items()}
    return Scores(raw["name"], _slices(raw["slices"]), raw["score_seconds"], groups, _numbers(raw.get("exposure", ())))


def _slices(raw: dict[str, Any]) -> dict[str, SliceScores]:
    return {
        name: SliceScores(
            part["users"],
            _nan_for_null(part["ndcg_se"]),
            {metric: _nan_for_null(value) for metric, value in part["metrics"].items()},
            {metric: _interval(ends) for metric, ends in part.get("intervals", {}).items()},
        )
        for name, part in raw.items()
    }


def _interval(ends: list[float | None]) -> tuple[float, float]:
    low, high = _numbers(ends)
    return low, high


def _numbers(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(_nan_for_null(value) for value in values)


def _nan_for_null(value: float | None) -> float:
    return math.nan if value is None else value


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_for_nan(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_null_for_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _without_users(slices: dict[str, SliceScores]) -> dict[str, SliceScores]:
    return {name: dataclasses.replace(part, per_user={}) for name, part in slices.items()}
