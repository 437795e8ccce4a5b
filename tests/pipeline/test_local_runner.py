"""A part of the pipeline in this process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.local_runner import run
from pipeline.runs import named_run
from tfrec.schema import TableSet


def test_a_run_may_end_with_its_first_node_the_first_time_and_again(shop: TableSet, tmp_path: Path) -> None:
    # Beside the node are others that it does not need, which TFX would take over from an earlier run.
    part = dataclasses.replace(named_run("tiny"), tables=str(shop.root), out=str(tmp_path))
    for _ in range(2):
        run(part, until="TableSetExampleGen")
    made = (Path(part.pipeline_root) / "TableSetExampleGen" / "examples").iterdir()
    assert len(list(made)) == 1  # the second run's came from TFX's cache
    assert not (Path(part.pipeline_root) / "Transform").exists()
