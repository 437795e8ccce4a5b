"""A study of hand-written scores: what it tries, stores and takes up again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.experiments.space import Space, ranker_space, towers_space
from pipeline.experiments.study import Study, Trial
from tfrec.config import Config, ExamplesConfig, SplitConfig, TowerConfig, TuneConfig
from tfrec.errors import DataError

SPACE: Space = {"towers.dropout": (0.2, 0.4), "ranking.hidden": ((256, 128), (64,))}  # the own values first


def study(folder: Path, space: Space = SPACE, config: Config | None = None) -> Study:
    return Study(folder, space, config or Config())


def run(study: Study, *scores: float) -> list[dict]:
    """Add a trial of ten seconds for each score; gives their settings."""
    for score in scores:
        settings = study.next_settings()
        assert settings is not None
        study.add(Trial(settings, score, 10.0))
    return [trial.settings for trial in study.trials]


def test_the_first_trial_is_of_the_runs_own_settings_and_none_is_made_twice(tmp_path: Path) -> None:
    made = study(tmp_path)
    settings = run(made, 0.1, 0.2, 0.3, 0.15)
    assert settings[0] == {}
    # Two settings of two values are four combinations; a setting at its own value is left out.
    others = [{"towers.dropout": 0.4}, {"ranking.hidden": (64,)}, {"towers.dropout": 0.4, "ranking.hidden": (64,)}]
    assert sorted(settings[1:], key=str) == sorted(others, key=str)
    assert made.next_settings() is None
    assert made.best.settings == settings[2]


def test_a_study_that_was_killed_goes_on_with_the_same_trials(tmp_path: Path) -> None:
    whole = run(study(tmp_path / "whole"), 0.1, 0.2, 0.3)
    run(study(tmp_path / "killed"), 0.1, 0.2)
    resumed = study(tmp_path / "killed")
    assert len(resumed.trials) == 2
    assert resumed.seconds == 20
    assert run(resumed, 0.3) == whole
    assert not list((tmp_path / "killed").glob(".tmp-*"))


def test_a_failed_trial_is_kept_and_never_the_best(tmp_path: Path) -> None:
    made = study(tmp_path)
    run(made, math.nan, 0.0)
    assert math.isnan(study(tmp_path).trials[0].score)
    assert study(tmp_path).best.score == 0.0


def test_a_damaged_trial_is_named(tmp_path: Path) -> None:
    (tmp_path / "trial-0000.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"trial-0000\.json is not a trial .*; delete it to repeat the trial"):
        study(tmp_path)


def test_a_trial_is_begun_while_one_of_mean_length_fits_into_the_budget(tmp_path: Path) -> None:
    made = study(tmp_path)
    assert made.has_time(0)  # the first one always
    run(made, 0.1, 0.2)  # 20 seconds, 10 each
    assert made.has_time(30)
    assert not made.has_time(29)


def test_settings_that_do_not_fit_each_other_are_not_tried(tmp_path: Path) -> None:
    # 4 heads divide 8 dimensions and not 6.
    config = Config(towers=TowerConfig(dim=8, heads=2))
    made = study(tmp_path, {"towers.dim": (8, 6), "towers.heads": (2, 4)}, config)
    settings = run(made, 0.1, 0.2, 0.3)
    assert {"towers.dim": 6, "towers.heads": 4} not in settings
    assert made.next_settings() is None


def test_the_spaces_lie_around_the_runs_own_values_which_come_first() -> None:
    config = Config()
    towers, ranker = towers_space(config), ranker_space(config)
    assert towers["train.learning_rate"] == pytest.approx((0.001, 0.0003, 0.0005, 0.002, 0.003))
    assert towers["towers.dim"] == (64, 32, 128)
    assert towers["towers.dropout"][0] == 0.2
    assert ranker["ranking.hidden"][0] == (256, 128)
    assert all(name.startswith("ranking.") for name in ranker)
    assert all(len(set(values)) == len(values) > 1 for values in (towers | ranker).values())


def test_no_more_earlier_windows_are_tried_than_states_of_items_are_kept_for() -> None:
    assert ranker_space(Config())["ranking.earlier_windows"] == (1, 0, 2)
    with_states = Config(examples=ExamplesConfig(item_states=True))
    assert ranker_space(with_states)["ranking.earlier_windows"] == (1, 0)


def test_settings_without_effect_on_the_data_are_not_varied() -> None:
    last_out = Config(examples=ExamplesConfig(split=SplitConfig(method="leave_last_out")))
    assert "ranking.earlier_windows" in ranker_space(Config())
    assert "ranking.earlier_windows" not in ranker_space(last_out)
    assert "train.trend_half_life_days" in towers_space(last_out)
    assert "train.trend_half_life_days" not in towers_space(Config(clock="order"))


def test_a_space_of_the_shops_file_is_taken_for_the_towers() -> None:
    tune = TuneConfig(space=(("towers.dim", (16, 32)),))
    assert towers_space(Config(tune=tune)) == {"towers.dim": (64, 16, 32)}
