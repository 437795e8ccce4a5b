"""The learning curve on disk."""

from __future__ import annotations

import json
import math

import pytest

from tfrec.errors import DataError
from tfrec.training.learning_curve import FILE, POINTS, Epoch, LearningCurve, epoch_of, read_epochs


def test_an_interrupted_run_extends_its_curve(tmp_path):
    first = LearningCurve(tmp_path / "work")
    first.add(Epoch("towers", 1, 5.0, 10.0, 0.1, 0.05))
    first.add(Epoch("towers", 2, 4.0, 11.0, 0.2, 0.06))
    second = LearningCurve(tmp_path / "work")
    second.add(Epoch("towers", 2, 3.5, 9.0, 0.25, 0.07))  # killed before its checkpoint, so run again
    second.add(Epoch("second stage", 1, 0.5, 3.0))
    found = read_epochs(tmp_path / "work")
    assert [(epoch.phase, epoch.number, epoch.loss) for epoch in found] == [
        *(("towers", 1, 5.0), ("towers", 2, 3.5), ("second stage", 1, 0.5)),
    ]
    assert math.isnan(found[2].ndcg)
    assert found[:2] == second.epochs[:2]


def test_an_epoch_resumed_after_its_last_step_keeps_its_losses(tmp_path):
    curve = LearningCurve(tmp_path)
    curve.add(Epoch("towers", 1, 5.0, 10.0, 0.1, 0.05, ((1, 6.0), (2, 4.0))))
    curve.add(Epoch("towers", 1, math.nan, 0.5, 0.3, 0.06))
    assert read_epochs(tmp_path) == (Epoch("towers", 1, 5.0, 10.0, 0.3, 0.06, ((1, 6.0), (2, 4.0))),)


def test_an_epochs_loss_is_the_mean_over_its_steps():
    epoch = epoch_of("towers", 2, [3.0, 1.0, 2.0], 7.0)
    assert (epoch.phase, epoch.number, epoch.loss, epoch.seconds) == ("towers", 2, 2.0, 7.0)
    assert epoch.steps == ((1, 3.0), (2, 1.0), (3, 2.0))


def test_points_of_a_long_epoch_are_means_since_the_previous_point():
    # 101 steps, the loss of step n is n: three steps a point, so 34 points, and the last one holds
    # two steps.
    epoch = epoch_of("towers", 1, [float(step) for step in range(1, 102)], 1.0)
    assert len(epoch.steps) == 34 <= POINTS
    assert epoch.steps[:2] == ((3, 2.0), (6, 5.0))
    assert epoch.steps[-1] == (101, 100.5)


def test_a_resumed_epoch_has_the_steps_of_the_last_run():
    epoch = epoch_of("towers", 1, [4.0, 2.0], 1.0, first_step=9)
    assert (epoch.loss, epoch.steps) == (3.0, ((9, 4.0), (10, 2.0)))
    nothing = epoch_of("towers", 1, [], 1.0, first_step=9)
    assert math.isnan(nothing.loss)
    assert nothing.steps == ()


def test_an_epoch_of_an_older_version_has_no_loss_by_step(tmp_path):
    row = {"phase": "towers", "number": 1, "loss": 5.0, "seconds": 10.0, "ndcg": 0.1, "ndcg_novel": 0.05}
    (tmp_path / FILE).write_text(json.dumps([row]))
    assert read_epochs(tmp_path) == (Epoch("towers", 1, 5.0, 10.0, 0.1, 0.05, ()),)


def test_a_damaged_learning_curve_is_refused(tmp_path):
    (tmp_path / FILE).write_text('[{"phase": "towers"')
    with pytest.raises(DataError, match=r"tfrec_training.json is not a learning curve \(.*\); train the model again"):
        read_epochs(tmp_path)


def test_a_model_carries_its_curve_and_an_older_one_has_none(tmp_path):
    curve = LearningCurve()
    curve.add(Epoch("towers", 1, math.nan, 10.0, 0.1, 0.05))
    curve.write(tmp_path / "assets")
    assert math.isnan(read_epochs(tmp_path / "assets")[0].loss)
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["tfrec_training.json"]
    assert read_epochs(tmp_path) == ()
