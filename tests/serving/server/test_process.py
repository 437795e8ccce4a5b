"""`python -m serving.server` as a process: what it prints, and how a signal ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client import Client
from serving.server.main import main
from tests.serving import processes


@pytest.mark.slow
def test_the_printed_ipv6_addresses_are_those_that_clients_take(base_path: Path) -> None:
    with processes.running("--host=::1", base_path=base_path) as server:
        assert server.target.startswith("[::1]:")
        for target in (server.target, server.rest.replace("127.0.0.1", "[::1]")):
            with Client(target, "toy", 20) as client:
                assert client.version() == 1


def test_a_flag_of_bytes_that_are_not_utf8_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model_name=caf\udce9", "--model_base_path=/nowhere"]) == 1
    assert capsys.readouterr().err == "an argument is b'--model_name=caf\\xe9' but must be UTF-8; rename it\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_address_and_a_signal_ends_it_without_an_error(base_path: Path, number: int) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    request.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0, 20.0]))
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base_path}"]
    with subprocess.Popen(
        [*command, "--port=0", "--rest_api_port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=processes.ROOT,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Running gRPC ModelServer at 127.0.0.1:")
        with grpc.insecure_channel(line.split()[4]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            # Version 1, scale 1: 1 * 1 + 10, 2 * 1 + 20.
            assert list(stub.Predict(request, timeout=10).outputs["sum"].float_val) == [11.0, 22.0]
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Stopping" in out
    assert "Traceback" not in errors
