"""What an evaluation says: each model's scores by slice, the protocol they hold under, the verdict, and what a page
shows beside them; as JSON.

It knows nothing of how the numbers come about. A number that does not exist (no users in a slice, a model
that gave NaN) is NaN here and null in JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrec.training.learning_curve import Epoch, epoch_from

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
class Gain:
    """The judged model beside the strongest baseline in one group."""

    partition: str  # as in Scores.groups
    group: str
    users: int
    ours: float  # NDCG@20
    theirs: float
    low: float  # ends of the 95 % interval of the paired difference
    high: float


@dataclasses.dataclass(frozen=True)
class Point:
    """The judged model, told of the last `events` of each history alone."""

    events: int | None  # None: of all of it
    slices: dict[str, SliceScores]  # "all" and "novel"


@dataclasses.dataclass(frozen=True)
class ColdStart:
    """Quality after few events, all of the same users."""

    users: int
    points: tuple[Point, ...]
    stranger: dict[str, SliceScores]  # what a list that is the same for everybody comes to


@dataclasses.dataclass(frozen=True)
class Bin:
    """Candidates of about one chance."""

    predicted: float  # mean chance
    observed: float  # share that was chosen
    candidates: int


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Predicted chances against what was chosen."""

    bins: tuple[Bin, ...]
    error: float  # expected calibration error


@dataclasses.dataclass(frozen=True)
class Listed:
    """An item of a shopper's list."""

    item_id: str
    title: str
    is_marked: bool  # in the list that it is held against


@dataclasses.dataclass(frozen=True)
class Shopper:
    """A held-out user, by the first items of three lists."""

    user_id: str
    history: tuple[Listed, ...]  # latest first, marked where chosen again in the window
    recommended: tuple[Listed, ...]  # best first, marked where chosen in the window
    chosen: tuple[Listed, ...]  # in the window, marked where recommended
    choices: int  # in the window, those that are not listed included


@dataclasses.dataclass(frozen=True)
class Details:
    """What a page shows beside the scores. An empty part was not measured."""

    baseline: str = ""  # the strongest, that gains are counted from
    gains: tuple[Gain, ...] = ()
    cold_start: ColdStart | None = None
    reliability: Reliability | None = None  # of a model with a second stage
    chosen: tuple[float, ...] = ()  # shares of all choices by tenth of the items, as Scores.exposure
    shoppers: tuple[Shopper, ...] = ()
    training: tuple[Epoch, ...] = ()


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation: baselines first, then the model in production, the judged model last."""

    protocol: Protocol
    scores: dict[str, Scores]  # by name, in the order of the table
    verdict: Verdict
    details: Details = Details()

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
            _details(raw.get("details", {})),
        )


def _scores(raw: dict[str, Any]) -> Scores:
    groups = {key: _slices(parts) for key, parts in raw.get("groups", {}).items()}
    return Scores(raw["name"], _slices(raw["slices"]), raw["score_seconds"], groups, _numbers(raw.get("exposure", ())))


def _details(raw: dict[str, Any]) -> Details:
    curve, reliability = raw.get("cold_start"), raw.get("reliability")
    return Details(
        raw.get("baseline", ""),
        tuple(Gain(**{name: _nan_for_null(value) for name, value in gain.items()}) for gain in raw.get("gains", ())),
        curve
        and ColdStart(
            curve["users"],
            tuple(Point(point["events"], _slices(point["slices"])) for point in curve["points"]),
            _slices(curve["stranger"]),
        ),
        reliability and Reliability(tuple(Bin(**each) for each in reliability["bins"]), reliability["error"]),
        _numbers(raw.get("chosen", ())),
        tuple(_shopper(shopper) for shopper in raw.get("shoppers", ())),
        tuple(epoch_from(epoch) for epoch in raw.get("training", ())),
    )


def _shopper(raw: dict[str, Any]) -> Shopper:
    lists = {name: tuple(Listed(**item) for item in raw[name]) for name in ("history", "recommended", "chosen")}
    return Shopper(**{**raw, **lists})


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


def _nan_for_null(value: Any) -> Any:
    return math.nan if value is None else value


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_for_nan(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_null_for_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _without_users(slices: dict[str, SliceScores]) -> dict[str, SliceScores]:
    return {name: dataclasses.replace(part, per_user={}) for name, part in slices.items()}


@dataclasses.dataclass(frozen=True)
class Texts:
    """What the items say, as an exported model read it: one ruler for the lists of all models."""

    vectors: np.ndarray  # [texts, dim] float32 of length 1
    row: np.ndarray  # [items] int64 the text of each item
