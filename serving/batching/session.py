"""A session's run for many callers at once: calls that feed and fetch the same tensors are merged into one.

As TensorFlow Serving's BatchingSession does, an error of a batch goes to everyone in it, and a batch is worked on until
the last deadline in it. It knows nothing of signatures, protocols or TensorFlow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from serving.batching.padding import batch_size, check_output, merge, mismatch, pad_to_largest
from serving.batching.scheduler import BatchScheduler
from serving.batching.task import BatchTask
from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.monitoring import (
    INPUT_BATCH_SIZE,
    PADDING_SIZE,
    PROCESSED_BATCH_SIZE,
    QUEUING_LATENCY,
    WRAPPED_RUN_COUNT,
    microseconds_since,
)
from serving.request.status import Code, StatusError

Run: TypeAlias = Callable[[Mapping[Any, np.ndarray], Sequence[Any], Deadline], list[np.ndarray]]
"""From an array for each tensor that is fed to the values of the tensors that are fetched; StatusError on refusal."""

log = logging.getLogger(__name__)


class Batched:
    """A Run that merges concurrent calls of another one."""

    def __init__(self, run: Run, scheduler: BatchScheduler, name_of: Callable[[Any], str]) -> None:
        """`name_of` gives a tensor's name, for refusals."""
        self._run, self._scheduler, self._name_of = run, scheduler, name_of

    def __call__(
        self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline = NO_DEADLINE
    ) -> list[np.ndarray]:
        """What `run` gives for these rows alone.

        StatusError too when they can't be merged, their queue is full, or the batch's deadline passes in it.
        """
        started, size = time.perf_counter(), batch_size(feeds.values())
        INPUT_BATCH_SIZE.add((), size, times=len(feeds))
        task = BatchTask(feeds, fetches, size, started, deadline)
        kind = self, frozenset(feeds), frozenset(fetches)
        parts = self._scheduler.run(kind, task, self._process)
        errors = [part.wait() for part in parts]  # every part, for none may run on a session that is closed
        if error := next(filter(None, errors), None):
            raise error
        if len(parts) == 1:
            return parts[0].values
        return [np.concatenate(values) for values in zip(*(part.values for part in parts), strict=True)]

    def _process(self, tasks: list[BatchTask]) -> None:
        """Runs a batch and ends its tasks."""
        try:
            outputs = self._outputs(tasks)
        except StatusError as error:
            _fail(tasks, error.code, error.message)
        except Exception as error:
            log.exception("A batch of %d requests failed", len(tasks))
            _fail(tasks, Code.INTERNAL, str(error))
        else:
            start = 0
            for task in tasks:
                rows = slice(start, start + task.size)
                start += task.size
                task.succeed([outputs[tensor][rows] for tensor in task.fetches])

    def _outputs(self, tasks: list[BatchTask]) -> dict[Any, np.ndarray]:
        """The value of each fetched tensor for the whole batch, padding included."""
        for task in tasks:
            QUEUING_LATENCY.add(("",), microseconds_since(task.created))
        deadline = Deadline.of_all(task.deadline for task in tasks)
        if deadline.has_passed():
            raise StatusError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
        size = sum(task.size for task in tasks)
        rows = self._scheduler.options.padded(size) if size else 0
        PADDING_SIZE.add((str(rows),), rows - size)
        PROCESSED_BATCH_SIZE.add((), rows)
        feeds, fetches = self._merged(tasks, rows - size), tasks[0].fetches
        try:
            values = self._run(feeds, fetches, deadline)
        finally:
            WRAPPED_RUN_COUNT.add(())
        for value in values:
            check_output(value, rows)
        return dict(zip(fetches, values, strict=True))

    def _merged(self, tasks: list[BatchTask], repeats: int) -> Mapping[Any, np.ndarray]:
        if len(tasks) == 1 and not repeats and not self._scheduler.options.pad_variable_length_inputs:
            return tasks[0].feeds
        merged = {}
        for tensor in tasks[0].feeds:
            arrays = [task.feeds[tensor] for task in tasks]
            if self._scheduler.options.pad_variable_length_inputs:
                arrays = pad_to_largest(arrays)
            try:
                merged[tensor] = merge(arrays, repeats)
            except (TypeError, ValueError) as error:
                raise mismatch(self._name_of(tensor), arrays) from error
        return merged


def _fail(tasks: list[BatchTask], code: Code, message: str) -> None:
    for task in tasks:
        task.fail(StatusError(code, message))  # one each: it is raised in each caller's thread
