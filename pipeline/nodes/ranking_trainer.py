"""run_fn of the node RankingTrainer: the second stage over the towers that Trainer wrote, its base model."""

from __future__ import annotations

from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.nodes.trainer_inputs import inputs_of


def run_fn(fn_args: FnArgs) -> None:
    """Fits the ranker on the validation window and writes the SavedModel of both stages, which Pusher may push."""
    from tfrec.export.golden_requests import write_probes
    from tfrec.export.recommender import Recommender, export
    from tfrec.ranking.fit import fit_second_stage
    from tfrec.training.learning_curve import IN_MODEL
    from tfrec.training.restore import read_towers
    from tfrec.training.warm_start import record_of, write_record

    inputs = inputs_of(fn_args)
    trained = read_towers(fn_args.base_model, inputs.train, inputs.catalog, inputs.transformed, inputs.config)
    stage = fit_second_stage(trained, inputs.train, inputs.validation, inputs.config)
    recommender = Recommender(trained, inputs.transformed, inputs.config, stage)
    export(recommender, fn_args.serving_model_dir)
    write_probes(recommender, trained.catalog, inputs.config, fn_args.serving_model_dir)
    is_caught_up = inputs.config.train.catch_up_rate > 0
    known = record_of(trained.catalog, inputs.transformed, inputs.config, inputs.validation, is_caught_up)
    write_record(known, fn_args.serving_model_dir)
    trained.curve.write(Path(fn_args.serving_model_dir) / IN_MODEL)
