"""A line for each request, under the id that its client gave, as text or as JSON; from a server as a user starts it."""

from __future__ import annotations

import json
import shutil
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


def asked(base: Path, *flags: str) -> str:
    """The server's stderr after a right request by gRPC, one by REST for no model, and one that is no HTTP."""
    rest = free_port()
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base}", "--port=0"]
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
            connection.sendall(b"no HTTP at all\r\n\r\n")
            connection.recv(1)
        process.terminate()
        return process.communicate(timeout=60)[1]


@pytest.fixture
def base(exported: Path, tmp_path: Path) -> Path:
    shutil.copytree(exported / "1", tmp_path / "toy" / "1")
    return tmp_path / "toy"


def test_each_request_is_a_line_of_json_under_its_clients_id(base: Path) -> None:
    lines = [line for line in asked(base, "--log_format=json", "--log_requests").splitlines() if line.startswith("{")]
    told = [entry for entry in map(json.loads, lines) if entry["logger"] == "serving.requests"]
    keys = ("request_id", "model", "api", "entrypoint", "code")
    assert [tuple(entry[key] for key in keys) for entry in told] == [
        ("first", "toy", "Predict", "GRPC", "OK"),
        ("second", "nosuch", "predict", "REST", "NOT_FOUND"),
    ]
    assert told[1]["error"] == "Servable not found for request: Latest(nosuch)"
    assert all(entry["milliseconds"] > 0 for entry in told)
    # The rest of the log as well, that of the HTTP library too.
    assert {"serving.lifecycle.model", "uvicorn.error"} <= {entry["logger"] for entry in map(json.loads, lines)}


def test_a_server_whose_listener_has_gone_ends_well(base: Path) -> None:
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base}", "--port=0"]
    with subprocess.Popen(
        [*command, "--rest_api_port=0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.terminate()
        told = process.stderr.read()
        assert process.wait(60) == 0
    assert "Traceback" not in told
    assert "BrokenPipeError" not in told


def test_without_the_flag_no_request_is_told_and_the_log_is_text(base: Path) -> None:
    told = asked(base)
    assert "serving.requests" not in told
    assert "INFO serving.lifecycle.model: Successfully loaded servable version {name: toy version: 1}" in told
