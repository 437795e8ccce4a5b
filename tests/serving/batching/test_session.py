"""Calls of a batching session: who shares a batch, when it runs, what each caller gets."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.batching.options import BatchOptions
from serving.batching.scheduler import BatchScheduler
from serving.batching.session import BatchingSession
from serving.request import monitoring
from serving.request.deadline import Deadline
from serving.request.status import Code, StatusError

Eventually = Callable[[Callable[[], bool]], None]
LONG = 30_000_000  # microseconds: no test waits for it


def metric_values() -> dict[str, float]:
    """The values on the page of metrics by series; batching's without their common prefix."""
    values = (line.rpartition(" ") for line in monitoring.render_page().splitlines() if line[0] != "#")
    return {name.removeprefix(":tensorflow:serving:batching_session:"): float(value) for name, _, value in values}


class Doubling:
    """A session that returns twice and thrice "x"; keeps the rows that it was fed."""

    def __init__(self) -> None:
        self.fed: list[list[float]] = []
        self.deadlines: list[Deadline] = []

    def __call__(self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline) -> list[np.ndarray]:
        self.fed.append(feeds["x"].tolist())
        self.deadlines.append(deadline)
        if -1 in feeds["x"]:
            raise StatusError(Code.OUT_OF_RANGE, "x is -1")
        return [feeds["x"] * {"twice": 2, "thrice": 3}[fetch] for fetch in fetches]


