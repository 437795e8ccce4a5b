"""run_fn of the node RankingTrainer, which fits the second stage on a model's towers.

Its checkpoints stay in the run's folder `work`, so that a killed node resumes.
"""

from __future__ import annotations

from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.nodes.servable_export import export_servable
from pipeline.nodes.trainer_inputs import checkpoint_dir, read_inputs


def run_fn(fn_args: FnArgs) -> None:
    """Fit the ranker on the validation window and write the SavedModel of both stages."""
    from tfrec.export.two_stage_recommender import TwoStageRecommender
    from tfrec.ranking.fit_second_stage import fit_second_stage
    from tfrec.training.learning_curve import IN_MODEL
    from tfrec.training.restore import load_towers

    inputs = read_inputs(fn_args)
    trained = load_towers(fn_args.base_model, inputs.train, inputs.catalog, inputs.transformed, inputs.config)
    checkpoints = checkpoint_dir(fn_args, inputs.config, "ranking-checkpoints", fn_args.base_model)
    stage = fit_second_stage(trained, inputs.train, inputs.validation, inputs.config, checkpoints)
    recommender = TwoStageRecommender(trained, inputs.transformed, inputs.config, stage)
    export_servable(recommender, trained, inputs, fn_args.serving_model_dir)
    trained.curve.write(Path(fn_args.serving_model_dir) / IN_MODEL)
