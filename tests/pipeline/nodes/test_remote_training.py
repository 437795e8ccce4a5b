"""The task of remote training; tests/tfrec/training/test_workers.py trains with real workers."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path

import pytest

from pipeline.nodes.remote_training import DONE_FILE, TASK_FILE, TrainingTask, join_training, wait_for_workers
from tfrec.config import Config, TrainConfig
from tfrec.errors import ConfigError


@pytest.fixture
def task(tmp_path: Path) -> TrainingTask:
    config = Config(train=TrainConfig(workers=3))
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    return TrainingTask(["train"], ["validation"], ["catalog"], "graph", config.to_json(), str(checkpoints), "logs", "")


def test_the_trainer_writes_a_task_and_waits_until_it_is_done(task, tmp_path, capsys):
    waiting = threading.Thread(target=wait_for_workers, args=(task, tmp_path / "work"))
    waiting.start()
    while not (tmp_path / "work" / TASK_FILE).exists():
        assert waiting.is_alive()
        time.sleep(0.01)
    assert TrainingTask(**json.loads((tmp_path / "work" / TASK_FILE).read_text())) == task
    assert waiting.is_alive()
    (Path(task.checkpoints) / DONE_FILE).touch()
    waiting.join(600)
    assert not waiting.is_alive()
    assert not (tmp_path / "work" / TASK_FILE).exists()  # a worker started later would do it again
    assert capsys.readouterr().out.startswith("tfrec: waiting for 3 workers to train the towers")


def test_a_task_that_is_done_is_not_written_again(task, tmp_path):
    (Path(task.checkpoints) / DONE_FILE).touch()
    wait_for_workers(task, tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("cluster", "job", "message"),
    [
        ({}, "worker", r"TF_CONFIG names the jobs \[\] and this process as 'worker'; give it workers"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, "worker", r"names the jobs \['ps', 'worker'\]"),
        ({"worker": ["a:1"]}, "evaluator", "this process as 'evaluator'"),
    ],
)
def test_a_cluster_of_other_jobs_is_refused(task, tmp_path, monkeypatch, cluster, job, message):
    (tmp_path / TASK_FILE).write_text(json.dumps(dataclasses.asdict(task)))
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": 0}}))
    with pytest.raises(ConfigError, match=message):
        join_training(tmp_path)


def test_another_number_of_workers_than_the_runs_is_refused(task, tmp_path, monkeypatch):
    (tmp_path / TASK_FILE).write_text(json.dumps(dataclasses.asdict(task)))
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    with pytest.raises(ConfigError, match=r"train\.workers is 3 but TF_CONFIG names 2; give both the same number"):
        join_training(tmp_path)
