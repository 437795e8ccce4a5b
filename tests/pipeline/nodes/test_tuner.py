"""The search for settings, by TFX's own executors on the shop of tests/conftest.py."""

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

from pipeline.nodes.tuner import search_space
from tfrec.config import Config, RankingConfig, TuneConfig, config_from_json, with_settings

TUNE = TuneConfig(max_trials=2, space=(("towers.dim", (4, 6)), ("train.logq", (True,))), epochs=1)


@dataclasses.dataclass(frozen=True)
class Searched:
    """A search: its inputs and the folder of its results."""

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
        """Run the Tuner as TFX's launcher does."""
        shutil.rmtree(self.home / "best", ignore_errors=True)
        outputs = {
            "best_hyperparameters": [artifact("HyperParameters", self.home / "best")],
            "tuner_results": [artifact("TunerResults", self.home / "results")],
        }
        properties = self.properties | {"tuner_fn": "pipeline.nodes.tuner.tuner_fn"}
        Executor(Executor.Context(tmp_dir=str(self.home / "tmp"), unique_id="1")).Do(self.inputs, outputs, properties)


def artifact(name: str, folder: Path) -> Artifact:
    """Make one of TFX's standard artifacts with its files in a folder."""
    one = getattr(standard_artifacts, name)()
    one.uri = str(folder)
    return one


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
    search = Searched(
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
    search.search()
    return search


@pytest.mark.slow
def test_the_best_trial_has_the_highest_validation_score(searched: Searched) -> None:
    assert sorted(trial["towers.dim"] for trial in searched.trials) == [4, 6]
    scores = {trial["towers.dim"]: trial["score"] for trial in searched.trials}
    assert all(0 < score <= 1 for score in scores.values())
    assert scores[4] != scores[6]
    assert searched.best == {"towers.dim": max(scores, key=scores.__getitem__), "train.logq": 1}  # KerasTuner's True


@pytest.mark.slow
def test_a_finished_search_runs_no_trial_again(searched: Searched, capfd: pytest.CaptureFixture[str]) -> None:
    """As after a kill between the last trial and TFX's record of the search."""
    best, trials = searched.best, searched.trials
    searched.search()
    assert "tfrec: trial" not in capfd.readouterr().out
    assert (searched.best, searched.trials) == (best, trials)


@pytest.mark.slow
def test_the_trainer_uses_the_best_settings(searched: Searched, tmp_path: Path) -> None:
    import tensorflow as tf

    custom = json.loads(searched.properties["custom_config"]) | {"is_last": False, "work": str(tmp_path / "work")}
    assert config_from_json(custom["config"]).towers.dim == 8
    outputs = {"model": [artifact("Model", tmp_path / "model")], "model_run": [artifact("ModelRun", tmp_path / "run")]}
    best = {"hyperparameters": [artifact("HyperParameters", searched.home / "best")]}
    properties = searched.properties | {"custom_config": json.dumps(custom), "run_fn": "pipeline.nodes.trainer.run_fn"}
    GenericExecutor().Do(searched.inputs | best, outputs, properties)
    embed = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures["embed_query"]
    assert embed.structured_outputs["embedding"].shape[-1] == searched.best["towers.dim"] + 1


def test_the_search_space_holds_every_value() -> None:
    (dim, logq) = search_space(TUNE).space
    assert (dim.name, dim.values, logq.name, logq.values) == ("towers.dim", [4, 6], "train.logq", [True])


def test_tuned_values_get_the_types_of_their_settings() -> None:
    config = with_settings(Config(), {"towers.dim": 4, "train.logq": 0, "train.learning_rate": 1})
    assert (config.towers.dim, config.train.logq, config.train.learning_rate) == (4, False, 1.0)
    assert isinstance(config.train.logq, bool)
    assert config_from_json(dataclasses.replace(config, tune=TUNE).to_json()).tune == TUNE
