"""How the node Trainer and its workers wait for one another; tests/tfrec/training/test_workers.py runs real workers."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest

from pipeline.nodes.remote_training import FILE, TRAINED, Task, have_trained, join
from tfrec.config import Config, TrainConfig
from tfrec.errors import ConfigError


@pytest.fixture
def task(tmp_path: Path) -> Task:
    config = Config(train=TrainConfig(workers=3))
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    return Task(["train"], ["validation"], ["catalog"], "graph", config.to_json(), str(checkpoints), "logs", "")


def test_the_trainer_says_what_is_to_be_trained_and_waits_until_it_is(task, tmp_path, capsys):
    waiting = threading.Thread(target=have_trained, args=(task, tmp_path / "work"))
    waiting.start()
    waiting.join(1.5)
    assert waiting.is_alive()
    assert Task(**json.loads((tmp_path / "work" / FILE).read_text())) == task
    (Path(task.checkpoints) / TRAINED).touch()
    waiting.join(10)
    assert not waiting.is_alive()
    assert not (tmp_path / "work" / FILE).exists()  # else a worker started later would do it again
    assert capsys.readouterr().out.startswith("tfrec: waiting for 3 workers to train the towers")


def test_what_is_trained_is_not_handed_out_again(task, tmp_path):
    (Path(task.checkpoints) / TRAINED).touch()
    have_trained(task, tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("cluster", "job", "said"),
    [
        ({}, "worker", r"TF_CONFIG names the jobs \[\] and this process as 'worker'; give it workers"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, "worker", r"names the jobs \['ps', 'worker'\]"),
        ({"worker": ["a:1"]}, "evaluator", "this process as 'evaluator'"),
    ],
)
def test_a_cluster_of_other_jobs_is_refused(task, tmp_path, monkeypatch, cluster, job, said):
    (tmp_path / FILE).write_text(json.dumps(dataclasses.asdict(task)))
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": 0}}))
    with pytest.raises(ConfigError, match=said):
        join(tmp_path)


def test_another_number_of_workers_than_the_runs_is_refused(task, tmp_path, monkeypatch):
    (tmp_path / FILE).write_text(json.dumps(dataclasses.asdict(task)))
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    with pytest.raises(ConfigError, match=r"train\.workers is 3 but TF_CONFIG names 2; give both the same number"):
        join(tmp_path)
