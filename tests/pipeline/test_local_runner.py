"""Partial runs in this process."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore

from pipeline.configuration import named_run
from pipeline.local_runner import run_pipeline
from pipeline.outcome import connection
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


@pytest.mark.slow
def test_a_moved_folder_keeps_its_finished_steps(
    shop: TableSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shop.root, tmp_path / "first" / "data")
    first = dataclasses.replace(
        named_run("tiny"), tables=str(tmp_path / "first" / "data"), out=str(tmp_path / "first" / "out")
    )
    run_pipeline(first, until="ExampleValidator")
    shutil.move(tmp_path / "first", tmp_path / "second")
    second = dataclasses.replace(first, tables=str(tmp_path / "second" / "data"), out=str(tmp_path / "second" / "out"))
    capsys.readouterr()
    run_pipeline(second, until="ExampleValidator")
    assert f"the folder moved here from {first.pipeline_root}" in capsys.readouterr().out
    for output in ("TableSetExampleGen/examples", "StatisticsGen/statistics", "ExampleValidator/anomalies"):
        assert len(list((Path(second.pipeline_root) / output).iterdir())) == 1, output
    uris = [artifact.uri for artifact in MetadataStore(connection(second)).get_artifacts()]
    assert uris
    assert all(Path(uri).exists() and uri.startswith(second.pipeline_root) for uri in uris)
    run_pipeline(second, until="ExampleValidator")
    assert "moved" not in capsys.readouterr().out
