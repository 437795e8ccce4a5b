"""A server that merges requests: both protocols, all its threads, new versions, its stop."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api import grpc_service
from serving.api.options import Options
from serving.batching.options import BatchOptions
from serving.batching.scheduler import BatchScheduler
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.request.monitoring import WRAPPED_RUN_COUNT
from serving.server.embedded import Server, start
from serving.wire.tensors import from_proto, to_proto

Eventually = Callable[[Callable[[], bool]], None]
LONG = 20_000_000  # microseconds: no test waits for it


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that merges requests, and its clients."""

    server: Server
    scheduler: BatchScheduler
    stub: Any
    http: httpx.Client


@contextlib.contextmanager
def batching_server(exported: Path, base: Path, options: BatchOptions) -> Iterator[Running]:
    """Start a server of version 1."""
    shutil.copytree(exported / "1", base / "1")
    scheduler = BatchScheduler(options, grpc_service.DEFAULT_THREADS)
    with (
        start(single("toy", base), Options(lifecycle=LifecycleOptions(0.05, scheduler=scheduler))) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False, timeout=60) as http,
    ):
        yield Running(server, scheduler, prediction_service_pb2_grpc.PredictionServiceStub(channel), http)


def linear(x: list[float], y: list[float]) -> predict_pb2.PredictRequest:
    """A request for x * version + y."""
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"}, output_filter=["sum"])
    request.inputs["x"].CopyFrom(to_proto(np.array(x, np.float32)))
    request.inputs["y"].CopyFrom(to_proto(np.array(y, np.float32)))
    return request


def sums(response: predict_pb2.PredictResponse) -> list[float]:
    return from_proto(response.outputs["sum"]).tolist()


def predict_together(stub: Any, *requests: predict_pb2.PredictRequest) -> list[predict_pb2.PredictResponse]:
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: stub.Predict(request, timeout=60), requests))


def test_requests_of_both_protocols_share_a_batch_and_get_their_own_rows(exported: Path, tmp_path: Path) -> None:
    body = {"signature_name": "number", "instances": [{"x": 5}]}
    with batching_server(exported, tmp_path, BatchOptions(4, LONG)) as running, ThreadPoolExecutor(1) as pool:
        before = WRAPPED_RUN_COUNT.first_value()
        rest = pool.submit(running.http.post, "/v1/models/toy:predict", json=body)
        requests = [predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "number"}) for _ in "12"]
        requests[0].inputs["x"].CopyFrom(to_proto(np.array([1], np.float32)))
        requests[1].inputs["x"].CopyFrom(to_proto(np.array([2, 3], np.float32)))
        one, two = predict_together(running.stub, *requests)
        assert rest.result().json() == {"predictions": [5.0]}
        assert WRAPPED_RUN_COUNT.first_value() == before + 1
    assert list(one.outputs["x"].float_val) == [1]
    assert list(two.outputs["x"].float_val) == [2, 3]


def test_a_batch_runs_before_its_timeout_once_every_thread_of_the_server_waits(exported: Path, tmp_path: Path) -> None:
    n_threads = grpc_service.DEFAULT_THREADS
    with batching_server(exported, tmp_path, BatchOptions(1000, LONG)) as running:
        before = WRAPPED_RUN_COUNT.first_value()
        responses = predict_together(running.stub, *(linear([number], [10]) for number in range(n_threads)))
        assert WRAPPED_RUN_COUNT.first_value() == before + 1
    assert [sums(response) for response in responses] == [[10 + number] for number in range(n_threads)]


def test_a_request_that_waits_in_a_batch_is_answered_by_the_version_it_came_to(
    exported: Path, tmp_path: Path, eventually: Eventually
) -> None:
    """Version 1 is unloaded only after its batch, which requests to version 2 do not join."""
    n_newer = grpc_service.DEFAULT_THREADS - 1  # with the waiting one they take every thread, so that all batches run
    with (
        batching_server(exported, tmp_path, BatchOptions(1000, LONG)) as running,
        ThreadPoolExecutor(1) as pool,
    ):

        def states() -> list[str]:
            return [status.state for status in running.server.models.statuses("toy")]

        waiting = pool.submit(running.stub.Predict, linear([1], [10]), timeout=60)
        eventually(lambda: running.scheduler.n_enqueued == 1)
        shutil.copytree(exported / "2", tmp_path / ".tmp-2")
        (tmp_path / ".tmp-2").rename(tmp_path / "2")
        eventually(lambda: states() == ["UNLOADING", "AVAILABLE"])
        assert not waiting.done()
        newer = predict_together(running.stub, *[linear([1], [10])] * n_newer)
        eventually(lambda: states() == ["END", "AVAILABLE"])
    versions = [(response.model_spec.version.value, *sums(response)) for response in (waiting.result(), *newer)]
    # 1 * 1 + 10 by version 1, 1 * 2 + 10 by version 2
    assert versions == [(1, 11)] + [(2, 12)] * n_newer


def test_a_server_that_stops_answers_the_requests_that_wait_in_a_batch(
    exported: Path, tmp_path: Path, eventually: Eventually
) -> None:
    with (
        batching_server(exported, tmp_path, BatchOptions(1000, 1_000_000)) as running,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(running.stub.Predict, linear([1], [10]), timeout=60)
        eventually(lambda: waiting.done() or running.scheduler.n_enqueued == 1)
        running.server.stop()
        assert sums(waiting.result()) == [11]
