"""The words for what changed since the last run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from pipeline.configuration import named_run
from pipeline.dag import create_pipeline
from pipeline.nodes.changes import RECORD, explain_changes, record_run
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.schema import TableSet


@pytest.fixture
def run(shop: TableSet, tmp_path: Path) -> Run:
    """The tiny run over the shop of tests/conftest.py, whose windows are 28 days."""
    tiny = named_run("tiny")
    examples = dataclasses.replace(tiny.config.examples, split=Config().examples.split)
    config = dataclasses.replace(tiny.config, examples=examples)
    return dataclasses.replace(tiny, config=config, tables=str(shop.root), out=str(tmp_path / "out"))


def explain(run: Run) -> str:
    """What changed before a run that completes."""
    dag = create_pipeline(run)
    changes = explain_changes(dag)
    record_run(dag)
    return changes


@pytest.mark.slow
def test_changed_settings_code_and_tables_are_named(run: Run) -> None:
    assert explain(run) == ""
    assert explain(run) == ""
    train = dataclasses.replace(run.config.train, epochs=9)
    longer = dataclasses.replace(run, config=dataclasses.replace(run.config, train=train))
    assert explain(longer) == "train.epochs is 9, was 3; what depends on that runs again"
    record = Path(run.pipeline_root) / RECORD
    written = json.loads(record.read_text(encoding="utf-8"))
    written["nodes"]["Trainer"] |= {"code": "0", "snapshot": "0"}
    del written["nodes"]["Pusher"]
    record.write_text(json.dumps(written), encoding="utf-8")
    assert explain(
        longer
    ) == "the code of Trainer changed; the tables changed; Pusher is new; what depends on that " + ("runs again")


@pytest.mark.slow
def test_a_moved_folder_is_no_change(run: Run, tmp_path: Path) -> None:
    explain(run)
    shutil.move(tmp_path / "out", tmp_path / "moved")
    moved = dataclasses.replace(run, out=str(tmp_path / "moved"))
    assert explain(moved) == ""


@pytest.mark.slow
def test_a_run_that_did_not_complete_is_not_remembered(run: Run) -> None:
    explain(run)
    train = dataclasses.replace(run.config.train, epochs=9)
    longer = create_pipeline(dataclasses.replace(run, config=dataclasses.replace(run.config, train=train)))
    for _ in range(2):
        assert explain_changes(longer) == "train.epochs is 9, was 3; what depends on that runs again"


@pytest.mark.slow
def test_a_damaged_record_is_none(run: Run) -> None:
    explain(run)
    (Path(run.pipeline_root) / RECORD).write_text('{"root": ', encoding="utf-8")
    assert explain(run) == ""
