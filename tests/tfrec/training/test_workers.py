"""Several workers on loopback (`tfrec join`) have the losses of one, and resume after a kill."""

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

pytestmark = pytest.mark.slow

EPOCHS = 6


@dataclasses.dataclass(frozen=True)
class Job:
    """A training task in a folder of its own, like one that a Trainer writes."""

    folder: Path
    task: TrainingTask
    config: Config

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Epochs that the chief has recorded."""
        return read_epochs(self.task.checkpoints)

    def start(self, jobs: dict[str, int]) -> list[subprocess.Popen[str]]:
        """Start as many chiefs and workers as `jobs` says, each with the TF_CONFIG of a TFJob."""
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

    def train_here(self) -> Trained:
        """Train from the checkpoints in this process, as a node Trainer does."""
        return train(self.task.job())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def outputs(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Output of each process, all of which must succeed."""
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n\n".join(printed)
    return printed


@pytest.fixture(scope="module")
def make_job(transformed_shop, tmp_path_factory) -> Callable[[int], Job]:
    """A job for a number of workers; only the negatives are random, equal for all workers."""

    def make(workers: int) -> Job:
        shop = transformed_shop.config
        train = dataclasses.replace(shop.train, epochs=EPOCHS, patience=99, checkpoint_seconds=0.0, workers=workers)
        train = dataclasses.replace(train, query_from_title=0.0, query_dropout=0.0)
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
    """A finished job of one worker."""
    job = make_job(1)
    outputs(job.start({"worker": 1}))
    return job


def assert_same_losses(job: Job, other: Job, resumed: int = 0) -> None:
    """Compare the mean loss of all epochs but the `resumed` one, whose record has the last steps.

    Ranks may swap by rounding, so scores are not compared. Adam turns a gradient that is rounding
    noise into a whole step, so losses drift apart a little: a missing worker would change them by
    far more than half a percent.
    """
    assert [epoch.number for epoch in job.epochs] == [epoch.number for epoch in other.epochs]
    losses, expected = ([epoch.loss for epoch in each.epochs if epoch.number != resumed] for each in (job, other))
    np.testing.assert_allclose(losses, expected, rtol=5e-3)


def test_a_chief_and_two_workers_have_the_losses_of_one(make_job, by_one):
    assert len(by_one.epochs) == EPOCHS
    assert len({epoch.loss for epoch in by_one.epochs}) == EPOCHS
    job = make_job(3)
    printed = outputs(job.start({"chief": 1, "worker": 2}))
    assert "tfrec: worker 0 of 3" in printed[0]
    assert_same_losses(job, by_one)


@dataclasses.dataclass(frozen=True)
class Killed:
    """A job of two workers, of which one was killed, after a second start that finished it."""

    job: Job
    printed: str  # by the chief before the kill and after it
    code: int  # exit code of the chief that lost the other worker
    done: int  # epochs at that time
    was_done: bool
    printed_again: str  # by the chief of the second start


@pytest.fixture(scope="module")
def killed(make_job) -> Killed:
    """Kill a worker after the first epoch, and start both again."""
    job = make_job(2)
    chief, other = job.start({"worker": 2})
    assert chief.stdout is not None
    printed = ""
    for line in chief.stdout:
        printed += line
        if "towers epoch 1:" in line:
            break
    other.send_signal(signal.SIGKILL)
    printed += chief.communicate(timeout=600)[0]
    done, was_done = len(job.epochs), job.task.is_done
    return Killed(job, printed, chief.returncode, done, was_done, outputs(job.start({"worker": 2}))[0])


def test_a_killed_worker_ends_the_others_and_all_resume_when_started_again(killed, by_one):
    assert killed.code == 2, killed.printed
    message = r"tfrec: error: worker 0 of 2 can't go on, as when another is lost .*; start them all again"
    assert re.search(message, killed.printed)
    assert 1 <= killed.done < EPOCHS
    assert not killed.was_done
    resumed = re.search(r"resuming at phase 0, epoch (\d+), step \d", killed.printed_again)
    assert resumed
    assert int(resumed[1]) >= killed.done
    assert_same_losses(killed.job, by_one, int(resumed[1]))


def test_the_trainer_resumes_from_the_checkpoints_of_the_workers(killed, capsys):
    job = killed.job
    wait_for_workers(job.task, job.folder)  # returns at once: the task is done
    trained = job.train_here()
    assert "towers epoch" not in capsys.readouterr().out
    assert trained.validation_ndcg == pytest.approx(max(epoch.ndcg for epoch in job.epochs))
    score = Validation(job.task.validation, job.config).ndcg(trained.model)[0]
    assert score == pytest.approx(trained.validation_ndcg, abs=1e-6)


def test_the_chief_alone_writes(killed):
    written = [path for path in killed.job.folder.rglob("*") if path.is_file()]
    logs = [path.name for path in written if "tfevents" in path.name]
    assert len({name.split(".")[-3] for name in logs}) == 2  # the processes: a chief before and one after the kill
    assert not [path for path in written if "temp" in str(path)]
