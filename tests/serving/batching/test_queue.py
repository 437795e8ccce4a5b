"""Who joins which batch, who is refused and how a large request is split; sizes worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest

from serving.batching.options import BatchOptions
from serving.batching.queue import BatchQueue
from serving.request.status import Code, StatusError


@dataclasses.dataclass
class Rows:
    size: int


def queue_of(options: BatchOptions, *sizes: int) -> BatchQueue[Rows]:
    """A queue to which tasks of these sizes were added."""
    queue: BatchQueue[Rows] = BatchQueue("kind", options)
    for size in sizes:
        for part in queue.part_sizes(size):
            queue.add(Rows(part))
    return queue


def sizes(queue: BatchQueue[Rows]) -> list[list[int]]:
    return [[task.size for task in batch.tasks] for batch in queue.batches()]


TEN = BatchOptions(max_batch_size=10, max_enqueued_batches=3)
SPLIT = BatchOptions(30, max_enqueued_batches=3, enable_large_batch_splitting=True, max_execution_batch_size=10)


def test_tasks_join_a_batch_until_the_next_one_has_no_room() -> None:
    assert sizes(queue_of(TEN, 4, 6, 1)) == [[4, 6], [1]]
    assert sizes(queue_of(TEN, 4, 7)) == [[4], [7]]


def test_a_batch_is_closed_when_it_is_full_or_followed_by_another() -> None:
    assert len(queue_of(TEN, 4).closed()) == 0
    assert len(queue_of(TEN, 4, 6).closed()) == 1
    assert len(queue_of(TEN, 4, 7).closed()) == 1
    assert len(queue_of(TEN, 10, 10).closed()) == 2


def test_a_batch_that_was_removed_takes_no_more_tasks() -> None:
    queue = queue_of(TEN, 4)
    queue.remove(queue.batches()[0])
    assert queue.is_empty()
    assert len(queue.add(Rows(1)).tasks) == 1
    assert sizes(queue) == [[1]]


def test_a_task_without_rows_is_a_task_all_the_same() -> None:
    queue = queue_of(TEN, 0)
    assert not queue.is_empty()
    assert sizes(queue) == [[0]]


def test_a_large_request_is_split_to_fill_the_open_batch_first() -> None:
    assert sizes(queue_of(SPLIT, 4, 25)) == [[4, 6], [10], [9]]
    assert sizes(queue_of(SPLIT, 25)) == [[10], [10], [5]]
    assert sizes(queue_of(SPLIT, 10, 20)) == [[10], [10], [10]]


def refusal(options: BatchOptions, queued: list[int], size: int) -> tuple[Code, str]:
    with pytest.raises(StatusError) as caught:
        queue_of(options, *queued).part_sizes(size)
    return caught.value.code, caught.value.message


def test_a_task_larger_than_a_batch_is_refused() -> None:
    text = "Task size 11 is larger than maximum input batch size 10"
    assert refusal(TEN, [], 11) == (Code.INVALID_ARGUMENT, text)
    assert queue_of(TEN).part_sizes(10) == [10]


FULL = "The batch scheduling queue to which this task was submitted is full; "


def test_a_full_queue_refuses_what_does_not_fit_its_last_batch() -> None:
    text = FULL + "currently 3 batches enqueued and max_enqueued_batches is 3"
    assert refusal(TEN, [10, 10, 8], 3) == (Code.UNAVAILABLE, text)
    assert queue_of(TEN, 10, 10, 8).part_sizes(2) == [2]


def test_a_queue_of_no_batches_is_taken_for_one_of_one_batch() -> None:
    none = BatchOptions(max_batch_size=10, max_enqueued_batches=0)
    text = FULL + "currently 1 batches enqueued and max_enqueued_batches is 1"
    assert refusal(none, [8], 3) == (Code.UNAVAILABLE, text)
    assert queue_of(none, 8).part_sizes(2) == [2]


def test_where_requests_are_split_a_full_queue_is_one_without_capacity() -> None:
    # Two batches, the second one open with 4: one more of 10, and 6 rows of the second.
    text = FULL + (
        "task size is 17 but scheduling capacity is only 16 (num_enqueued_batches=2, max_enqueued_batches=3, "
        "open_batch_size=4, max_execution_batch_size=10)"
    )
    assert refusal(SPLIT, [14], 17) == (Code.UNAVAILABLE, text)
    assert queue_of(SPLIT, 14).part_sizes(16) == [6, 10]
