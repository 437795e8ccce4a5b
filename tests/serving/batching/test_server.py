"""Batching over real sockets: clients get what they got without it, and the stock server's refusals."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api import grpc_service
from serving.api.options import Options
from serving.batching.options import BatchOptions
from serving.batching.scheduler import BatchScheduler
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.request.metrics import Counter, Sampler
from serving.request.monitoring import INPUT_BATCH_SIZE, WRAPPED_RUN_COUNT
from serving.server.embedded import Server, start

Eventually = Callable[[Callable[[], bool]], None]
Stub = prediction_service_pb2_grpc.PredictionServiceStub
LONG = 20_000_000  # microseconds: no test waits for it


class Rows(tf.Module):
    """`x * scale`, two outputs that are no rows of a batch, and an op that refuses a value."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = tf.Variable(scale)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x"), tf.TensorSpec(None, tf.float32, "y")])
    def add(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": x * self.scale + y, "x": x}

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, "x")])
    def flat(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"flat": tf.reshape(x, [-1]) * self.scale}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(x * self.scale)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def number(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"number": tf.strings.to_number(text) * self.scale}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders 1 and 2, each Rows with that scale."""
    root = tmp_path_factory.mktemp("rows")
    for number in (1, 2):
        model = Rows(float(number))
        signatures = {"serving_default": model.add, "flat": model.flat, "total": model.total, "number": model.number}
        tf.saved_model.save(model, str(root / str(number)), signatures=signatures)
    return root


@contextmanager
def serving(rows: Path, base: Path, options: BatchOptions) -> Iterator[tuple[Server, Stub, httpx.Client]]:
    """A server of version 1 that merges requests, and its clients over both protocols."""
    shutil.copytree(rows / "1", base / "1")
    merging = LifecycleOptions(poll_seconds=0.05, scheduler=BatchScheduler(options, grpc_service.DEFAULT_THREADS))
    with (
        start(single("rows", base), Options(lifecycle=merging)) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False, timeout=60) as http,
    ):
        yield server, Stub(channel), http


def predict_request(signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "rows"
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def pair(x: list[Any], y: list[Any]) -> predict_pb2.PredictRequest:
    return predict_request(x=np.array(x, np.float32), y=np.array(y, np.float32))


def sums(response: Any) -> list[float]:
    return tf.make_ndarray(response.outputs["sum"]).tolist()


def together(stub: Stub, *requests: predict_pb2.PredictRequest) -> list[Future[Any]]:
    """The outcome of each request, all asked at the same time."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [pool.submit(stub.Predict, request, timeout=60) for request in requests]


def refusal(future: Future[Any]) -> tuple[str, str]:
    error = future.exception()
    assert isinstance(error, grpc.RpcError)
    return error.code().name, error.details()


def runs() -> int:
    """How often a session was run for a batch in this process."""
    return last_number(WRAPPED_RUN_COUNT)


def calls() -> int:
    """How many tensors came to be merged in this process."""
    return last_number(INPUT_BATCH_SIZE)


def last_number(metric: Counter | Sampler) -> int:
    """A counter's value, a histogram's count; 0 while there is only the line of its type."""
    _, *lines = metric.lines()
    return int(lines[-1].split()[-1]) if lines else 0


def test_requests_are_merged_and_each_is_answered_with_its_own_rows(rows: Path, tmp_path: Path) -> None:
    with serving(rows, tmp_path, BatchOptions(4, LONG)) as (_, stub, http):
        before = runs()
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(http.post, "/v1/models/rows:predict", json={"instances": [{"x": 5, "y": 50}]})
            one, two = together(stub, pair([1], [10]), pair([2, 3], [20, 30]))
        assert runs() == before + 1
    assert (sums(one.result()), sums(two.result())) == ([11], [22, 33])
    assert rest.result().json() == {"predictions": [{"sum": 55.0, "x": 5.0}]}


def test_an_output_filter_gets_its_own_batch(rows: Path, tmp_path: Path) -> None:
    with serving(rows, tmp_path, BatchOptions(2, 50_000)) as (_, stub, _):
        filtered, before = pair([1], [10]), runs()
        filtered.output_filter.append("sum")
        one, other = together(stub, filtered, pair([2], [20]))
        assert runs() == before + 2
    assert (list(one.result().outputs), sums(one.result()), sums(other.result())) == (["sum"], [11], [22])


