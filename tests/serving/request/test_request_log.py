"""The log of requests of a server in its own process, as text and as JSON."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.processes import ROOT, free_port

pytestmark = pytest.mark.slow  # each test starts a process of TensorFlow


def run_requests(base_path: Path, *flags: str) -> str:
    """Return the server's stderr after a gRPC request, a REST request and a broken one."""
    rest = free_port()
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base_path}", "--port=0"]
    with subprocess.Popen(
        [*command, f"--rest_api_port={rest}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        target = process.stdout.readline().split()[4]
        process.stdout.readline()
        request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
        for name in "xy":
            request.inputs[name].CopyFrom(tf.make_tensor_proto([1.0]))
        with grpc.insecure_channel(target) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.Predict(request, timeout=20, metadata=[("x-request-id", "first")])
        url = f"http://127.0.0.1:{rest}/v1/models/nosuch:predict"
        httpx.post(url, json={"instances": [1]}, headers={"X-Request-Id": "second"}, trust_env=False, timeout=20)
        with socket.create_connection(("127.0.0.1", rest)) as connection:
            connection.sendall(b"not HTTP\r\n\r\n")
            connection.recv(1)
        process.terminate()
        return process.communicate(timeout=60)[1]


def test_each_request_is_a_line_of_json_with_the_clients_id(base_path: Path) -> None:
    lines = [
        line
        for line in run_requests(base_path, "--log_format=json", "--log_requests").splitlines()
        if line.startswith("{")
    ]
    entries = [entry for entry in map(json.loads, lines) if entry["logger"] == "serving.requests"]
    keys = ("request_id", "model", "api", "entrypoint", "code")
    assert [tuple(entry[key] for key in keys) for entry in entries] == [
        ("first", "toy", "Predict", "GRPC", "OK"),
        ("second", "nosuch", "predict", "REST", "NOT_FOUND"),
    ]
    assert entries[1]["error"] == "Servable not found for request: Latest(nosuch)"
    assert all(entry["milliseconds"] > 0 for entry in entries)
    # The other loggers write JSON as well, the HTTP library's too.
    assert {"serving.lifecycle.model", "uvicorn.error"} <= {entry["logger"] for entry in map(json.loads, lines)}


def test_a_server_whose_standard_output_is_closed_ends_without_an_error(base_path: Path) -> None:
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base_path}", "--port=0"]
    with subprocess.Popen(
        [*command, "--rest_api_port=0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.terminate()
        log = process.stderr.read()
        assert process.wait(60) == 0
    assert "Traceback" not in log
    assert "BrokenPipeError" not in log


def test_without_flags_requests_are_not_logged_and_the_log_is_text(base_path: Path) -> None:
    log = run_requests(base_path)
    assert "serving.requests" not in log
    assert "INFO serving.lifecycle.model: Successfully loaded servable version {name: toy version: 1}" in log
