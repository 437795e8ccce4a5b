"""Training by several processes: the node Trainer writes a task and waits for workers.

The workers are not TFX nodes. Each reads the same transformed examples, and their only results are
checkpoints, from which the Trainer resumes with nothing left to train.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tfrec  # noqa: F401  decides which Keras TensorFlow uses
from tfrec.atomic_file import write_text
from tfrec.config import config_from_json
from tfrec.console import log
from tfrec.errors import TfrecError

if TYPE_CHECKING:
    from tfrec.training.train import TrainingJob

T = TypeVar("T")

TASK_FILE = "training.json"
DONE_FILE = "trained"
"""Its presence in the checkpoint folder marks the checkpoints as complete."""

POLL_SECONDS = 1.0
LOG_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class TrainingTask:
    """A TrainingJob with paths on a volume that all workers mount, as JSON."""

    train: list[str]
    validation: list[str]
    catalog: list[str]
    graph: str  # folder of Transform's graph
    config: str  # JSON
    checkpoints: str
    logs: str
    version: str  # folder of the version to start from; "": none

    @property
    def is_done(self) -> bool:
        """True once the checkpoints are complete."""
        return (Path(self.checkpoints) / DONE_FILE).exists()

    def job(self) -> TrainingJob:
        """The training, with configuration and graph loaded."""
        from tfrec.examples.preprocessing import Transformed
        from tfrec.training.train import TrainingJob

        return TrainingJob(
            train_files=self.train,
            validation_files=self.validation,
            catalog_files=self.catalog,
            transformed=Transformed(self.graph),
            config=config_from_json(self.config),
            checkpoint_dir=self.checkpoints,
            log_dir=self.logs,
        )


def wait_for_workers(task: TrainingTask, work: Path) -> None:
    """Write the task into the folder `work` and return when workers have done it."""
    if task.is_done:
        return
    work.mkdir(parents=True, exist_ok=True)
    write_text(work / TASK_FILE, json.dumps(dataclasses.asdict(task)))
    count = config_from_json(task.config).train.workers
    _wait_for(lambda: task.is_done or None, f"{count} workers to train the towers (docs/distributed.md)")
    (work / TASK_FILE).unlink(missing_ok=True)


def join_training(work: Path) -> None:
    """Wait for a task in the folder `work` and do it with the other processes of TF_CONFIG.

    Raises TfrecError when another process is lost. All have to be started again then, and resume
    from the last checkpoint.
    """
    task = _wait_for(lambda: _open_task(work), f"a node Trainer to write {work / TASK_FILE}")
    config = config_from_json(task.config)
    import tensorflow as tf

    from tfrec.training.train import train
    from tfrec.training.warm_start import configured_begin
    from tfrec.training.workers import join_workers

    worker = join_workers(config.train.workers)
    log(f"worker {worker.number} of {worker.count}: all workers have joined")
    job = task.job()
    try:
        train(job, worker, configured_begin(task.version, job.transformed, config, task.validation))
    except tf.errors.OpError as error:
        raise TfrecError(
            f"worker {worker.number} of {worker.count} can't go on, as when another is lost ({type(error).__name__}); "
            "start them all again: they resume from the last checkpoint"
        ) from error
    if worker.is_chief:
        (Path(task.checkpoints) / DONE_FILE).touch()


def _open_task(work: Path) -> TrainingTask | None:
    """The task in the folder, unless there is none or it is done."""
    if not (work / TASK_FILE).is_file():
        return None
    task = TrainingTask(**json.loads((work / TASK_FILE).read_text(encoding="utf-8")))
    return None if task.is_done else task


def _wait_for(poll: Callable[[], T | None], awaited: str) -> T:
    """Poll until there is a result; log now and then what is awaited."""
    logged = -math.inf
    while (result := poll()) is None:
        if time.monotonic() - logged > LOG_SECONDS:
            logged = time.monotonic()
            log(f"waiting for {awaited}")
        time.sleep(POLL_SECONDS)
    return result
