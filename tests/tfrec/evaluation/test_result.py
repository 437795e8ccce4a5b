"""evaluation.json: written, read again, and read from files of older versions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tfrec.errors import DataError
from tfrec.evaluation.details import (
    CalibrationBin,
    CalibrationCurve,
    ColdStart,
    ColdStartPoint,
    Details,
    GroupGain,
    SampleItem,
    SampleUser,
)
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, Verdict
from tfrec.training.learning_curve import Epoch

PROTOCOL = Protocol("test", 1_512_432_000, "utc", ("purchase",), "sold", 2, 0, 5, 1, "at random", "history", "abc")
SLICE = SliceScores(2, 0.1, {"ndcg@20": 0.5, "mrr": 1.0}, {"ndcg@20": (0.25, 0.75)})
TEA, MUG = SampleItem("t", "西湖龙井", True), SampleItem("m", "", False)
DETAILS = Details(
    baseline="popularity",
    gains=(GroupGain("activity", "0", 2, 0.5, 0.25, 0.125, 0.375),),
    cold_start=ColdStart(2, (ColdStartPoint(0, {"all": SLICE}), ColdStartPoint(None, {"all": SLICE})), {"all": SLICE}),
    calibration=CalibrationCurve((CalibrationBin(0.25, 0.5, 4),), 0.25),
    label_shares=(0.75, 0.25),
    sample_users=(SampleUser("ann", (MUG,), (TEA, MUG), (TEA,), 3),),
    training=(Epoch("towers", 1, 2.0, 3.0, 0.5, 0.25, ((10, 2.5), (20, 1.5))),),
)


def evaluation() -> Evaluation:
    model = Scores("model", {"all": SLICE}, 1.5, {"item age": {"new": SLICE}}, (0.75, 0.25))
    return Evaluation(
        PROTOCOL,
        {"popularity": Scores("popularity", {"all": SLICE}, 0.5), "model": model},
        Verdict(True, ("good",)),
        DETAILS,
    )


def test_an_evaluation_comes_back_from_its_json():
    copy = Evaluation.from_json(evaluation().to_json())
    assert copy == evaluation()
    assert list(copy.scores) == ["popularity", "model"]  # the order of the table
    assert copy.model.name == "model"


def test_a_users_own_values_are_not_stored():
    scores = Scores("model", {"all": SliceScores(2, 0.1, {}, {}, {"ndcg@20": np.array([0.0, 1.0])})}, 1.0)
    text = Evaluation(PROTOCOL, {"model": scores}, Verdict(True, ())).to_json()
    assert "per_user" not in text
    assert Evaluation.from_json(text).model.slices["all"].per_user == {}


def test_a_number_that_does_not_exist_is_null():
    empty = Scores("model", {"new_users": SliceScores(0, math.nan, {"mrr": math.nan})}, 1.0, {}, (math.nan,))
    text = Evaluation(PROTOCOL, {"model": empty}, Verdict(False, ("no users",))).to_json()
    assert json.loads(text)["scores"]["model"]["slices"]["new_users"]["ndcg_se"] is None
    copy = Evaluation.from_json(text).model
    assert math.isnan(copy.slices["new_users"].metrics["mrr"])
    assert math.isnan(copy.exposure[0])


def test_the_keys_of_an_older_version_are_read():
    raw = json.loads(evaluation().to_json())
    details = raw["details"]
    for part in raw["scores"]["model"]["slices"].values():
        part["per_user"] = {}
    for old, new in (("reliability", "calibration"), ("chosen", "label_shares"), ("shoppers", "sample_users")):
        details[old] = details.pop(new)
    details["cold_start"]["stranger"] = details["cold_start"].pop("non_personalized")
    (gain,), (user,) = details["gains"], details["shoppers"]
    gain["ours"], gain["theirs"] = gain.pop("model_ndcg"), gain.pop("baseline_ndcg")
    user["chosen"], user["choices"] = user.pop("labels"), user.pop("n_labels")
    assert Evaluation.from_json(json.dumps(raw)) == evaluation()


def test_an_evaluation_of_a_version_without_details_intervals_and_groups_is_read():
    raw = json.loads(evaluation().to_json())
    del raw["details"], raw["scores"]["model"]["groups"], raw["scores"]["model"]["exposure"]
    del raw["scores"]["model"]["slices"]["all"]["intervals"]
    older = Evaluation.from_json(json.dumps(raw))
    assert older.details == Details()
    assert older.model == Scores("model", {"all": SliceScores(2, 0.1, SLICE.metrics)}, 1.5)


@pytest.mark.parametrize("content", [b"\x89PNG", b"{}", b'{"protocol": {"window": "test"'])
def test_a_file_that_is_no_evaluation_is_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"other\.json is not an evaluation \(.*\); give the evaluation\.json of"):
        Evaluation.read(path)


def test_the_masks_of_an_older_evaluation_are_those_of_a_new_one():
    text = (
        evaluation()
        .to_json()
        .replace(
            '"masks": "history"', '"masks": "what the user chose before the window, in novel, cold and cold_among"'
        )
    )
    assert Evaluation.from_json(text).protocol.masks == "the user's history, in novel, cold and cold_among"
