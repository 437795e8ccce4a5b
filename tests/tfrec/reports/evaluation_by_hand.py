"""An evaluation with hand-written numbers, for the tests of the page."""

from __future__ import annotations

import math

from tfrec.evaluation.details import (
    CalibrationBin,
    CalibrationCurve,
    ColdStart,
    ColdStartPoint,
    Details,
    GroupExposure,
    GroupGain,
    SampleItem,
    SampleUser,
)
from tfrec.evaluation.per_user import METRICS
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, Verdict
from tfrec.training.learning_curve import Epoch

EVIL = "<script>alert('tea')</script><img src=x onerror=alert(1)> & \"西湖龙井\""

PROTOCOL = Protocol("test", 1_512_432_000, "utc", ("purchase",), "sold", 2003, 5, 68260, 2627, "at random", "history")


def part(ndcg: float, recall: float, users: int = 2003) -> SliceScores:
    numbers = dict.fromkeys(METRICS, 0.25) | {"ndcg@20": ndcg, "recall@20": recall, "diversity@20": 0.8125}
    return SliceScores(users, 0.01, numbers, {"ndcg@20": (ndcg - 0.0123, ndcg + 0.0123)})


def scores(name: str, ndcg: float) -> Scores:
    slices = {
        "all": part(ndcg, 0.3),
        "novel": part(ndcg / 10, 0.1),
        "cold": part(math.nan, math.nan, 0),
        "cold_among": part(0.02, 0.0276),
        "new_users": part(math.nan, math.nan, 0),
    }
    ages = {"new": part(0.0, 0.0), "0 to 7 days": part(0.1, 0.1234)}
    return Scores(name, slices, 12.5, {"item age": ages}, (0.55, 0.45))


def point(events: int | None, ndcg: float) -> ColdStartPoint:
    return ColdStartPoint(events, {"all": part(ndcg, 0.2), "novel": part(ndcg / 10, 0.1)})


DETAILS = Details(
    baseline="personal_frequency",
    gains=(
        GroupGain("department", EVIL, 900, 0.4444, 0.3333, 0.0511, 0.1711),
        GroupGain("department", "TOYS", 30, 0.1, 0.2, -0.2, -0.0001),
        GroupGain("activity", "1 to 120", 500, 0.25, 0.2499, -0.01, 0.0102),
        GroupGain("item age", "0 to 7 days", 500, 0.9, 0.1, 0.7, 0.9),
    ),
    cold_start=ColdStart(
        500,
        (point(0, 0.1111), point(1, 0.2222), point(None, 0.3456)),
        {"all": part(0.1528, 0.1), "novel": part(0.04, 0.1)},
    ),
    calibration=CalibrationCurve((CalibrationBin(0.001, 0.0, 1000), CalibrationBin(0.2, 0.25, 1001)), 0.0255),
    label_shares=(0.7531, 0.2469),
    exposure=(
        *(GroupExposure("brand", f"b{number}", 0.1, 0.2, 0.3, 0.4) for number in range(5)),
        GroupExposure("brand", EVIL, 0.5, 0.0, 0.25, math.nan),
        GroupExposure("item age", "new", 0.0385, 0.0301, 0.0012, 0.0),
    ),
    sample_users=(
        SampleUser(
            "u<b>1</b>",
            (SampleItem("i1", "Soap\x1b[2J", False),),
            (SampleItem("i2", EVIL, True), SampleItem("i3", "", False)),
            (SampleItem("i2", EVIL, True),),
            12,
        ),
    ),
    training=(
        Epoch("towers", 1, 5.5, 60.0, 0.1212, 0.0313, ((10, 6.0), (20, 5.0))),
        Epoch("towers", 2, 4.5, 50.0, 0.1313, 0.0414, ((20, 4.5),)),
        Epoch("second stage", 1, 0.0871, 12.25),
    ),
)
NDCG = {"popularity": 0.1361, "personal_frequency": 0.3501, "two stages": 0.36}
EVALUATION = Evaluation(
    PROTOCOL,
    {name: scores(name, ndcg) for name, ndcg in NDCG.items()},
    Verdict(True, ("two stages has ndcg@20 0.3600 on all, above <the> floor",)),
    DETAILS,
)
