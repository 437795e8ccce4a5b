"""tuner_fn of TFX's Tuner: KerasTuner draws settings of the towers and compares them on validation data.

The test window is not looked at. A search that was killed goes on where it was, in the middle of a trial.
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

from pipeline.nodes.trainer_inputs import Inputs, inputs_of
from tfrec.config import TuneConfig, with_settings

OBJECTIVE = "validation_ndcg"


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """A search over the space of the configuration's `tune`."""
    return TunerFnResult(TowersTuner(inputs_of(fn_args), _folder(fn_args)), {})


class TowersTuner(BaseTuner):
    """Random search; each trial trains the towers for `tune.epochs`."""

    def __init__(self, inputs: Inputs, folder: Path) -> None:
        """`folder` keeps the state of the search and the checkpoints of its trials."""
        self._inputs = inputs
        tune = inputs.config.tune
        oracle = keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=tune.max_trials,
            seed=tune.seed,
            hyperparameters=space_of(tune),
            allow_new_entries=False,
            tune_new_entries=False,
        )
        super().__init__(oracle, directory=str(folder), project_name="search")

    def run_trial(self, trial: Trial, *fit_args: object, **fit_kwargs: object) -> dict[str, float]:
        """The best validation NDCG@20 of a trial's epochs."""
        from tfrec.console import log
        from tfrec.training.train import train

        settings = trial.hyperparameters.values
        tune = self._inputs.config.tune
        config = with_settings(self._inputs.config, {"train.epochs": tune.epochs} | settings)
        told = ", ".join(f"{name} {value}" for name, value in settings.items())
        number = int(trial.trial_id) + 1
        log(f"trial {number} of {tune.max_trials}: {told}")
        home = Path(self.directory) / f"trial-{trial.trial_id}"
        trained = train(
            train_files=self._inputs.train,
            validation_files=self._inputs.validation,
            catalog_files=self._inputs.catalog,
            transformed=self._inputs.transformed,
            config=config,
            checkpoint_dir=str(home),
            log_dir=str(home / "log"),
        )
        score = trained.validation_ndcg
        del trained
        gc.collect()  # two models at once may be too many
        log(f"trial {number} of {tune.max_trials}: validation NDCG@20 {score:.4f}")
        return {OBJECTIVE: score}


def space_of(tune: TuneConfig) -> keras_tuner.HyperParameters:
    """KerasTuner's own form of the space."""
    space = keras_tuner.HyperParameters()
    for name, choices in tune.space:
        space.Choice(name, list(choices))
    return space


def _folder(fn_args: FnArgs) -> Path:
    """A folder of this very data and configuration; those of other searches are finished or given up."""
    told = {name: value for name, value in fn_args.custom_config.items() if name != "work"}
    content = repr((sorted(fn_args.train_files), fn_args.transform_graph_path, sorted(told.items())))
    work, name = Path(fn_args.custom_config["work"]), f"search-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    for other in work.glob("search-*"):
        if other.name != name:
            shutil.rmtree(other)
    return work / name
