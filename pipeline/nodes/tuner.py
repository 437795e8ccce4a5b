"""tuner_fn of TFX's Tuner: a random search for settings of the towers, by validation NDCG.

The test window is not used. A search that was killed resumes in the middle of a trial.
"""

from __future__ import annotations

import gc
import hashlib
import shutil
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from pipeline.nodes.trainer_inputs import TrainerInputs, read_inputs
from tfrec.config import TuneConfig, with_settings

OBJECTIVE = "validation_ndcg"


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Make the search over the configuration's `tune.space`."""
    return TunerFnResult(TowersTuner(read_inputs(fn_args), _search_folder(fn_args)), {})


class TowersTuner(BaseTuner):
    """Random search; each trial trains the towers for `tune.epochs`."""

    def __init__(self, inputs: TrainerInputs, folder: Path) -> None:
        """Keep the state of the search and the checkpoints of its trials in `folder`."""
        self._inputs = inputs
        tune = inputs.config.tune
        oracle = keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=tune.max_trials,
            seed=tune.seed,
            hyperparameters=search_space(tune),
            allow_new_entries=False,
            tune_new_entries=False,
        )
        super().__init__(oracle, directory=str(folder), project_name="search")

    def run_trial(self, trial: Trial, *fit_args: object, **fit_kwargs: object) -> dict[str, float]:
        """Train the towers with the trial's settings; their score is the best epoch's NDCG@20."""
        from tfrec.console import log
        from tfrec.training.train import TrainingJob, train

        settings = trial.hyperparameters.values
        tune = self._inputs.config.tune
        config = with_settings(self._inputs.config, {"train.epochs": tune.epochs} | settings)
        changes = ", ".join(f"{name} {value}" for name, value in settings.items())
        number = int(trial.trial_id) + 1
        log(f"trial {number} of {tune.max_trials}: {changes}")
        folder = Path(self.directory) / f"trial-{trial.trial_id}"
        job = TrainingJob(
            train_files=self._inputs.train,
            validation_files=self._inputs.validation,
            catalog_files=self._inputs.catalog,
            transformed=self._inputs.transformed,
            config=config,
            checkpoint_dir=str(folder),
            log_dir=str(folder / "log"),
        )
        trained = train(job)
        score = trained.validation_ndcg
        del trained
        gc.collect()  # two models may not fit into memory
        log(f"trial {number} of {tune.max_trials}: validation NDCG@20 {score:.4f}")
        return {OBJECTIVE: score}


def search_space(tune: TuneConfig) -> keras_tuner.HyperParameters:
    """The space as KerasTuner's hyperparameters."""
    space = keras_tuner.HyperParameters()
    for name, values in tune.space:
        space.Choice(name, list(values))
    return space


def _search_folder(fn_args: FnArgs) -> Path:
    """Folder for these examples and this configuration; removes those of other searches."""
    properties = {name: value for name, value in fn_args.custom_config.items() if name != "work"}
    content = repr((sorted(fn_args.train_files), fn_args.transform_graph_path, sorted(properties.items())))
    work, name = Path(fn_args.custom_config["work"]), f"search-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    for other in work.glob("search-*"):
        if other.name != name:
            shutil.rmtree(other)
    return work / name
