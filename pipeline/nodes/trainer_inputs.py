"""Inputs of a training node: transformed examples by split, their graph, the configuration."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from tfrec.config import Config, config_from_json, with_settings
from tfrec.examples.preprocessing import Transformed

TRAINING = ["train", "catalog"]
"""Splits of TrainArgs."""

VALIDATION = ["validation"]
"""Splits of EvalArgs."""


@dataclasses.dataclass(frozen=True)
class TrainerInputs:
    """Files, graph and configuration of a training node."""

    train: list[str]
    validation: list[str]
    catalog: list[str]
    transformed: Transformed
    config: Config


def read_inputs(fn_args: FnArgs) -> TrainerInputs:
    """List the files of TRAINING and VALIDATION; apply the settings of a Tuner, if there is one."""
    tuned = (fn_args.hyperparameters or {}).get("values", {})
    files = [path for pattern in fn_args.train_files for path in _files(pattern)]
    return TrainerInputs(
        train=[path for path in files if "/Split-train/" in path],
        validation=[path for pattern in fn_args.eval_files for path in _files(pattern)],
        catalog=[path for path in files if "/Split-catalog/" in path],
        transformed=Transformed(fn_args.transform_graph_path),
        config=with_settings(config_from_json(fn_args.custom_config["config"]), tuned),
    )


def checkpoint_dir(fn_args: FnArgs, config: Config, name: str, start: str) -> str:
    """Folder "`name`-..." in the node's `work`, for these inputs, this configuration and code.

    `start` names the model from which the node starts. Folders of the same `name` with other
    checkpoints are removed.
    """
    work = Path(fn_args.custom_config["work"])
    properties = {key: fn_args.custom_config[key] for key in ("code", "weights", "snapshot")}
    content = repr(
        (sorted(fn_args.train_files), fn_args.transform_graph_path, config.to_json(), sorted(properties.items()), start)
    )
    folder = work / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    for other in work.glob(f"{name}-*"):
        if other != folder:
            shutil.rmtree(other)
    return str(folder)


def _files(pattern: str) -> list[str]:
    path = Path(pattern)
    return sorted(str(file) for file in path.parent.glob(path.name))
