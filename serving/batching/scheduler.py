"""Scheduler of batches, one for all models of a server; TensorFlow's SharedBatchScheduler.

It has no threads of its own. The caller whose task opens a batch leads it: the caller waits until
the batch is full or old enough and one of `num_batch_threads` turns is free, then runs it for
everyone. A request that need not wait thus changes no thread, which in Python costs more than a
small model's answer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable

from serving.batching.options import BatchOptions
from serving.batching.queue import Batch, BatchQueue
from serving.batching.task import BatchTask


class BatchScheduler:
    """Queues of batches, one for each kind of request, and the turns to run them."""

    def __init__(self, options: BatchOptions, max_callers: int) -> None:
        """All batches run once `max_callers` requests wait: no thread is left to bring another."""
        self.options = options
        self.n_enqueued = 0
        """Number of tasks that wait in a queue."""
        self._max_callers = max_callers
        self._timeout_seconds = options.batch_timeout_micros / 1e6
        self._lock = threading.Lock()
        self._queues: dict[Hashable, BatchQueue[BatchTask]] = {}  # those that hold tasks
        self._free_turns = options.num_batch_threads
        self._due: deque[Batch[BatchTask]] = deque()  # they lack only a turn

    def run(self, kind: Hashable, task: BatchTask, process: Callable[[list[BatchTask]], None]) -> list[BatchTask]:
        """Enqueue a task; return the tasks that do its work, itself or its parts, to wait for.

        Tasks of one `kind` run together. Where one of them opens a batch, `process` runs the
        batch's tasks in this thread; it ends each of them and raises nothing. Raises StatusError
        when the queue has no room.
        """
        parts, opened = self._add(kind, task)
        for batch in opened[1:]:  # of a split task; callers who join its last batch must not wait for the first
            name = f"{self.options.thread_pool_name}_{id(batch)}"
            threading.Thread(target=self._lead, args=(batch, process), name=name, daemon=True).start()
        for batch in opened[:1]:
            self._lead(batch, process)
        return parts

    def _add(self, kind: Hashable, task: BatchTask) -> tuple[list[BatchTask], list[Batch[BatchTask]]]:
        """Enqueue the parts of a task; return them and the batches that they opened."""
        with self._lock:
            queue = self._queues.get(kind) or BatchQueue(kind, self.options)
            parts = task.split(queue.part_sizes(task.size))
            joined = [queue.add(part) for part in parts]
            self._queues[kind] = queue
            self.n_enqueued += len(parts)
            self._make_due(queue.closed_batches() if self._timeout_seconds else joined)
            if self.n_enqueued >= self._max_callers:
                self._make_due([batch for queue in self._queues.values() for batch in queue.batches()])
        return parts, [batch for part, batch in zip(parts, joined, strict=True) if batch.tasks[0] is part]

    def _lead(self, batch: Batch[BatchTask], process: Callable[[list[BatchTask]], None]) -> None:
        if not batch.turn.acquire(timeout=self._timeout_seconds):
            with self._lock:
                self._make_due([batch])
            batch.turn.acquire()
        try:
            process(batch.tasks)
        finally:
            self._end_turn()

    def _make_due(self, batches: list[Batch[BatchTask]]) -> None:
        """Give batches the next free turns; the caller holds the lock, here and below."""
        for batch in batches:
            if not batch.is_due:
                batch.is_due = True
                self._due.append(batch)
        self._give_turns()

    def _end_turn(self) -> None:
        with self._lock:
            self._free_turns += 1
            self._give_turns()

    def _give_turns(self) -> None:
        while self._due and self._free_turns:
            batch = self._due.popleft()
            self._free_turns -= 1
            self.n_enqueued -= len(batch.tasks)
            queue = self._queues[batch.kind]
            queue.remove(batch)
            if queue.is_empty():
                del self._queues[batch.kind]
            batch.turn.release()
