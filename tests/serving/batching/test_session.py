"""Concurrent calls of one function are merged into batches: which, when, and what each caller gets of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.batching.options import BatchOptions
from serving.batching.scheduler import BatchScheduler
from serving.batching.session import Batched
from serving.request import monitoring
from serving.request.deadline import Deadline
from serving.request.status import Code, StatusError

Eventually = Callable[[Callable[[], bool]], None]
LONG = 30_000_000  # microseconds: no test waits for it


def counted() -> dict[str, float]:
    """The numbers on the page of metrics by what stands before them, without the common beginning of batching's."""
    numbers = (line.rpartition(" ") for line in monitoring.page().splitlines() if line[0] != "#")
    return {name.removeprefix(":tensorflow:serving:batching_session:"): float(value) for name, _, value in numbers}


class Doubling:
    """Fetches twice and thrice of "x", row by row, and keeps what it was fed and until when."""

    def __init__(self) -> None:
        self.fed: list[list[float]] = []
        self.deadlines: list[Deadline] = []

    def __call__(self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline) -> list[np.ndarray]:
        self.fed.append(feeds["x"].tolist())
        self.deadlines.append(deadline)
        if -1 in feeds["x"]:
            raise StatusError(Code.OUT_OF_RANGE, "x is -1")
        return [feeds["x"] * {"twice": 2, "thrice": 3}[fetch] for fetch in fetches]


def batched(run: Any, options: BatchOptions, max_callers: int = 1000) -> Batched:
    return Batched(run, BatchScheduler(options, max_callers), str)


def feed(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values, np.float32)}


def ask(run: Batched, requests: Sequence[tuple[float, ...]], fetches: Sequence[str] = ("twice",)) -> list[Any]:
    """What each request is answered, all asked at the same time; a refusal in place of an answer."""

    def one(values: tuple[float, ...]) -> Any:
        try:
            return [value.tolist() for value in run(feed(*values), fetches)]
        except StatusError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


def test_a_full_batch_runs_at_once_and_each_caller_gets_its_rows() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(4, LONG))
    assert ask(run, [(1,), (2, 3), (4,)]) == [[[2]], [[4, 6]], [[8]]]
    assert [sorted(rows) for rows in doubling.fed] == [[1, 2, 3, 4]]


def test_a_batch_that_is_not_full_runs_after_the_timeout() -> None:
    run, started = batched(Doubling(), BatchOptions(4, 200_000)), time.perf_counter()
    assert ask(run, [(1,)]) == [[[2]]]
    assert 0.2 <= time.perf_counter() - started < 2


def test_without_a_timeout_a_lone_call_runs_in_its_own_thread() -> None:
    threads = []

    def run(feeds: Mapping[Any, np.ndarray], *_: Any) -> list[np.ndarray]:
        threads.append(threading.get_ident())
        return [feeds["x"]]

    batched(run, BatchOptions(4))(feed(1), ["x"])
    assert threads == [threading.get_ident()]


def test_nobody_waits_once_every_possible_caller_does() -> None:
    doubling = Doubling()
    run, started = batched(doubling, BatchOptions(100, LONG), max_callers=3), time.perf_counter()
    assert ask(run, [(1,), (2,), (3,)]) == [[[2]], [[4]], [[6]]]
    assert len(doubling.fed) == 1
    assert time.perf_counter() - started < 10


def test_callers_whose_batch_has_left_are_no_longer_waited_with() -> None:
    run = batched(Doubling(), BatchOptions(100, 200_000), max_callers=2)
    ask(run, [(1,), (2,)])
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


def test_the_order_of_fetches_is_the_callers_own() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(run, feed(1), fetches) for fetches in (["twice", "thrice"], ["thrice", "twice"]))
    assert [value.tolist() for value in one.result()] == [[2], [3]]
    assert [value.tolist() for value in other.result()] == [[3], [2]]
    assert len(doubling.fed) == 1


def test_a_batch_is_padded_with_its_last_first_row_and_nobody_sees_it() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(8, allowed_batch_sizes=(2, 8)))
    assert ask(run, [(1, 2, 3)]) == [[[2, 4, 6]]]
    assert doubling.fed == [[1, 2, 3, 1, 1, 1, 1, 1]]


def test_a_call_without_rows_is_answered_without_padding() -> None:
    doubling = Doubling()
    assert ask(batched(doubling, BatchOptions(8, allowed_batch_sizes=(2, 8))), [()]) == [[[]]]
    assert doubling.fed == [[]]


