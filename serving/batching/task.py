"""One call that waits to be run in a batch, or the rows of it that run in one batch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.status import StatusError


class BatchTask:
    """Feeds, fetches and the outcome; one thread waits for it, another one ends it."""

    __slots__ = ("_done", "_error", "_values", "created", "deadline", "feeds", "fetches", "size")

    def __init__(
        self,
        feeds: Mapping[Any, np.ndarray],
        fetches: Sequence[Any],
        size: int,
        *,
        created: float,
        deadline: Deadline = NO_DEADLINE,
    ) -> None:
        """`size` is the first dimension of all `feeds`, `created` a time.perf_counter()."""
        self.feeds, self.fetches, self.size, self.created, self.deadline = feeds, fetches, size, created, deadline
        self._values: list[np.ndarray] = []
        self._error: StatusError | None = None
        self._done = threading.Lock()  # several times cheaper than an Event
        self._done.acquire()

    def split(self, sizes: Sequence[int]) -> list[BatchTask]:
        """Split the rows, in order, into tasks of these sizes; one size returns the task itself."""
        if len(sizes) == 1:
            return [self]
        parts, start = [], 0
        for size in sizes:
            rows = slice(start, start + size)
            feeds = {tensor: array[rows] for tensor, array in self.feeds.items()}
            parts.append(BatchTask(feeds, self.fetches, size, created=self.created, deadline=self.deadline))
            start += size
        return parts

    def succeed(self, values: list[np.ndarray]) -> None:
        """End the task with a value for each fetch."""
        self._values = values
        self._done.release()

    def fail(self, error: StatusError) -> None:
        """End the task with an error."""
        self._error = error
        self._done.release()

    def wait(self) -> StatusError | None:
        """Wait until the task has ended; return its error, if it failed."""
        self._done.acquire()
        return self._error

    @property
    def values(self) -> list[np.ndarray]:
        """A value for each fetch, after a wait."""
        return self._values
