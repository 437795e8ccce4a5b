"""Several workers on loopback, each `tfrec join`: they learn what one learns, and go on after one was killed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.nodes.remote_training import TASK_FILE, TrainingTask, wait_for_workers
from tfrec.config import Config
from tfrec.training.learning_curve import Epoch, read_epochs
from tfrec.training.train import Trained, train
from tfrec.training.validation import Validation

EPOCHS = 6


@dataclasses.dataclass(frozen=True)
class Job:
    """A task in a folder of its own, as a Trainer would leave it."""

    folder: Path
    task: TrainingTask
    config: Config

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Those that the chief has written down."""
        return read_epochs(self.task.checkpoints)

    def start(self, jobs: dict[str, int]) -> list[subprocess.Popen[str]]:
        """The processes of so many chiefs and workers, each with the TF_CONFIG that a TFJob would give it."""
        cluster = {job: [f"127.0.0.1:{free_port()}" for _ in range(count)] for job, count in jobs.items()}
        return [
            subprocess.Popen(
                [sys.executable, "-m", "tfrec.cli", "join", "--run", "tiny"],
                cwd=self.folder,
                env=os.environ | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for job, count in jobs.items()
            for index in range(count)
        ]

    def as_the_trainer(self) -> Trained:
        """What a node Trainer makes of the checkpoints."""
        return train(self.task.job())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What each said until its end, which was a good one."""
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n\n".join(said)
    return said


@pytest.fixture(scope="module")
def make_job(transformed_shop, tmp_path_factory) -> Callable[[int], Job]:
    """Work for so many workers: the shop's towers without anything random but the negatives, drawn alike by all."""

    def make(workers: int) -> Job:
        shop = transformed_shop.config
        train = dataclasses.replace(
            shop.train, epochs=EPOCHS, patience=99, checkpoint_seconds=0.0, query_from_title=0.0, workers=workers
        )
        config = dataclasses.replace(shop, train=train)
        folder = tmp_path_factory.mktemp(f"of {workers}")
        files = transformed_shop.files
        task = TrainingTask(
            train=files["train"],
            validation=files["validation"],
            catalog=files["catalog"],
            graph=transformed_shop.folder,
            config=config.to_json(),
            checkpoints=str(folder / "checkpoints"),
            logs=str(folder / "logs"),
            version="",
        )
        work = folder / "out" / "pipelines" / "tiny" / "work"
        work.mkdir(parents=True)
        (work / TASK_FILE).write_text(json.dumps(dataclasses.asdict(task)))
        return Job(folder, task, config)

    return make


@pytest.fixture(scope="module")
def by_one(make_job) -> Job:
    """What a group of one has done."""
    job = make_job(1)
    ended(job.start({"worker": 1}))
    return job


@pytest.fixture(scope="module")
def by_two(make_job) -> Job:
    """What two have done that nothing disturbed."""
    job = make_job(2)
    said = ended(job.start({"worker": 2}))
    assert "tfrec: worker 0 of 2" in said[0]
    return job


def assert_alike(job: Job, other: Job) -> None:
    """Losses and scores of each epoch."""
    assert [epoch.number for epoch in job.epochs] == [epoch.number for epoch in other.epochs]
    for name in ("loss", "ndcg", "ndcg_novel"):
        values, others = ([getattr(epoch, name) for epoch in each.epochs] for each in (job, other))
        # Adam makes a whole step of a gradient that is rounding alone: what is added in another order drifts apart.
        np.testing.assert_allclose(values, others, rtol=5e-3, err_msg=name)


def test_two_workers_learn_what_one_learns(by_one, by_two):
    assert len(by_one.epochs) == EPOCHS
    assert len({epoch.loss for epoch in by_one.epochs}) == EPOCHS
    assert_alike(by_two, by_one)


def test_a_chief_and_three_workers_learn_what_one_learns(make_job, by_one):
    job = make_job(4)
    ended(job.start({"chief": 1, "worker": 3}))
    assert_alike(job, by_one)


def test_a_killed_worker_ends_the_others_which_all_go_on_when_started_again(make_job, by_two):
    job = make_job(2)
    chief, other = job.start({"worker": 2})
    assert chief.stdout is not None
    said = ""
    for line in chief.stdout:
        said += line
        if "towers epoch 2:" in line:
            break
    other.send_signal(signal.SIGKILL)
    said += chief.communicate(timeout=120)[0]
    assert chief.returncode == 2, said
    assert re.search(r"tfrec: error: worker 0 of 2 can't go on, as when another is lost .*; start them all again", said)
    done = len(job.epochs)
    assert 2 <= done < EPOCHS
    assert not job.task.is_done

    said = ended(job.start({"worker": 2}))[0]
    place = re.search(r"going on at phase 0, epoch (\d+), step \d", said)
    assert place
    assert int(place[1]) >= done
    assert_alike(job, by_two)


def test_the_trainer_goes_on_from_what_workers_wait_for_workers(by_two, capsys):
    wait_for_workers(by_two.task, by_two.folder)  # at once, for it is done
    trained = by_two.as_the_trainer()
    assert "towers epoch" not in capsys.readouterr().out
    assert trained.validation_ndcg == pytest.approx(max(epoch.ndcg for epoch in by_two.epochs))
    score = Validation(by_two.task.validation, by_two.config).ndcg(trained.model)[0]
    assert score == pytest.approx(trained.validation_ndcg, abs=1e-6)


def test_the_chief_alone_writes(by_two):
    written = [path for path in by_two.folder.rglob("*") if path.is_file()]
    logs = [path.name for path in written if "tfevents" in path.name]
    assert len({name.split(".")[-3] for name in logs}) == 1  # the process
    assert not [path for path in written if "temp" in str(path)]
