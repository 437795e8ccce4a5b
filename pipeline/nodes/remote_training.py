"""How the node Trainer has its towers trained by several processes: it writes a task, they meet over it, it waits.

The processes are no TFX nodes: each reads the same transformed examples, and all they leave are the checkpoints from
which the Trainer goes on as it would after an interruption, with nothing left to train.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import tfrec  # noqa: F401  decides which Keras TensorFlow uses
from tfrec.config import config_from_json
from tfrec.errors import TfrecError

T = TypeVar("T")

FILE = "training.json"
TRAINED = "trained"
"""Name of the file among the checkpoints that says that they are complete."""

LOOK_SECONDS = 1.0
SAY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Task:
    """Arguments of tfrec.training.train.train, as a file on the volume that all workers mount."""

    train: list[str]
    validation: list[str]
    catalog: list[str]
    graph: str  # folder of Transform's
    config: str  # JSON
    checkpoints: str
    logs: str
    version: str  # folder of the one to go on from, "" none

    @property
    def is_done(self) -> bool:
        """Whether the checkpoints are complete."""
        return (Path(self.checkpoints) / TRAINED).exists()


def have_trained(task: Task, work: Path) -> None:
    """Returns once workers have done the task, which it writes into the folder `work` for them."""
    if task.is_done:
        return
    work.mkdir(parents=True, exist_ok=True)
    beside = work / f"{FILE}.staging"
    beside.write_text(json.dumps(dataclasses.asdict(task)), encoding="utf-8")
    beside.replace(work / FILE)
    count = config_from_json(task.config).train.workers
    _wait_for(lambda: task.is_done or None, f"{count} workers to train the towers (docs/distributed.md)")
    (work / FILE).unlink(missing_ok=True)


def join(work: Path) -> None:
    """Does the task of the folder `work`, once there is one, with the other processes that TF_CONFIG names.

    Raises TfrecError when another of them is lost: all have to be started again, and go on from the last checkpoint.
    """
    task = _wait_for(lambda: _task_of(work), f"a node Trainer to write {work / FILE}")
    config = config_from_json(task.config)
    import tensorflow as tf

    from tfrec.examples.preprocessing import Transformed
    from tfrec.training.train import train
    from tfrec.training.warm_start import beginning
    from tfrec.training.workers import join_workers

    worker = join_workers(config.train.workers)
    print(f"tfrec: worker {worker.number} of {worker.count}, all are there", flush=True)
    transformed = Transformed(task.graph)
    try:
        train(
            task.train,
            task.validation,
            task.catalog,
            transformed,
            config,
            task.checkpoints,
            task.logs,
            worker,
            beginning(task.version, transformed, config, task.validation),
        )
    except tf.errors.OpError as error:
        raise TfrecError(
            f"worker {worker.number} of {worker.count} can't go on, as when another is lost ({type(error).__name__}); "
            "start them all again: they go on from the last checkpoint"
        ) from error
    if worker.is_chief:
        (Path(task.checkpoints) / TRAINED).touch()


def _task_of(work: Path) -> Task | None:
    """The task of the folder, if there is one to be done."""
    if not (work / FILE).is_file():
        return None
    task = Task(**json.loads((work / FILE).read_text(encoding="utf-8")))
    return None if task.is_done else task


def _wait_for(look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, when it finds something; says now and then what is waited for."""
    said = -math.inf
    while (found := look()) is None:
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            print(f"tfrec: waiting for {what}", flush=True)
        time.sleep(LOOK_SECONDS)
    return found
