"""Partial runs in this process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.configuration import named_run
from pipeline.local_runner import run_pipeline
from tfrec.schema import TableSet


@pytest.mark.slow
def test_a_partial_run_is_cached_the_second_time(shop: TableSet, tmp_path: Path) -> None:
    # The first time there is no earlier run from which TFX could take over the other nodes.
    part = dataclasses.replace(named_run("tiny"), tables=str(shop.root), out=str(tmp_path))
    for _ in range(2):
        run_pipeline(part, until="TableSetExampleGen")
    artifacts = (Path(part.pipeline_root) / "TableSetExampleGen" / "examples").iterdir()
    assert len(list(artifacts)) == 1  # the second run's came from TFX's cache
    assert not (Path(part.pipeline_root) / "Transform").exists()
