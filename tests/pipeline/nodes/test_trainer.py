"""The node Trainer, run by TFX's executor over the shop of tests/conftest.py, with a warm start."""

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

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Node:
    """A Trainer that starts from the version in the folder `serving`."""

    home: Path
    inputs: dict[str, list[Artifact]]
    config: str

    def run(self, capfd: pytest.CaptureFixture[str], day: int, is_last: bool = False) -> tuple[Path, str]:
        """Run the node; returns the folder of its model, and its output."""
        custom = {"config": self.config, "work": str(self.home / "work"), "serving": str(self.home / "serving")}
        custom |= {"code": "", "weights": "", "snapshot": "", "is_last": is_last}
        properties = {
            "custom_config": json.dumps(custom),
            "train_args": '{"splits": ["train", "catalog"]}',
            "eval_args": '{"splits": ["validation"]}',
            "run_fn": "pipeline.nodes.trainer.run_fn",
        }
        model = self.home / f"model-{day}"
        outputs = {
            "model": [artifact("Model", model)],
            "model_run": [artifact("ModelRun", self.home / f"run-{day}")],
        }
        capfd.readouterr()
        GenericExecutor().Do(self.inputs, outputs, properties)
        return model / "Format-Serving", capfd.readouterr().out

    def checkpoints(self) -> list[str]:
        return [path.name for path in (self.home / "work").glob("checkpoints-*")]


def artifact(name: str, folder: Path) -> Artifact:
    """Make one of TFX's standard artifacts with its files in a folder."""
    one = getattr(standard_artifacts, name)()
    one.uri = str(folder)
    return one


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


def epochs(output: str) -> list[str]:
    return re.findall(r"towers epoch (\d)", output)


def test_a_warm_start_begins_with_the_version_in_service_and_has_its_own_checkpoints(
    node: Node, capfd: pytest.CaptureFixture[str]
) -> None:
    model, output = node.run(capfd, 1, is_last=True)
    assert "tfrec: the towers start cold: no version is in service yet" in output
    assert epochs(output) == ["1", "2"]
    assert (model / FILE).is_file()
    without_version = node.checkpoints()

    shutil.copytree(model, node.home / "serving" / "5")
    _, output = node.run(capfd, 2)
    assert "tfrec: the towers start from version 5, which knows 7 of 7 item ids" in output
    assert epochs(output) == ["1"]
    with_version = node.checkpoints()
    assert (len(without_version), len(with_version)) == (1, 1)
    assert with_version != without_version

    # As after a kill before the node's end: the towers are not trained from version 5 again.
    _, output = node.run(capfd, 3)
    assert epochs(output) == []
    assert node.checkpoints() == with_version
