"""Queue of batches: joining, refusals, splitting; sizes are worked out by hand."""

from __future__ import annotations

import dataclasses
import re

import pytest

from serving.batching.options import BatchOptions
from serving.batching.queue import BatchQueue
from serving.request.status import StatusError


@dataclasses.dataclass
class Rows:
    size: int


def make_queue(options: BatchOptions, *sizes: int) -> BatchQueue[Rows]:
    """Make a queue and add tasks of these sizes to it."""
    queue: BatchQueue[Rows] = BatchQueue("kind", options)
    for size in sizes:
        for part in queue.part_sizes(size):
            queue.add(Rows(part))
    return queue


def batch_sizes(queue: BatchQueue[Rows]) -> list[list[int]]:
    return [[task.size for task in batch.tasks] for batch in queue.batches()]


TEN = BatchOptions(max_batch_size=10, max_enqueued_batches=3)
SPLIT = BatchOptions(30, max_enqueued_batches=3, enable_large_batch_splitting=True, max_execution_batch_size=10)


def test_tasks_join_a_batch_until_the_next_one_has_no_room() -> None:
    assert batch_sizes(make_queue(TEN, 4, 6, 1)) == [[4, 6], [1]]
    assert batch_sizes(make_queue(TEN, 4, 7)) == [[4], [7]]


def test_a_batch_is_closed_when_it_is_full_or_followed_by_another() -> None:
    assert len(make_queue(TEN, 4).closed_batches()) == 0
    assert len(make_queue(TEN, 4, 6).closed_batches()) == 1
    assert len(make_queue(TEN, 4, 7).closed_batches()) == 1
    assert len(make_queue(TEN, 10, 10).closed_batches()) == 2


def test_a_batch_that_was_removed_takes_no_more_tasks() -> None:
    queue = make_queue(TEN, 4)
    queue.remove(queue.batches()[0])
    assert queue.is_empty()
    assert len(queue.add(Rows(1)).tasks) == 1
    assert batch_sizes(queue) == [[1]]


def test_a_task_without_rows_takes_part_in_a_batch() -> None:
    queue = make_queue(TEN, 0)
    assert not queue.is_empty()
    assert batch_sizes(queue) == [[0]]


def test_a_large_request_is_split_to_fill_the_open_batch_first() -> None:
    assert batch_sizes(make_queue(SPLIT, 4, 25)) == [[4, 6], [10], [9]]
    assert batch_sizes(make_queue(SPLIT, 25)) == [[10], [10], [5]]
    assert batch_sizes(make_queue(SPLIT, 10, 20)) == [[10], [10], [10]]


def assert_refused(options: BatchOptions, queued: list[int], size: int, text: str) -> None:
    with pytest.raises(StatusError, match=f"^{re.escape(text)}$"):
        make_queue(options, *queued).part_sizes(size)


def test_a_task_larger_than_a_batch_is_refused() -> None:
    text = "Task size 11 is larger than maximum input batch size 10"
    assert_refused(TEN, [], 11, f"INVALID_ARGUMENT: {text}")
    assert make_queue(TEN).part_sizes(10) == [10]


FULL = "The batch scheduling queue to which this task was submitted is full; "


def test_a_full_queue_refuses_a_task_that_its_last_batch_can_not_hold() -> None:
    text = FULL + "currently 3 batches enqueued and max_enqueued_batches is 3"
    assert_refused(TEN, [10, 10, 8], 3, f"UNAVAILABLE: {text}")
    assert make_queue(TEN, 10, 10, 8).part_sizes(2) == [2]


def test_a_limit_of_no_batches_counts_as_one_batch() -> None:
    one_batch = BatchOptions(max_batch_size=10, max_enqueued_batches=0)
    text = FULL + "currently 1 batches enqueued and max_enqueued_batches is 1"
    assert_refused(one_batch, [8], 3, f"UNAVAILABLE: {text}")
    assert make_queue(one_batch, 8).part_sizes(2) == [2]


def test_where_requests_are_split_the_queue_counts_the_rows_that_it_can_hold() -> None:
    # Two batches, the second one open with 4: one more of 10, and 6 rows of the second.
    text = FULL + (
        "task size is 17 but scheduling capacity is only 16 (num_enqueued_batches=2, max_enqueued_batches=3, "
        "open_batch_size=4, max_execution_batch_size=10)"
    )
    assert_refused(SPLIT, [14], 17, f"UNAVAILABLE: {text}")
    assert make_queue(SPLIT, 14).part_sizes(16) == [6, 10]
