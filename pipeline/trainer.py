"""run_fn: what TFX's Trainer calls. Trains, exports, and leaves its checkpoints for an interrupted run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from tfrec.config import config_from_json


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the transformed examples and writes the SavedModel that Pusher may push."""
    from tfrec.export import Recommender, export
    from tfrec.features import Transformed
    from tfrec.learning import IN_MODEL
    from tfrec.probes import write_probes
    from tfrec.rank_training import fit_second_stage
    from tfrec.train import train

    config = config_from_json(fn_args.custom_config["config"])
    checkpoints = _checkpoint_dir(fn_args)
    files = [path for pattern in fn_args.train_files for path in _files(pattern)]
    transformed = Transformed(fn_args.transform_graph_path)
    train_files = [path for path in files if "/Split-train/" in path]
    validation_files = [path for pattern in fn_args.eval_files for path in _files(pattern)]
    trained = train(
        train_files=train_files,
        validation_files=validation_files,
        catalog_files=[path for path in files if "/Split-catalog/" in path],
        transformed=transformed,
        config=config,
        checkpoint_dir=str(checkpoints),
        log_dir=fn_args.model_run_dir,
    )
    stage = fit_second_stage(trained, train_files, validation_files, config) if config.ranking.epochs else None
    recommender = Recommender(trained, transformed, config, stage)
    export(recommender, fn_args.serving_model_dir)
    write_probes(recommender, trained.catalog, config, fn_args.serving_model_dir)
    trained.curve.write(Path(fn_args.serving_model_dir) / IN_MODEL)


def _files(pattern: str) -> list[str]:
    path = Path(pattern)
    return sorted(str(file) for file in path.parent.glob(path.name))


def _checkpoint_dir(fn_args: FnArgs) -> Path:
    """A folder of this very data and configuration; those of others are finished or given up."""
    work = Path(fn_args.custom_config["work"])
    content = repr((sorted(fn_args.train_files), fn_args.transform_graph_path, sorted(fn_args.custom_config.items())))
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    for other in work.glob("checkpoints-*"):
        if other.name != f"checkpoints-{name}":
            shutil.rmtree(other)
    return work / f"checkpoints-{name}"