def test_an_allowed_size_pads_the_batch_and_not_the_answer(rows: Path, tmp_path: Path) -> None:
    with serving(rows, tmp_path, BatchOptions(4, allowed_batch_sizes=(4,))) as (_, stub, _):
        assert sums(stub.Predict(pair([1, 2, 3], [10, 20, 30]), timeout=60)) == [11, 22, 33]


ROWS_DIFFER = (
    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
)
REFUSALS: dict[str, tuple[predict_pb2.PredictRequest, str, str]] = {
    "a scalar input": (
        predict_request(x=np.float32(1), y=np.float32(1)),
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have at least one dimension",
    ),
    "inputs of different sizes": (
        pair([1, 2], [1]),
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have equal 0th-dimension size",
    ),
    "a request larger than a batch": (
        pair([1] * 5, [1] * 5),
        "INVALID_ARGUMENT",
        "Task size 5 is larger than maximum input batch size 4",
    ),
    "a scalar output": (
        predict_request("total", x=[1.0]),
        "FAILED_PRECONDITION",
        "Batched output tensor has 0 dimensions",
    ),
    "an output of other rows": (predict_request("flat", x=[[1.0, 2.0]]), "FAILED_PRECONDITION", ROWS_DIFFER),
}


@pytest.fixture(scope="module")
def four(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Stub, httpx.Client]]:
    """A server whose batches hold four rows and wait for no more."""
    with serving(rows, tmp_path_factory.mktemp("four"), BatchOptions(4)) as running:
        yield running


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_can_not_be_merged_is_refused_over_both_protocols(
    four: tuple[Server, Stub, httpx.Client], case: tuple[predict_pb2.PredictRequest, str, str]
) -> None:
    request, code, text = case
    (grpc_answer,) = together(four[1], request)
    assert refusal(grpc_answer) == (code, text)
    inputs = {alias: tf.make_ndarray(proto).tolist() for alias, proto in request.inputs.items()}
    body = {"signature_name": request.model_spec.signature_name or "serving_default", "inputs": inputs}
    rest_answer = four[2].post("/v1/models/rows:predict", json=body)
    assert (rest_answer.status_code, rest_answer.json()) == (400, {"error": text})


def test_rows_of_different_lengths_fail_together_unless_they_are_padded(rows: Path, tmp_path: Path) -> None:
    short, long = pair([[1, 2]], [[0, 0]]), pair([[3, 4, 5]], [[0, 0, 0]])
    with serving(rows, tmp_path / "refused", BatchOptions(2, LONG)) as (_, stub, _):
        refused = together(stub, short, long)
    with serving(rows, tmp_path / "padded", BatchOptions(2, LONG, pad_variable_length_inputs=True)) as (_, stub, _):
        padded = together(stub, short, long)
    for future in refused:
        code, text = refusal(future)
        assert code == "FAILED_PRECONDITION"
        assert text.startswith("Tensors with name 'serving_default_")
        assert text.endswith(
            ":0' from different tasks have different shapes and padding is turned off. Set "
            "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
            "starting with the first dim."
        )
    assert [sums(future.result()) for future in padded] == [[[1, 2, 1]], [[3, 4, 5]]]


def test_an_error_of_the_runtime_goes_to_everyone_in_the_batch(rows: Path, tmp_path: Path) -> None:
    with serving(rows, tmp_path, BatchOptions(2, LONG)) as (_, stub, _):
        futures = together(stub, predict_request("number", text=["1.5"]), predict_request("number", text=["tee"]))
        (right,) = together(stub, predict_request("number", text=["1.5", "-2"]))
    for future in futures:
        code, text = refusal(future)
        assert code == "INVALID_ARGUMENT"
        assert "could not correctly convert string: tee" in text
    assert list(right.result().outputs["number"].float_val) == [1.5, -2]


def test_a_full_queue_is_unavailable_over_both_protocols(rows: Path, tmp_path: Path, eventually: Eventually) -> None:
    text = (
        "The batch scheduling queue to which this task was submitted is full; "
        "currently 1 batches enqueued and max_enqueued_batches is 1"
    )
    with serving(rows, tmp_path, BatchOptions(2, LONG, max_enqueued_batches=1)) as (_, stub, http):
        full: list[Future[Any]] = []

        def is_full() -> bool:
            """Two rows run at once, until one row waits for another in the only batch that may wait."""
            full[:] = together(stub, pair([2, 3], [20, 30]))
            return full[0].exception() is not None

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(stub.Predict, pair([1], [10]), timeout=60)
            eventually(is_full)
            rest = http.post("/v1/models/rows:predict", json={"inputs": {"x": [2, 3], "y": [20, 30]}})
            assert sums(stub.Predict(pair([4], [40]), timeout=60)) == [44]
    assert refusal(full[0]) == ("UNAVAILABLE", text)
    assert (rest.status_code, rest.json()) == (503, {"error": text})
    assert sums(waiting.result()) == [11]