class GatedDoubling(Doubling):
    """A Doubling whose calls wait until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.inside = self.most_inside = 0
        self._lock = threading.Lock()

    def __call__(self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline) -> list[np.ndarray]:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        assert self.gate.wait(30)
        with self._lock:
            self.inside -= 1
        return super().__call__(feeds, fetches, deadline)


def batched(run: Any, options: BatchOptions, max_callers: int = 1000) -> Any:
    """The run of a batching session."""
    return BatchingSession(run, BatchScheduler(options, max_callers), str).run


def feed(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values, np.float32)}


def call_together(run: Any, *feeds: tuple[float, ...]) -> list[Any]:
    """Fetch "twice" for each feed at the same time; return each output or error."""

    def call(values: tuple[float, ...]) -> Any:
        try:
            return run(feed(*values), ["twice"])[0].tolist()
        except StatusError as error:
            return error

    with ThreadPoolExecutor(len(feeds)) as pool:
        return list(pool.map(call, feeds))


def test_a_full_batch_runs_at_once_and_each_caller_gets_its_rows() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(4, LONG))
    assert call_together(run, (1,), (2, 3), (4,)) == [[2], [4, 6], [8]]
    assert [sorted(rows) for rows in doubling.fed] == [[1, 2, 3, 4]]


def test_a_batch_that_is_not_full_runs_after_the_timeout() -> None:
    run, started = batched(Doubling(), BatchOptions(4, 200_000)), time.perf_counter()
    assert call_together(run, (1,)) == [[2]]
    assert time.perf_counter() - started >= 0.2


def test_without_a_timeout_a_lone_call_runs_in_its_own_thread() -> None:
    threads = []

    def run(feeds: Mapping[Any, np.ndarray], *_: Any) -> list[np.ndarray]:
        threads.append(threading.get_ident())
        return [feeds["x"]]

    batched(run, BatchOptions(4))(feed(1), ["x"])
    assert threads == [threading.get_ident()]


def test_a_batch_runs_before_its_timeout_once_every_possible_caller_waits() -> None:
    doubling = Doubling()
    run, started = batched(doubling, BatchOptions(100, LONG), max_callers=3), time.perf_counter()
    assert call_together(run, (1,), (2,), (3,)) == [[2], [4], [6]]
    assert len(doubling.fed) == 1
    assert time.perf_counter() - started < LONG / 1e6


def test_callers_of_a_batch_that_has_run_do_not_count_as_waiting() -> None:
    run = batched(Doubling(), BatchOptions(100, 200_000), max_callers=2)
    call_together(run, (1,), (2,))
    started = time.perf_counter()
    run(feed(3), ["twice"])
    assert time.perf_counter() - started >= 0.2


def test_calls_that_fetch_different_tensors_do_not_share_a_batch() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, 50_000))
    with ThreadPoolExecutor(2) as pool:
        twice, thrice = pool.submit(run, feed(1), ["twice"]), pool.submit(run, feed(1), ["thrice"])
    assert (twice.result()[0].tolist(), thrice.result()[0].tolist()) == ([2], [3])
    assert doubling.fed == [[1], [1]]


def test_each_caller_gets_its_fetches_in_its_own_order() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(run, feed(1), fetches) for fetches in (["twice", "thrice"], ["thrice", "twice"]))
    assert [value.tolist() for value in one.result()] == [[2], [3]]
    assert [value.tolist() for value in other.result()] == [[3], [2]]
    assert len(doubling.fed) == 1


def test_added_rows_are_run_and_cut_off_the_outputs() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(8, allowed_batch_sizes=(2, 8)))
    assert call_together(run, (1, 2, 3)) == [[2, 4, 6]]
    assert doubling.fed == [[1, 2, 3, 1, 1, 1, 1, 1]]


def test_rows_of_different_lengths_are_padded_where_that_is_on() -> None:
    run = batched(Doubling(), BatchOptions(2, LONG, pad_variable_length_inputs=True))
    with ThreadPoolExecutor(2) as pool:
        short = pool.submit(run, feed([1, 2]), ["twice"])
        long = pool.submit(run, feed([3, 4, 5]), ["twice"])
    assert short.result()[0].tolist() == [[2, 4, 2]]  # as in the stock server the padding comes back
    assert long.result()[0].tolist() == [[6, 8, 10]]


@pytest.mark.parametrize(
    ("other", "code", "text"),
    [
        (np.array([1.0]), Code.INTERNAL, r"Got (float and double|double and float)\."),
        (np.ones((1, 2), np.float32), Code.FAILED_PRECONDITION, "Tensors with name 'x' from different tasks"),
    ],
    ids=["another type", "another shape"],
)
def test_calls_whose_tensors_differ_fail_together(other: np.ndarray, code: Code, text: str) -> None:
    run = batched(Doubling(), BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(run, feeds, ["twice"]) for feeds in (feed(1), {"x": other})]
    for call in calls:
        with pytest.raises(StatusError, match=text) as caught:
            call.result()
        assert caught.value.code == code


def test_inputs_without_a_common_size_are_refused_before_the_run() -> None:
    doubling = Doubling()
    with pytest.raises(StatusError, match="must have at least one dimension"):
        batched(doubling, BatchOptions(4))({"x": np.array(1.0)}, ["twice"])
    assert doubling.fed == []


def test_outputs_without_a_row_for_each_input_are_refused() -> None:
    def total(feeds: Mapping[Any, np.ndarray], *_: Any) -> list[np.ndarray]:
        return [feeds["x"].sum()]

    with pytest.raises(StatusError, match="has 0 dimensions"):
        batched(total, BatchOptions(4))(feed(1), ["total"])


def test_an_error_goes_to_every_caller_in_the_batch() -> None:
    errors = call_together(batched(Doubling(), BatchOptions(2, LONG)), (1,), (-1,))
    assert [(error.code, error.message) for error in errors] == [(Code.OUT_OF_RANGE, "x is -1")] * 2
    assert errors[0] is not errors[1]  # two threads raise them


def test_an_unexpected_error_of_the_run_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    def run(*_: Any) -> list[np.ndarray]:
        raise ZeroDivisionError("by zero")

    (error,) = call_together(batched(run, BatchOptions(2)), (1,))
    assert (error.code, error.message) == (Code.INTERNAL, "by zero")
    assert "A batch of 1 requests failed" in caplog.text


def test_calls_share_one_batch_while_every_turn_is_taken(eventually: Eventually) -> None:
    doubling, scheduler = GatedDoubling(), BatchScheduler(BatchOptions(100, num_batch_threads=1), 1000)
    run = BatchingSession(doubling, scheduler, str).run
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(run, feed(1), ["twice"])
        eventually(lambda: doubling.inside == 1)
        others = [pool.submit(run, feed(number), ["twice"]) for number in range(2, 10)]
        eventually(lambda: scheduler.n_enqueued == 8)
        doubling.gate.set()
    assert first.result()[0].tolist() == [2]
    assert [future.result()[0].tolist() for future in others] == [[2 * number] for number in range(2, 10)]
    assert [len(rows) for rows in doubling.fed] == [1, 8]


def test_no_more_batches_run_at_once_than_there_are_batch_threads(eventually: Eventually) -> None:
    options = BatchOptions(1, num_batch_threads=2, max_enqueued_batches=100)
    doubling, scheduler = GatedDoubling(), BatchScheduler(options, 1000)
    run = BatchingSession(doubling, scheduler, str).run
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(run, feed(number), ["twice"]) for number in range(10)]
        eventually(lambda: doubling.inside == 2 and scheduler.n_enqueued == 8)
        doubling.gate.set()
    assert [future.result()[0].tolist() for future in futures] == [[2 * number] for number in range(10)]
    assert doubling.most_inside == 2


@pytest.mark.parametrize(
    ("seconds", "remaining"),
    [((600, 900), 900_000), ((600, None), 0)],
    ids=["the later deadline", "no deadline, where one call has none"],
)
def test_a_batch_runs_until_the_last_of_its_deadlines(seconds: tuple[float | None, ...], remaining: int) -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(run, feed(1), ["twice"], Deadline(each)) for each in seconds]
    assert [call.result()[0].tolist() for call in calls] == [[2], [2]]
    (common,) = doubling.deadlines
    assert remaining - 300_000 < common.remaining_milliseconds() <= remaining


def test_calls_whose_deadlines_pass_in_the_queue_are_refused_and_not_run(eventually: Eventually) -> None:
    doubling = GatedDoubling()
    run = batched(doubling, BatchOptions(2, num_batch_threads=1))
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(run, feed(1), ["twice"])
        eventually(lambda: doubling.inside == 1)
        deadlines = [Deadline(0.1) for _ in range(2)]
        late = [pool.submit(run, feed(2), ["twice"], deadline) for deadline in deadlines]
        eventually(lambda: all(deadline.has_passed() for deadline in deadlines))
        doubling.gate.set()
    assert first.result()[0].tolist() == [2]
    for call in late:
        with pytest.raises(
            StatusError, match=r"RESOURCE_EXHAUSTED: Run\(\) timeout exceeded while waiting in batching"
        ):
            call.result()
    assert doubling.fed == [[1]]


def test_a_full_queue_refuses_a_call_and_takes_it_once_a_batch_has_left(eventually: Eventually) -> None:
    scheduler = BatchScheduler(BatchOptions(2, LONG, max_enqueued_batches=1), 1000)
    run = BatchingSession(Doubling(), scheduler, str).run
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, feed(1), ["twice"])
        eventually(lambda: scheduler.n_enqueued == 1)
        (error,) = call_together(run, (2, 3))  # two rows do not fit into the only batch that may wait
        assert error.code == Code.UNAVAILABLE
        assert call_together(run, (4,)) == [[8]]  # it fills the batch
    assert waiting.result()[0].tolist() == [2]
    assert call_together(run, (2, 3)) == [[4, 6]]


SPLIT = BatchOptions(100, enable_large_batch_splitting=True, max_execution_batch_size=4)


def test_a_large_call_is_split_and_put_together_in_order() -> None:
    doubling = Doubling()
    values = tuple(float(number) for number in range(10))
    assert call_together(batched(doubling, SPLIT), values) == [[2 * value for value in values]]
    assert sorted(doubling.fed) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_large_call_shares_its_last_batch() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(100, LONG, enable_large_batch_splitting=True, max_execution_batch_size=4))
    # Ten rows and two: in either order the batches hold 4, 4 and 4.
    assert call_together(run, tuple(range(10)), (10, 11)) == [[2 * value for value in range(10)], [20, 22]]
    assert [len(rows) for rows in doubling.fed] == [4, 4, 4]


def test_a_split_call_fails_with_any_of_its_parts() -> None:
    (error,) = call_together(batched(Doubling(), SPLIT), (0, 1, 2, 3, 4, 5, 6, 7, -1))
    assert error.message == "x is -1"


def test_the_stock_metrics_count_calls_batches_and_padding() -> None:
    before = metric_values()
    options = BatchOptions(8, LONG, allowed_batch_sizes=(4, 8))
    call_together(batched(Doubling(), options, max_callers=2), (1, 2), (3,))
    growth = {name: value - before.get(name, 0) for name, value in metric_values().items()}
    # Two calls of 2 and 1 rows, one batch of 3 rows that was padded to 4.
    assert growth["wrapped_run_count{}"] == 1
    assert (growth["input_batch_size_sum{}"], growth["input_batch_size_count{}"]) == (3, 2)
    assert (growth["processed_batch_size_sum{}"], growth["processed_batch_size_count{}"]) == (4, 1)
    assert growth['padding_size_sum{execution_batch_size="4"}'] == 1
    assert growth['queuing_latency_count{thread_pool_name=""}'] == 2


ROOMY = BatchOptions(8, 500, num_batch_threads=2, max_enqueued_batches=100)


@pytest.mark.parametrize(
    "options",
    [
        dataclasses.replace(ROOMY, batch_timeout_micros=0),
        dataclasses.replace(ROOMY, allowed_batch_sizes=(2, 4, 8)),
        dataclasses.replace(ROOMY, enable_large_batch_splitting=True, max_execution_batch_size=3),
    ],
    ids=["no timeout", "padded", "split"],
)
def test_many_callers_of_many_sizes_get_their_own_outputs(options: BatchOptions) -> None:
    run = batched(Doubling(), options, max_callers=16)

    def call(caller: int) -> int:
        """Return the number of right outputs."""
        random, n_right = np.random.default_rng(caller), 0
        for _ in range(200):
            x, fetch = random.random(random.integers(0, 9)).astype(np.float32), random.choice(["twice", "thrice"])
            (value,) = run({"x": x}, [fetch])
            n_right += np.array_equal(value, x * (2 if fetch == "twice" else 3))
        return n_right

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(call, range(16))) == [200] * 16
