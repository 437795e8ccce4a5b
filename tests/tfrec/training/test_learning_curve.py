"""The learning curve on disk."""

from __future__ import annotations

import math

from tfrec.training.learning_curve import Epoch, LearningCurve, read_epochs


def test_an_interrupted_run_goes_on_with_its_curve(tmp_path):
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


def test_an_epoch_taken_up_after_its_last_step_keeps_the_loss_that_was_seen(tmp_path):
    curve = LearningCurve(tmp_path)
    curve.add(Epoch("towers", 1, 5.0, 10.0, 0.1, 0.05))
    curve.add(Epoch("towers", 1, math.nan, 0.5, 0.1, 0.05))
    assert read_epochs(tmp_path) == (Epoch("towers", 1, 5.0, 10.0, 0.1, 0.05),)


def test_a_model_brings_its_curve_along_and_an_older_one_has_none(tmp_path):
    curve = LearningCurve()
    curve.add(Epoch("towers", 1, math.nan, 10.0, 0.1, 0.05))
    curve.write(tmp_path / "assets")
    assert math.isnan(read_epochs(tmp_path / "assets")[0].loss)
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["tfrec_training.json"]
    assert read_epochs(tmp_path) == ()
