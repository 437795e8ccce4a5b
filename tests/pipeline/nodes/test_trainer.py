"""The node Trainer, run by TFX's own executor over the shop of tests/conftest.py: what it begins with, each day."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import Artifact, standard_artifacts

from tfrec.training.warm_start import FILE


@dataclasses.dataclass(frozen=True)
class Node:
    """A Trainer whose towers are the last stage and begin with those in `serving`."""

    home: Path
    inputs: dict[str, list[Artifact]]
    config: str

    def run(self, capfd: pytest.CaptureFixture[str], day: int, is_last: bool = False) -> tuple[Path, str]:
        """The model that it writes, and what it says."""
        custom = {"config": self.config, "work": str(self.home / "work"), "serving": str(self.home / "serving")}
        custom |= {"code": "", "weights": "", "snapshot": "", "is_last": is_last}
        told = {
            "custom_config": json.dumps(custom),
            "train_args": '{"splits": ["train", "catalog"]}',
            "eval_args": '{"splits": ["validation"]}',
            "run_fn": "pipeline.nodes.trainer.run_fn",
        }
        made = self.home / f"model-{day}"
        outputs = {
            "model": [artifact("Model", made)],
            "model_run": [artifact("ModelRun", self.home / f"run-{day}")],
        }
        capfd.readouterr()
        GenericExecutor().Do(self.inputs, outputs, told)
        return made / "Format-Serving", capfd.readouterr().out

    def checkpoints(self) -> list[str]:
        return [path.name for path in (self.home / "work").glob("checkpoints-*")]


def artifact(name: str, folder: Path) -> Artifact:
    """One of TFX's standard artifacts, its files in a folder."""
    made = getattr(standard_artifacts, name)()
    made.uri = str(folder)
    return made


@pytest.fixture
def node(transformed_shop: Any, tmp_path: Path) -> Node:
    for split in ("train", "validation", "catalog"):
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        shutil.copy(transformed_shop.files[split][0], tmp_path / "examples" / f"Split-{split}")
    examples = artifact("Examples", tmp_path / "examples")
    examples.split_names = '["train", "validation", "catalog"]'
    graph = artifact("TransformGraph", Path(transformed_shop.folder))
    train = dataclasses.replace(transformed_shop.config.train, epochs=2, warm_start=True, warm_epochs=1)
    config = dataclasses.replace(transformed_shop.config, train=train)
    return Node(tmp_path, {"examples": [examples], "transform_graph": [graph]}, config.to_json())


def epochs(said: str) -> list[str]:
    return re.findall(r"towers epoch (\d)", said)


def test_it_begins_with_what_is_in_service_and_each_version_has_checkpoints_of_its_own(
    node: Node, capfd: pytest.CaptureFixture[str]
) -> None:
    model, said = node.run(capfd, 1, is_last=True)
    assert "tfrec: the towers train anew: no version is in service yet" in said
    assert epochs(said) == ["1", "2"]
    assert (model / FILE).is_file()
    of_nothing = node.checkpoints()

    shutil.copytree(model, node.home / "serving" / "5")
    _, said = node.run(capfd, 2)
    assert "tfrec: the towers go on from version 5, which knows 7 of 7 item ids" in said
    assert epochs(said) == ["1"]
    of_version = node.checkpoints()
    assert (len(of_nothing), len(of_version)) == (1, 1)
    assert of_version != of_nothing

    # As after a kill before the node's end: what was trained from version 5 is not trained again.
    _, said = node.run(capfd, 3)
    assert epochs(said) == []
    assert node.checkpoints() == of_version
