"""The embedded server as a process: its start, its ports, its versions, its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api.options import Options
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.server.embedded import start
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
GRPC_ALONE = Options(rest_api_port=None, lifecycle=LifecycleOptions(poll_seconds=0.05))


def predict_request(signature: str = "", name: str = "toy", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


LINEAR: dict[str, Any] = {"x": np.array([1, 2], np.float32), "y": np.array([10, 20], np.float32)}
SUM = [11.0, 22.0]  # version 1, scale 1: 1 * 1 + 10, 2 * 1 + 20


def test_rest_sends_a_reply_at_once(http: httpx.Client) -> None:
    """Without TCP_NODELAY each reply of a kept connection waits 40 ms for an acknowledgement."""
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        http.post("/v1/models/toy:predict", json={"inputs": {"x": [1, 2], "y": [10, 20]}})
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.03


OUT_OF_BOUNDS: dict[str, tuple[str | bytes, str]] = {
    "too deep": ("[" * 100_000, "JSON Parse error: the values are nested too deep; send a flatter request"),
    "65 levels": (
        '{"inputs": {"x": ' + "[" * 65 + "1" + "]" * 65 + ', "y": [1]}}',
        "a tensor has at most 64 levels",
    ),
    "behind bytes that are no UTF-8": (b'{"\xff": }', "JSON Parse error: Invalid value. at offset: 6"),
}


@pytest.mark.parametrize("case", OUT_OF_BOUNDS.values(), ids=OUT_OF_BOUNDS.keys())
def test_json_beyond_what_python_holds_is_refused(http: httpx.Client, case: tuple[str | bytes, str]) -> None:
    """The rest of what is refused is a part of the contract: tests/serving/conformance."""
    body, text = case
    response = http.post("/v1/models/toy:predict", content=body)
    assert response.status_code == 400
    assert text in response.json()["error"]


def test_a_new_version_is_taken_up_without_a_failed_request(
    exported: Path, base_path: Path, eventually: Eventually
) -> None:
    """And a corrupted one after it changes nothing. Every answer is that of the version that it names."""
    stopping, seen = threading.Event(), set()
    with start(single("toy", base_path), GRPC_ALONE) as running:

        def ask() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                while not stopping.is_set():
                    try:
                        response = stub.Predict(predict_request(**LINEAR), timeout=10)
                        seen.add((response.model_spec.version.value, response.outputs["sum"].float_val[1]))
                    except grpc.RpcError as error:
                        seen.add(error.details())

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        eventually(lambda: bool(seen))
        shutil.copytree(exported / "2", base_path / ".tmp-2")
        (base_path / ".tmp-2").rename(base_path / "2")
        eventually(lambda: len(seen) > 1)
        (base_path / "3").mkdir()
        (base_path / "3" / "saved_model.pb").write_bytes(b"not a model")
        eventually(lambda: any(s.number == 3 and s.state == "END" for s in running.models.statuses("toy")))
        stopping.set()
        for asker in askers:
            asker.join()
    assert seen == {(1, 22.0), (2, 24.0)}  # 2 * 1 + 20, 2 * 2 + 20


def test_a_base_path_without_a_version_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ServingError, match="no version of toy came into service from it within"):
        start(single("toy", tmp_path), GRPC_ALONE, timeout_seconds=0.5)
    told = (
        f"No versions of servable toy found under base path {tmp_path}. "
        "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    )
    assert caplog.text.count(told) == 1  # not at each of five looks


def test_a_first_version_that_can_not_be_loaded_ends_the_start(
    base_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lifecycle.version.MAX_RETRY_SECONDS", 0.0)
    (base_path / "1" / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(
        ServingError, match=r"1 model\(s\) did not become available: .*version: 1} due to error: .*Cannot parse file"
    ):
        start(single("toy", base_path), GRPC_ALONE)


@pytest.mark.parametrize("taken", ["port", "rest_api_port"])
def test_a_taken_port_is_told_before_the_model_is_loaded(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f"port is {port} but 127.0.0.1:{port} can't be listened on .*; stop what listens there or choose"
        with pytest.raises(ServingError, match=text):
            start(single("toy", tmp_path), Options(**{taken: port}))


def test_a_stopped_server_gives_its_ports_back(base_path: Path) -> None:
    with start(single("toy", base_path)) as running:
        ports = (running.port, running.rest_api_port)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=1)
    with start(single("toy", base_path), Options(port=ports[0], rest_api_port=ports[1])) as running:
        assert (running.port, running.rest_api_port) == ports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_listens_and_ends_well_on_a_signal(base_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base_path}"]
    with subprocess.Popen(
        [*command, "--port=0", "--rest_api_port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Running gRPC ModelServer at 127.0.0.1:")
        with grpc.insecure_channel(line.split()[4]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert list(stub.Predict(predict_request(**LINEAR), timeout=10).outputs["sum"].float_val) == SUM
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Stopping" in out
    assert "Traceback" not in errors
