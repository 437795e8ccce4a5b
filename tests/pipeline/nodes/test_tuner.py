"""The search for settings: real trials on the shop of tests/conftest.py, run by TFX's own executors."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.components.tuner.executor import Executor
from tfx.types import Artifact, standard_artifacts

from pipeline.nodes.tuner import space_of
from tfrec.config import Config, RankingConfig, TuneConfig, config_from_json, with_settings

TUNE = TuneConfig(max_trials=2, space=(("towers.dim", (4, 6)), ("train.logq", (True,))), epochs=1)


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search was given and what it left."""

    properties: dict[str, Any]
    inputs: dict[str, list[Artifact]]
    home: Path

    @property
    def best(self) -> dict[str, Any]:
        return json.loads((self.home / "best" / "best_hyperparameters.txt").read_text())["values"]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return json.loads((self.home / "results" / "tuner_results.json").read_text())

    def search(self) -> None:
        """Runs the Tuner as its launcher does."""
        shutil.rmtree(self.home / "best", ignore_errors=True)
        outputs = {
            "best_hyperparameters": [artifact("HyperParameters", self.home / "best")],
            "tuner_results": [artifact("TunerResults", self.home / "results")],
        }
        told = self.properties | {"tuner_fn": "pipeline.nodes.tuner.tuner_fn"}
        Executor(Executor.Context(tmp_dir=str(self.home / "tmp"), unique_id="1")).Do(self.inputs, outputs, told)


def artifact(name: str, folder: Path) -> Artifact:
    """One of TFX's standard artifacts, its files in a folder."""
    made = getattr(standard_artifacts, name)()
    made.uri = str(folder)
    return made


@pytest.fixture(scope="module")
def searched(transformed_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """Two trials over the shop's transformed examples."""
    home = tmp_path_factory.mktemp("searched")
    for split in ("train", "validation", "catalog"):
        (home / "examples" / f"Split-{split}").mkdir(parents=True)
        shutil.copy(transformed_shop.files[split][0], home / "examples" / f"Split-{split}")
    examples = artifact("Examples", home / "examples")
    examples.split_names = '["train", "validation", "catalog"]'
    config = dataclasses.replace(transformed_shop.config, tune=TUNE, ranking=RankingConfig())
    custom = {"config": config.to_json(), "work": str(home / "work"), "code": "", "weights": "", "snapshot": ""}
    made = Searched(
        properties={
            "custom_config": json.dumps(custom),
            "train_args": '{"splits": ["train", "catalog"]}',
            "eval_args": '{"splits": ["validation"]}',
        },
        inputs={
            "examples": [examples],
            "transform_graph": [artifact("TransformGraph", Path(transformed_shop.folder))],
        },
        home=home,
    )
    made.search()
    return made


def test_the_best_of_two_trials_is_chosen_by_its_validation_score(searched: Searched) -> None:
    assert sorted(trial["towers.dim"] for trial in searched.trials) == [4, 6]
    scores = {trial["towers.dim"]: trial["score"] for trial in searched.trials}
    assert all(0 < score <= 1 for score in scores.values())
    assert scores[4] != scores[6]
    assert searched.best == {"towers.dim": max(scores, key=scores.__getitem__), "train.logq": 1}  # KerasTuner's True


def test_a_search_that_ran_tries_nothing_again(searched: Searched, capfd: pytest.CaptureFixture[str]) -> None:
    """As after a kill between the last trial and TFX's record of the search."""
    best, trials = searched.best, searched.trials
    searched.search()
    assert "tfrec: trial" not in capfd.readouterr().out
    assert (searched.best, searched.trials) == (best, trials)


def test_the_trainer_trains_what_was_found(searched: Searched, tmp_path: Path) -> None:
    import tensorflow as tf

    custom = json.loads(searched.properties["custom_config"]) | {"is_last": False, "work": str(tmp_path / "work")}
    assert config_from_json(custom["config"]).towers.dim == 8
    outputs = {"model": [artifact("Model", tmp_path / "model")], "model_run": [artifact("ModelRun", tmp_path / "run")]}
    found = {"hyperparameters": [artifact("HyperParameters", searched.home / "best")]}
    told = searched.properties | {"custom_config": json.dumps(custom), "run_fn": "pipeline.nodes.trainer.run_fn"}
    GenericExecutor().Do(searched.inputs | found, outputs, told)
    embed = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures["embed_query"]
    assert embed.structured_outputs["embedding"].shape[-1] == searched.best["towers.dim"] + 1


def test_a_space_holds_each_choice() -> None:
    (dim, logq) = space_of(TUNE).space
    assert (dim.name, dim.values, logq.name, logq.values) == ("towers.dim", [4, 6], "train.logq", [True])


def test_what_was_found_has_the_types_of_the_settings() -> None:
    found = with_settings(Config(), {"towers.dim": 4, "train.logq": 0, "train.learning_rate": 1})
    assert (found.towers.dim, found.train.logq, found.train.learning_rate) == (4, False, 1.0)
    assert isinstance(found.train.logq, bool)
    assert config_from_json(dataclasses.replace(found, tune=TUNE).to_json()).tune == TUNE
