"""The folder of a training node's checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

from pipeline.nodes.trainer_inputs import checkpoint_dir
from tfrec.config import Config, TrainConfig


def folder(work: Path, name: str = "checkpoints", code: str = "1", start: str = "", seed: int = 1) -> Path:
    """Make the folder of a training with these properties, as a training does."""
    properties = {"work": str(work), "code": code, "weights": "w", "snapshot": "s"}
    fn_args = SimpleNamespace(custom_config=properties, train_files=["a"], transform_graph_path="graph")
    config = dataclasses.replace(Config(), train=TrainConfig(seed=seed))
    made = Path(checkpoint_dir(fn_args, config, name, start))
    made.mkdir(parents=True, exist_ok=True)
    return made


def test_the_same_training_gets_the_same_folder(tmp_path: Path) -> None:
    assert folder(tmp_path) == folder(tmp_path)
    assert folder(tmp_path).parent == tmp_path


def test_a_training_with_another_configuration_code_or_start_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [
        folder(tmp_path),
        folder(tmp_path, code="2"),
        folder(tmp_path, start="model/7"),
        folder(tmp_path, seed=2),
    ]
    assert len(set(folders)) == 4
    # Of one node only the latest folder stays.
    assert [path for path in folders if path.exists()] == folders[-1:]


def test_the_nodes_keep_their_folders_apart(tmp_path: Path) -> None:
    towers, ranker = folder(tmp_path), folder(tmp_path, "ranking-checkpoints")
    folder(tmp_path, seed=2)
    assert not towers.exists()
    assert ranker.exists()
