"""Deadlines, the end of health, and bodies that can't be unpacked, over real sockets."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api.options import Options
from serving.api.rest.gzip_body import MAX_BYTES
from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start

Eventually = Callable[[Callable[[], bool]], None]
MINUTES = 10**9  # steps
BODY = json.dumps({"instances": [{"x": 1, "y": 10}]}).encode()


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With half a second for each REST request."""
    base = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "1", base / "1")
    options = Options(rest_api_timeout_seconds=0.5)
    with start(single("toy", base), options) as running:
        yield running


def slow_request(steps: int) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "slow"})
    request.inputs["steps"].CopyFrom(tf.make_tensor_proto([steps], tf.int64))
    return request


def in_flight(server: Server) -> int:
    return sum(version.in_flight for version in server.models._watched["toy"].model._versions.values())


def test_a_deadline_ends_the_call_and_the_work(server: Server, channel: grpc.Channel, eventually: Eventually) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert stub.Predict(slow_request(3), timeout=20).outputs["last"].int64_val[0] == 3
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(slow_request(MINUTES), timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: in_flight(server) == 0)


def test_a_rest_request_that_takes_too_long_is_answered_504(server: Server, http: httpx.Client) -> None:
    response = http.post("/v1/models/toy:predict", json={"signature_name": "slow", "instances": [MINUTES]}, timeout=20)
    assert response.status_code == 504
    assert in_flight(server) == 0


def test_health_ends_when_the_server_begins_to_stop(exported: Path) -> None:
    other = start(single("toy", exported), Options(rest_api_port=None, has_health=True))
    with grpc.insecure_channel(f"127.0.0.1:{other.port}") as connected:
        watch = health_pb2_grpc.HealthStub(connected).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        stopping = threading.Thread(target=other.stop, args=(5.0,))
        stopping.start()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        stopping.join()


def test_a_server_stops_although_a_request_without_a_deadline_never_ends(
    exported: Path, eventually: Eventually
) -> None:
    other = start(single("toy", exported), Options(rest_api_port=None))
    with grpc.insecure_channel(f"127.0.0.1:{other.port}") as connected:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(connected)
        call = stub.Predict.future(slow_request(MINUTES))
        eventually(lambda: in_flight(other) == 1)
        stopping = threading.Thread(target=other.stop, args=(0.5,), daemon=True)
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (BODY, 400, "the body is said to be gzip but can't be unpacked"),
        (gzip.compress(BODY)[:-12], 400, "the body is said to be gzip but it ends in the middle"),
        (gzip.compress(bytes(MAX_BYTES + 1), 1), 429, f"the body unpacks to more than {MAX_BYTES} bytes"),
    ],
    ids=["not packed", "cut off", "a bomb"],
)
def test_a_body_that_can_not_be_unpacked_is_refused(http: httpx.Client, body: bytes, code: int, text: str) -> None:
    response = http.post("/v1/models/toy:predict", content=body, headers={"Content-Encoding": "gzip"}, timeout=30)
    assert response.status_code == code
    assert text in response.json()["error"]
