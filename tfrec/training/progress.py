"""State of a training on disk, and its progress lines."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from tfrec.console import log
from tfrec.errors import ModelError
from tfrec.training.learning_curve import Epoch, epoch_of
from tfrec.training.workers import Worker


@dataclasses.dataclass(frozen=True)
class Phase:
    """Part of a training with one optimizer."""

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    steps: int | None = None  # of an epoch; None is all data
    live_text: bool = False
    cure: str = "lower learning_rate ({rate}) or raise temperature"
    """What helps against an infinite or NaN loss; `{rate}` stands for the learning rate."""


class Checkpointed(Protocol):
    """A Keras model that names what a checkpoint keeps of it."""

    distribute_strategy: tf.distribute.Strategy
    trainable_variables: list[tf.Variable]

    def checkpointed(self) -> dict[str, Any]:
        """Trackable objects by name, without the optimizer, which belongs to one phase."""


class Progress:
    """State of a training on disk: weights, optimizer, phase, epoch, step and the best weights."""

    def __init__(self, model: Checkpointed, folder: str, worker: Worker | None = None):
        """Restore the state in `folder`, if any; of several workers only the chief writes it."""
        self._model, self._folder = model, Path(folder)
        self.worker = worker or Worker(model.distribute_strategy)
        self.phase, self.epoch, self.step, self.waited = (tf.Variable(0, dtype=tf.int64) for _ in range(4))
        self.best = tf.Variable(-1.0)
        self.is_warm = tf.Variable(0, dtype=tf.int64)
        counters = {n: getattr(self, n) for n in ("phase", "epoch", "step", "waited", "best", "is_warm")}
        parts = model.checkpointed() | counters
        self._state = tf.train.Checkpoint(**parts)
        self._latest = tf.train.CheckpointManager(self._state, str(Path(folder) / "latest"), max_to_keep=2)
        self._weights = tf.train.Checkpoint(**model.checkpointed())
        self._best = tf.train.CheckpointManager(self._weights, str(Path(folder) / "best"), max_to_keep=1)
        self.restored = self._latest.latest_checkpoint is not None
        if self.restored:
            # `_state` would restore the saved optimizer into the next one, even of another phase.
            status = tf.train.Checkpoint(**parts).restore(self._latest.latest_checkpoint).expect_partial()
            try:
                status.assert_existing_objects_matched()
            except AssertionError as error:
                raise ModelError(
                    f"the checkpoint {self._latest.latest_checkpoint} is of another model or version of tfrec; delete "
                    "the folder to train from the start"
                ) from error
            log(f"resuming at phase {int(self.phase)}, epoch {int(self.epoch) + 1}, step {int(self.step)}")

    def track(self, optimizer: tf.keras.optimizers.Optimizer) -> None:
        """Save the optimizer from now on too; restore it if its run was interrupted."""
        self._state.optimizer = optimizer
        optimizer.build(self._model.trainable_variables)
        if self.restored and (int(self.epoch) or int(self.step)):
            self._state.restore(self._latest.latest_checkpoint).expect_partial()
        self.restored = False

    def save(self) -> None:
        """Write the state."""
        if self.worker.is_chief:
            self._latest.save()

    def end_epoch(self, score: float) -> None:
        """Count the epoch; keep its weights if its score is the best so far or NaN (unknown)."""
        is_best = math.isnan(score) or bool(tf.constant(score, tf.float32) > self.best)
        if is_best:
            self.best.assign(-1.0 if math.isnan(score) else score)
            if self.worker.is_chief:
                self._best.save()
        self.waited.assign(0 if is_best else self.waited + 1)
        self.next_epoch()

    def next_epoch(self) -> None:
        """Count the epoch and write the state, without the best weights."""
        self.epoch.assign_add(1)
        self.step.assign(0)
        self.save()

    def next_phase(self) -> None:
        """Start the next phase from the best weights."""
        self.restore_best()
        self.phase.assign_add(1)
        for counter in (self.epoch, self.step, self.waited):
            counter.assign(0)
        self.save()

    def restore_best(self) -> None:
        """Load the best weights so far into the model."""
        self.worker.agreed(0.0)  # wait until the chief has written them
        checkpoint = tf.train.latest_checkpoint(str(self._folder / "best"))
        if checkpoint:
            self._weights.restore(checkpoint).expect_partial()


class Reporter(tf.keras.callbacks.Callback):
    """Count steps, log their loss, save now and then, and stop at an infinite or NaN loss."""

    SECONDS = 10.0

    def __init__(self, phase: Phase, progress: Progress, checkpoint_seconds: float):
        super().__init__()
        self._phase, self._progress, self._checkpoint_seconds = phase, progress, checkpoint_seconds
        self._started = self._logged = self._saved = time.monotonic()
        self._first_step = int(progress.step) + 1
        self._losses: list[float] = []
        self._targets = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Record the step's loss and targets; ModelError if the loss is infinite or NaN."""
        logs = logs or {}
        loss, now = float(logs["loss"]), time.monotonic()
        self._losses.append(loss)
        self._targets += float(logs["targets"])
        self._progress.step.assign_add(1)
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss of step {int(self._progress.step)} is {loss}; "
                f"{self._phase.cure.format(rate=self._phase.learning_rate)}"
            )
        if now - self._logged > self.SECONDS:
            self._logged = now
            log(f"{self._phase.name} step {int(self._progress.step)}: {self.summary()}")
        if now - self._saved > self._checkpoint_seconds:
            self._progress.save()
            self._saved = time.monotonic()

    def epoch(self, number: int) -> Epoch:
        """Epoch `number` with the losses of this run's steps, without validation scores."""
        return epoch_of(self._phase.name, number, self._losses, self._seconds(), self._first_step)

    def summary(self) -> str:
        """Mean loss and speed since the epoch began or was resumed."""
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        rate = self._targets / max(self._seconds(), 1e-9)
        return f"mean loss {mean:.3f}, {rate:,.0f} examples/s"

    def _seconds(self) -> float:
        return time.monotonic() - self._started
