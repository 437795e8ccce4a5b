"""run_fn of the node Trainer, which trains the two towers.

An interrupted run resumes from its checkpoints. With several workers (`train.workers`) the node
resumes from theirs, with nothing left to train.
"""

from __future__ import annotations

from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline.nodes.remote_training import TrainingTask, wait_for_workers
from pipeline.nodes.servable_export import export_servable
from pipeline.nodes.trainer_inputs import checkpoint_dir, read_inputs


def run_fn(fn_args: FnArgs) -> None:
    """Train on the transformed examples and write a SavedModel.

    Where a ranker follows (`is_last` is false) the SavedModel gives embeddings and holds the
    weights for RankingTrainer. Otherwise it is the one that is pushed.
    """
    from tfrec.export.recommender import Recommender, export
    from tfrec.training.learning_curve import IN_MODEL
    from tfrec.training.train import catch_up, train
    from tfrec.training.warm_start import configured_begin

    inputs = read_inputs(fn_args)
    version = _version_to_start_from(fn_args)
    task = TrainingTask(
        train=inputs.train,
        validation=inputs.validation,
        catalog=inputs.catalog,
        graph=fn_args.transform_graph_path,
        config=inputs.config.to_json(),
        checkpoints=checkpoint_dir(fn_args, inputs.config, "checkpoints", version.name if version else ""),
        logs=fn_args.model_run_dir,
        version=str(version or ""),
    )
    if inputs.config.train.workers > 1:
        wait_for_workers(task, Path(fn_args.custom_config["work"]))
    begin = configured_begin(task.version, inputs.transformed, inputs.config, inputs.validation)
    trained = train(task.job(), begin=begin)
    if fn_args.custom_config["is_last"]:
        catch_up(trained.model, inputs.validation)
        recommender = Recommender(trained, inputs.transformed, inputs.config)
        export_servable(recommender, trained, inputs, fn_args.serving_model_dir)
    else:
        recommender = Recommender(trained, inputs.transformed, inputs.config)
        export(recommender, fn_args.serving_model_dir, recommender.embeddings())
    trained.curve.write(Path(fn_args.serving_model_dir) / IN_MODEL)


def _version_to_start_from(fn_args: FnArgs) -> Path | None:
    """The latest version in service, for a warm start."""
    from tfrec.versions import latest_version

    serving = fn_args.custom_config.get("serving")
    return latest_version(serving) if serving else None