def test_an_error_goes_to_everyone_in_the_batch() -> None:
    errors = ask(batched(Doubling(), BatchOptions(2, LONG)), [(1,), (-1,)])
    assert [(error.code, error.message) for error in errors] == [(Code.OUT_OF_RANGE, "x is -1")] * 2
    assert errors[0] is not errors[1]  # two threads raise them


def test_a_fault_of_the_function_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    def run(*_: Any) -> list[np.ndarray]:
        raise ZeroDivisionError("by zero")

    (error,) = ask(batched(run, BatchOptions(2)), [(1,)])
    assert (error.code, error.message) == (Code.INTERNAL, "by zero")
    assert "A batch of 1 requests failed" in caplog.text


def test_tensors_of_different_types_or_shapes_fail_together() -> None:
    run = batched(Doubling(), BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        types = pool.submit(run, feed(1), ["twice"]), pool.submit(run, {"x": np.array([1.0])}, ["twice"])
    for future in types:
        with pytest.raises(StatusError, match=r"different data types. Got (float and double|double and float)\."):
            future.result()
    with ThreadPoolExecutor(2) as pool:
        shapes = pool.submit(run, feed(1), ["twice"]), pool.submit(run, {"x": np.ones((1, 2), np.float32)}, ["twice"])
    for future in shapes:
        with pytest.raises(StatusError, match="Tensors with name 'x' from different tasks have different shapes"):
            future.result()


def test_rows_of_different_lengths_are_padded_where_that_is_on() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, LONG, pad_variable_length_inputs=True))
    with ThreadPoolExecutor(2) as pool:
        short = pool.submit(run, {"x": np.array([[1, 2]], np.float32)}, ["twice"])
        long = pool.submit(run, {"x": np.array([[3, 4, 5]], np.float32)}, ["twice"])
    assert short.result()[0].tolist() == [[2, 4, 2]]  # as in the stock server the padding comes back
    assert long.result()[0].tolist() == [[6, 8, 10]]


