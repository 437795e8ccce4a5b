"""The watcher of a base path: pushed, staged and vanished versions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.lifecycle.model import Model
from serving.lifecycle.model_config import single
from serving.lifecycle.watcher import Watcher

Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def model(base_path: Path) -> Iterator[Model]:
    """A model whose base path, which holds version 1, is watched."""
    model = Model("toy")
    (config,) = single(model.name, base_path).model_config_list.config
    watcher = Watcher(model, config, poll_seconds=0.05)
    watcher.start()
    yield model
    watcher.stop()
    model.stop()


def states(model: Model) -> dict[int, str]:
    return {status.number: status.state for status in model.statuses()}


def test_a_pushed_version_takes_over_and_a_staged_one_is_ignored(
    model: Model, exported: Path, base_path: Path, eventually: Eventually
) -> None:
    eventually(lambda: states(model) == {1: "AVAILABLE"})
    shutil.copytree(exported / "2", base_path / ".tmp-2")
    shutil.copytree(exported / "3", base_path / ".tmp-3")
    (base_path / ".tmp-2").rename(base_path / "2")
    eventually(lambda: states(model) == {1: "END", 2: "AVAILABLE"})


def test_a_base_path_that_vanishes_leaves_the_model_in_service(
    model: Model, exported: Path, base_path: Path, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    eventually(lambda: states(model) == {1: "AVAILABLE"})
    base_path.rename(base_path.parent / "elsewhere")
    eventually(lambda: "Could not find base path" in caplog.text)
    assert states(model) == {1: "AVAILABLE"}
    shutil.copytree(exported / "2", base_path.parent / "elsewhere" / "2")
    (base_path.parent / "elsewhere").rename(base_path)
    eventually(lambda: states(model) == {1: "END", 2: "AVAILABLE"})
