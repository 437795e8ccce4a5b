"""Session whose concurrent calls are merged into batches; TensorFlow Serving's BatchingSession.

Calls that feed and fetch the same tensors share a batch. An error of a batch goes to every caller
in it, and a batch is worked on until the last deadline in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from serving.batching.padding import add_rows, pad_to_largest, padded_size
from serving.batching.scheduler import BatchScheduler
from serving.batching.task import BatchTask
from serving.batching.tensors import batch_size, check_output, concatenate, mismatch
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
"""Function from an array for each fed tensor to the fetched values; raises StatusError."""

log = logging.getLogger(__name__)


class BatchingSession:
    """Merges concurrent calls of a session's run."""

    def __init__(self, run: Run, scheduler: BatchScheduler, name_of: Callable[[Any], str]) -> None:
        """`name_of` gives a tensor's name, for error texts."""
        self._run, self._scheduler, self._name_of = run, scheduler, name_of

    def run(
        self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline = NO_DEADLINE
    ) -> list[np.ndarray]:
        """Run a call in a batch; return the values of `fetches` for its own rows.

        Raises StatusError of the wrapped run, and when the inputs can't be merged, the queue is
        full or the batch's deadline passes in it.
        """
        started, size = time.perf_counter(), batch_size(feeds.values())
        INPUT_BATCH_SIZE.add((), size, times=len(feeds))
        task = BatchTask(feeds, fetches, size, created=started, deadline=deadline)
        kind = self, frozenset(feeds), frozenset(fetches)
        parts = self._scheduler.run(kind, task, self._process)
        errors = [part.wait() for part in parts]  # for every part: none may run on a session that is closed
        if error := next(filter(None, errors), None):
            raise error
        if len(parts) == 1:
            return parts[0].values
        return [np.concatenate(values) for values in zip(*(part.values for part in parts), strict=True)]

    def _process(self, tasks: list[BatchTask]) -> None:
        """Run a batch and end its tasks."""
        try:
            outputs = self._run_batch(tasks)
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

    def _run_batch(self, tasks: list[BatchTask]) -> dict[Any, np.ndarray]:
        """Run a batch; return the values of the fetched tensors, padding included."""
        for task in tasks:
            QUEUING_LATENCY.add(("",), microseconds_since(task.created))
        deadline = Deadline.latest(task.deadline for task in tasks)
        if deadline.has_passed():
            raise StatusError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
        size = sum(task.size for task in tasks)
        rows = padded_size(size, self._scheduler.options.allowed_batch_sizes)
        PADDING_SIZE.add((str(rows),), rows - size)
        PROCESSED_BATCH_SIZE.add((), rows)
        feeds, fetches = self._merge_feeds(tasks, rows - size), tasks[0].fetches
        try:
            values = self._run(feeds, fetches, deadline)
        finally:
            WRAPPED_RUN_COUNT.add(())
        for value in values:
            check_output(value, rows)
        return dict(zip(fetches, values, strict=True))

    def _merge_feeds(self, tasks: list[BatchTask], n_added_rows: int) -> Mapping[Any, np.ndarray]:
        pads_variable_length = self._scheduler.options.pad_variable_length_inputs
        if len(tasks) == 1 and not n_added_rows and not pads_variable_length:
            return tasks[0].feeds
        merged = {}
        for tensor in tasks[0].feeds:
            arrays = [task.feeds[tensor] for task in tasks]
            if pads_variable_length:
                arrays = pad_to_largest(arrays)
            try:
                merged[tensor] = concatenate(add_rows(arrays, n_added_rows))
            except (TypeError, ValueError) as error:
                raise mismatch(self._name_of(tensor), arrays) from error
        return merged


def _fail(tasks: list[BatchTask], code: Code, message: str) -> None:
    for task in tasks:
        task.fail(StatusError(code, message))  # one each: it is raised in each caller's thread