class Gate(Doubling):
    """A Doubling that lets nobody through until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.inside = self.most_inside = 0
        self._lock = threading.Lock()

    def __call__(self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline) -> list[np.ndarray]:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        assert self.open.wait(30)
        with self._lock:
            self.inside -= 1
        return super().__call__(feeds, fetches, deadline)


def test_calls_gather_in_one_batch_while_every_turn_is_taken(eventually: Eventually) -> None:
    gate = Gate()
    run = batched(gate, BatchOptions(100, num_batch_threads=1))
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(run, feed(1), ["twice"])
        eventually(lambda: gate.inside == 1)
        calls = counted()["input_batch_size_count{}"]
        others = [pool.submit(run, feed(number), ["twice"]) for number in range(2, 10)]
        eventually(lambda: counted()["input_batch_size_count{}"] == calls + 8)
        time.sleep(0.1)  # the last one is counted just before it queues
        gate.open.set()
    assert first.result()[0].tolist() == [2]
    assert [future.result()[0].tolist() for future in others] == [[2 * number] for number in range(2, 10)]
    assert [len(rows) for rows in gate.fed] == [1, 8]


def test_no_more_batches_run_at_once_than_there_are_batch_threads(eventually: Eventually) -> None:
    gate = Gate()
    run = batched(gate, BatchOptions(1, num_batch_threads=2, max_enqueued_batches=100))
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(run, feed(number), ["twice"]) for number in range(10)]
        eventually(lambda: gate.inside == 2)
        time.sleep(0.2)  # a third one would come in
        gate.open.set()
    assert [future.result()[0].tolist() for future in futures] == [[2 * number] for number in range(10)]
    assert gate.most_inside == 2


@pytest.mark.parametrize(
    ("seconds", "remaining"),
    [((600, 900), 900_000), ((600, None), 0)],
    ids=["the later one", "none, where a call has none"],
)
def test_a_batch_is_run_until_the_last_of_its_deadlines(seconds: tuple[float | None, ...], remaining: int) -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(2, LONG))
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(run, feed(1), ["twice"], Deadline(each)) for each in seconds]
    assert [call.result()[0].tolist() for call in calls] == [[2], [2]]
    (common,) = doubling.deadlines
    assert remaining - 300_000 < common.remaining_milliseconds() <= remaining


def test_calls_whose_deadlines_pass_in_the_queue_are_refused_and_not_run(eventually: Eventually) -> None:
    gate = Gate()
    run = batched(gate, BatchOptions(2, num_batch_threads=1))
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(run, feed(1), ["twice"])
        eventually(lambda: gate.inside == 1)
        late = [pool.submit(run, feed(2), ["twice"], Deadline(0.1)) for _ in range(2)]
        time.sleep(0.3)
        gate.open.set()
    assert first.result()[0].tolist() == [2]
    for call in late:
        with pytest.raises(
            StatusError, match=r"RESOURCE_EXHAUSTED: Run\(\) timeout exceeded while waiting in batching"
        ):
            call.result()
    assert gate.fed == [[1]]


def test_a_full_queue_refuses_and_takes_again_once_a_batch_has_left(eventually: Eventually) -> None:
    run = batched(Doubling(), BatchOptions(2, LONG, max_enqueued_batches=1))
    refusals: list[Any] = []

    def is_refused() -> bool:
        """Two rows fill a batch of their own and run, until a row waits in the only batch that may."""
        refusals[:] = ask(run, [(2, 3)])
        return isinstance(refusals[0], StatusError)

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(run, feed(1), ["twice"])
        eventually(is_refused)
        assert run(feed(4), ["twice"])[0].tolist() == [8]
    assert waiting.result()[0].tolist() == [2]
    assert (refusals[0].code, refusals[0].message) == (
        Code.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full; "
        "currently 1 batches enqueued and max_enqueued_batches is 1",
    )
    assert ask(run, [(2, 3)]) == [[[4, 6]]]


SPLIT = BatchOptions(100, enable_large_batch_splitting=True, max_execution_batch_size=4)


def test_a_large_call_is_split_and_put_together_in_order() -> None:
    doubling = Doubling()
    values = tuple(float(number) for number in range(10))
    assert ask(batched(doubling, SPLIT), [values]) == [[[2 * value for value in values]]]
    assert sorted(doubling.fed) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_large_call_shares_its_last_batch() -> None:
    doubling = Doubling()
    run = batched(doubling, BatchOptions(100, LONG, enable_large_batch_splitting=True, max_execution_batch_size=4))
    # Ten rows and two: whoever comes first, the batches hold 4, 4 and 4.
    assert ask(run, [tuple(range(10)), (10, 11)]) == [[[2 * value for value in range(10)]], [[20, 22]]]
    assert [len(rows) for rows in doubling.fed] == [4, 4, 4]


def test_a_split_call_fails_with_any_of_its_parts() -> None:
    (error,) = ask(batched(Doubling(), SPLIT), [(0, 1, 2, 3, 4, 5, 6, 7, -1)])
    assert error.message == "x is -1"


def test_the_stock_metrics_show_what_was_merged() -> None:
    before = counted()
    ask(batched(Doubling(), BatchOptions(8, LONG, allowed_batch_sizes=(4, 8)), max_callers=2), [(1, 2), (3,)])
    grew = {name: value - before.get(name, 0) for name, value in counted().items()}
    # Two calls of 2 and 1 rows, one batch of 3 rows that was padded to 4.
    assert grew["wrapped_run_count{}"] == 1
    assert (grew["input_batch_size_sum{}"], grew["input_batch_size_count{}"]) == (3, 2)
    assert (grew["processed_batch_size_sum{}"], grew["processed_batch_size_count{}"]) == (4, 1)
    assert grew['padding_size_sum{execution_batch_size="4"}'] == 1
    assert grew['queuing_latency_count{thread_pool_name=""}'] == 2


@pytest.mark.parametrize(
    "options",
    [
        BatchOptions(8, num_batch_threads=2, max_enqueued_batches=100),
        BatchOptions(8, 500, num_batch_threads=3, max_enqueued_batches=100, allowed_batch_sizes=(2, 4, 8)),
        BatchOptions(8, 500, 100, 2, enable_large_batch_splitting=True, max_execution_batch_size=3),
    ],
    ids=["no timeout", "padded", "split"],
)
def test_many_callers_of_many_sizes_get_their_own_answers(options: BatchOptions) -> None:
    run = batched(Doubling(), options, max_callers=16)

    def many(caller: int) -> bool:
        random = np.random.default_rng(caller)
        for _ in range(200):
            x, fetch = random.random(random.integers(0, 9)).astype(np.float32), random.choice(["twice", "thrice"])
            (value,) = run({"x": x}, [fetch])
            if not np.array_equal(value, x * (2 if fetch == "twice" else 3)):
                return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(many, range(16)))
