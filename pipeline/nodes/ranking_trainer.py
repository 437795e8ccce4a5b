"""run_fn of the node RankingTrainer, which fits the second stage on a model's towers."""

from __future__ import annotations

from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.nodes.servable_export import export_servable
from pipeline.nodes.trainer_inputs import read_inputs


def run_fn(fn_args: FnArgs) -> None:
    """Fit the ranker on the validation window and write the SavedModel of both stages."""
    from tfrec.export.recommender import Recommender
    from tfrec.ranking.fit import fit_second_stage
    from tfrec.training.learning_curve import IN_MODEL
    from tfrec.training.restore import load_towers

    inputs = read_inputs(fn_args)
    trained = load_towers(fn_args.base_model, inputs.train, inputs.catalog, inputs.transformed, inputs.config)
    stage = fit_second_stage(trained, inputs.train, inputs.validation, inputs.config)
    recommender = Recommender(trained, inputs.transformed, inputs.config, stage)
    export_servable(recommender, trained, inputs, fn_args.serving_model_dir)
    trained.curve.write(Path(fn_args.serving_model_dir) / IN_MODEL)
