"""Queue of batches: which batch a request joins, and which request is refused.

The rules and texts are those of TensorFlow's shared_batch_scheduler.h. The queue is not
thread-safe: its owner, scheduler.py, calls it from one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from serving.batching.options import BatchOptions
from serving.request.status import Code, StatusError, invalid


class Sized(Protocol):
    """A request, or the rows of it that run in one batch."""

    size: int


Task = TypeVar("Task", bound=Sized)


class Batch(Generic[Task]):
    """Tasks that run together once its leader, the caller whose task opened it, gets a turn."""

    def __init__(self, kind: Hashable) -> None:
        self.kind = kind
        self.tasks: list[Task] = []
        self.size = 0
        self.is_due = False  # it waits for no more tasks
        self.turn = threading.Lock()
        self.turn.acquire()  # to be released once


class BatchQueue(Generic[Task]):
    """Batches that do not run yet, oldest first; the last one takes tasks and always exists."""

    def __init__(self, kind: Hashable, options: BatchOptions) -> None:
        self._kind, self._options = kind, options
        self._limit = options.batch_size_limit
        self._batches: list[Batch[Task]] = [Batch(kind)]

    def part_sizes(self, size: int) -> list[int]:
        """Return the sizes of the tasks that a request of `size` rows must be added as, in order.

        Raises StatusError when it is too large, or when the queue has no room for it now.
        """
        self._check(size)
        room = self._limit - self._batches[-1].size
        if size <= room or not self._options.enable_large_batch_splitting:
            return [size]
        full, rest = divmod(size - room, self._limit)
        return [part for part in (room, *[self._limit] * full, rest) if part]

    def add(self, task: Task) -> Batch[Task]:
        """Add a task to the last batch, or to a new one; return its batch."""
        if self._batches[-1].size + task.size > self._limit:
            self._batches.append(Batch(self._kind))
        batch = self._batches[-1]
        batch.tasks.append(task)
        batch.size += task.size
        return batch

    def batches(self) -> list[Batch[Task]]:
        """Batches that hold tasks."""
        return self._batches if self._batches[-1].tasks else self._batches[:-1]

    def closed_batches(self) -> list[Batch[Task]]:
        """Batches that take no more tasks: full, or with another one behind them."""
        return self._batches if self._batches[-1].size >= self._limit else self._batches[:-1]

    def remove(self, batch: Batch[Task]) -> None:
        """Take out a batch that is about to run."""
        self._batches.remove(batch)
        if not self._batches:
            self._batches.append(Batch(self._kind))

    def is_empty(self) -> bool:
        """True when no task waits."""
        return not self._batches[0].tasks

    def _check(self, size: int) -> None:
        options, batches, open_size = self._options, len(self._batches), self._batches[-1].size
        if size > options.max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {options.max_batch_size}")
        if options.enable_large_batch_splitting:
            self._check_capacity(size, batches, open_size)
        elif open_size + size > options.max_batch_size and batches >= (most := max(options.max_enqueued_batches, 1)):
            raise _queue_full(f"currently {batches} batches enqueued and max_enqueued_batches is {most}")

    def _check_capacity(self, size: int, batches: int, open_size: int) -> None:
        most = self._options.max_enqueued_batches
        capacity = (most - batches) * self._limit + self._limit - open_size
        if size > capacity:
            raise _queue_full(
                f"task size is {size} but scheduling capacity is only {capacity} (num_enqueued_batches={batches}, "
                f"max_enqueued_batches={most}, open_batch_size={open_size}, max_execution_batch_size={self._limit})"
            )


def _queue_full(reason: str) -> StatusError:
    text = f"The batch scheduling queue to which this task was submitted is full; {reason}"
    return StatusError(Code.UNAVAILABLE, text)
