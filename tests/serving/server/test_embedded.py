"""The embedded server as a handle: its start, its ports, its deadlines, its end."""

from __future__ import annotations

import shutil
import socket
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
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.server.embedded import Server, start
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
GRPC_ALONE = Options(rest_api_port=None, lifecycle=LifecycleOptions(poll_seconds=0.05))
MINUTES = 10**9  # steps


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 1 with a REST timeout of half a second."""
    base = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "1", base / "1")
    with start(single("toy", base), Options(rest_api_timeout_seconds=0.5)) as running:
        yield running


def slow_request(steps: int) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "slow"})
    request.inputs["steps"].CopyFrom(tf.make_tensor_proto([steps], tf.int64))
    return request


def in_flight(server: Server) -> int:
    """Number of requests that the model is running."""
    return server.models.in_flight()["toy"]


def test_a_base_path_without_a_version_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ServingError, match="no version of toy came into service from it within"):
        start(single("toy", tmp_path), GRPC_ALONE, timeout_seconds=0.5)
    message = (
        f"No versions of servable toy found under base path {tmp_path}. "
        "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    )
    assert caplog.text.count(message) == 1  # the server looked more than once


def test_a_first_version_that_cannot_be_loaded_ends_the_start(base_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    (base_path / "1" / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(
        ServingError, match=r"1 model\(s\) did not become available: .*version: 1} due to error: .*Cannot parse file"
    ):
        start(single("toy", base_path), GRPC_ALONE)


@pytest.mark.parametrize("flag", ["port", "rest_api_port"])
def test_a_taken_port_ends_the_start_before_the_model_is_loaded(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f"port is {port} but 127.0.0.1:{port} can't be listened on .*; stop what listens there or choose"
        with pytest.raises(ServingError, match=text):
            start(single("toy", tmp_path), Options(**{flag: port}))


def test_a_stopped_server_releases_its_ports(base_path: Path) -> None:
    with start(single("toy", base_path)) as running:
        ports = (running.port, running.rest_api_port)
    for port in ports:
        with pytest.raises(ConnectionRefusedError, match="Connection refused"):
            socket.create_connection(("127.0.0.1", port or 0), timeout=1)
    with start(single("toy", base_path), Options(port=ports[0], rest_api_port=ports[1])) as running:
        assert (running.port, running.rest_api_port) == ports


def test_a_deadline_ends_the_work_of_a_grpc_call(server: Server, channel: grpc.Channel, eventually: Eventually) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert stub.Predict(slow_request(3), timeout=20).outputs["last"].int64_val[0] == 3
    call = stub.Predict.future(slow_request(MINUTES), timeout=1)
    eventually(lambda: in_flight(server) == 1)
    assert call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: in_flight(server) == 0)


def test_the_rest_timeout_ends_the_work_of_a_request(server: Server, http: httpx.Client) -> None:
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


def test_a_server_stops_during_a_request_that_never_ends(exported: Path, eventually: Eventually) -> None:
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