def test_a_large_request_is_split_where_that_is_on(rows: Path, tmp_path: Path) -> None:
    options = BatchOptions(100, enable_large_batch_splitting=True, max_execution_batch_size=4)
    with serving(rows, tmp_path, options) as (_, stub, _):
        before = runs()
        answer = stub.Predict(pair(list(range(10)), [100] * 10), timeout=60)
        assert runs() == before + 3
    assert sums(answer) == [100 + number for number in range(10)]


def test_nobody_waits_for_more_requests_than_the_server_takes_at_once(rows: Path, tmp_path: Path) -> None:
    """With every gRPC thread in a batch that is not full, the batch runs long before its timeout."""
    callers = grpc_service.DEFAULT_THREADS
    with serving(rows, tmp_path, BatchOptions(1000, LONG)) as (_, stub, _):
        before = runs()
        futures = together(stub, *(pair([number], [10]) for number in range(callers)))
        assert runs() == before + 1
    assert [sums(future.result()) for future in futures] == [[10 + number] for number in range(callers)]


def test_a_request_that_waits_in_a_batch_is_answered_by_the_version_it_came_to(
    rows: Path, tmp_path: Path, eventually: Eventually
) -> None:
    """Version 1 is unloaded only after its batch, which requests to version 2 do not join."""
    with serving(rows, tmp_path, BatchOptions(1000, LONG)) as (server, stub, _), ThreadPoolExecutor(1) as pool:

        def states() -> list[str]:
            return [status.state for status in server.models.statuses("rows")]

        waiting = pool.submit(stub.Predict, pair([1], [10]), timeout=60)
        shutil.copytree(rows / "2", tmp_path / ".tmp-2")
        (tmp_path / ".tmp-2").rename(tmp_path / "2")
        eventually(lambda: states() == ["UNLOADING", "AVAILABLE"])
        assert not waiting.done()
        # With these every thread of the server waits, so that all batches run.
        newer = together(stub, *[pair([1], [10])] * (grpc_service.DEFAULT_THREADS - 1))
        eventually(lambda: states() == ["END", "AVAILABLE"])
    answers = [future.result() for future in (waiting, *newer)]
    versions = [(answer.model_spec.version.value, *sums(answer)) for answer in answers]
    assert versions == [(1, 11)] + [(2, 12)] * (grpc_service.DEFAULT_THREADS - 1)


def test_a_server_that_stops_answers_the_requests_that_wait_in_a_batch(
    rows: Path, tmp_path: Path, eventually: Eventually
) -> None:
    with serving(rows, tmp_path, BatchOptions(1000, 1_000_000)) as (server, stub, _), ThreadPoolExecutor(2) as pool:
        before = calls()
        waiting = pool.submit(stub.Predict, pair([1], [10]), timeout=60)
        eventually(lambda: calls() == before + 2)  # its two inputs are counted just before it waits
        server.stop()
        assert sums(waiting.result()) == [11]


def test_answers_are_right_under_load_with_every_option(rows: Path, tmp_path: Path) -> None:
    options = BatchOptions(
        64, 500, 100, 2, allowed_batch_sizes=(2, 8), enable_large_batch_splitting=True, max_execution_batch_size=8
    )
    wrong = threading.Event()

    def client(number: int) -> None:
        random = np.random.default_rng(number)
        with grpc.insecure_channel(address) as channel:
            for _ in range(60):
                x = random.random(random.integers(1, 20)).astype(np.float32)
                if not np.array_equal(sums(Stub(channel).Predict(pair(x, x), timeout=60)), (x + x).tolist()):
                    wrong.set()

    with serving(rows, tmp_path, options) as (server, _, _), ThreadPoolExecutor(12) as pool:
        address = f"127.0.0.1:{server.port}"
        for future in [pool.submit(client, number) for number in range(12)]:
            future.result()
    assert not wrong.is_set()
