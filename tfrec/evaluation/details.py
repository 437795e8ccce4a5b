"""Details of an evaluation that the report page shows in addition to the scores.

An alias is the key of a field in files of older versions.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import AliasChoices, Field

from tfrec.evaluation.scores import SliceScores
from tfrec.results_json import Number
from tfrec.training.learning_curve import Epoch


@dataclasses.dataclass(frozen=True)
class GroupGain:
    """NDCG@20 of the evaluated model and of the strongest baseline in one group."""

    partition: str  # as in Scores.groups
    group: str
    users: int
    model_ndcg: Annotated[Number, Field(validation_alias=AliasChoices("model_ndcg", "ours"))]
    baseline_ndcg: Annotated[Number, Field(validation_alias=AliasChoices("baseline_ndcg", "theirs"))]
    low: Number  # ends of the 95 % interval of the paired difference
    high: Number

    @property
    def difference(self) -> float:
        """NDCG@20 of the model above that of the baseline."""
        return self.model_ndcg - self.baseline_ndcg


@dataclasses.dataclass(frozen=True)
class GroupExposure:
    """Shares of one group of items in each of four."""

    partition: str  # "department", "brand", a column of the items, "item age"
    group: str
    catalog: Number  # of the candidate items
    labels: Number  # of all users' labels
    model: Number  # of all users' first 20 items
    baseline: Number  # likewise, of the strongest baseline


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Mean over users of the model's NDCG@20 minus that of a baseline."""

    mean: Number
    low: Number  # ends of the 95 % interval
    high: Number


@dataclasses.dataclass(frozen=True)
class ColdStartPoint:
    """Scores of the evaluated model on histories that are cut to their last `events`."""

    events: int | None  # None: the whole history
    slices: dict[str, SliceScores]  # "all" and "novel"
    # baseline of ColdStart.baselines -> slice -> difference
    differences: dict[str, dict[str, PairedDifference]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ColdStart:
    """Quality after few events, all points of the same users."""

    users: int
    points: tuple[ColdStartPoint, ...]
    # scores of a list that is equal for all users
    non_personalized: Annotated[
        dict[str, SliceScores], Field(validation_alias=AliasChoices("non_personalized", "stranger"))
    ]
    # recent_popularity, popularity, and item_knn on the last item: name -> slice -> scores
    baselines: dict[str, dict[str, SliceScores]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Candidates of about one probability."""

    predicted: float  # mean probability
    observed: float  # share with a label
    candidates: int


@dataclasses.dataclass(frozen=True)
class CalibrationCurve:
    """Predicted probabilities and observed shares of labels."""

    bins: tuple[CalibrationBin, ...]
    error: float  # expected calibration error


@dataclasses.dataclass(frozen=True)
class ProbabilityMetrics:
    """Metrics of the probabilities of all users' candidates."""

    candidates: int
    labels: int  # candidates that are a label of their user
    auc: Number  # area under the ROC curve, over the candidates of all users together
    log_loss: Number  # mean, in nats
    accuracy: Number  # share of candidates that a threshold of 0.5 classifies rightly


@dataclasses.dataclass(frozen=True)
class SampleItem:
    """One item of a sample user's list."""

    item_id: str
    title: str
    is_marked: bool  # it is also in the list that this one is compared with


@dataclasses.dataclass(frozen=True)
class SampleUser:
    """A held-out user, by the first items of three lists."""

    user_id: str
    history: tuple[SampleItem, ...]  # latest first, marked if it is a label
    recommended: tuple[SampleItem, ...]  # best first, marked if it is a label
    # items of the window, marked if recommended
    labels: Annotated[tuple[SampleItem, ...], Field(validation_alias=AliasChoices("labels", "chosen"))]
    n_labels: Annotated[int, Field(validation_alias=AliasChoices("n_labels", "choices"))]  # the unlisted ones included


@dataclasses.dataclass(frozen=True)
class Details:
    """All details. An empty part was not measured."""

    baseline: str = ""  # the strongest one, which the gains are counted from
    gains: tuple[GroupGain, ...] = ()
    cold_start: ColdStart | None = None
    # of a model with a second stage
    calibration: Annotated[
        CalibrationCurve | None, Field(validation_alias=AliasChoices("calibration", "reliability"))
    ] = None
    # shares of all labels by tenth of the items, as Scores.exposure
    label_shares: Annotated[tuple[Number, ...], Field(validation_alias=AliasChoices("label_shares", "chosen"))] = ()
    exposure: tuple[GroupExposure, ...] = ()
    sample_users: Annotated[
        tuple[SampleUser, ...], Field(validation_alias=AliasChoices("sample_users", "shoppers"))
    ] = ()
    training: tuple[Epoch, ...] = ()
    probabilities: ProbabilityMetrics | None = None  # of a model with a second stage
