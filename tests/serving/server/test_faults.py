"""Faults of a server under load: changing and broken versions, a full disk, kills, stuck clients.

TFREC_FAULT_SECONDS=60 loads the server for a minute in each test (the default is shorter); `-s`
prints the latencies.
"""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.harness import grpc_load
from tests.serving.processes import Running, running
from tfrec.errors import MachineError
from tfrec.versions import push as push_model

pytestmark = pytest.mark.slow

Eventually = Callable[[Callable[[], bool]], None]
SECONDS = float(os.environ.get("TFREC_FAULT_SECONDS", "6"))
CHANGE_SECONDS = min(5.0, SECONDS / 6)


def request() -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    made.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    made.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0]))
    return made


REQUESTS = [request().SerializeToString()]


def error_of(answer: bytes) -> str:
    """An error where the sum is not 10 + n for the version n that the answer names, else ""."""
    response = predict_pb2.PredictResponse.FromString(answer)
    version, total = response.model_spec.version.value, response.outputs["sum"].float_val[0]
    return "" if total == 10 + version else f"version {version} answered {total}"


def predict(target: str) -> int:
    """The version that answers; fails when the answer is wrong."""
    with grpc.insecure_channel(target) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request(), timeout=20)
    assert error_of(response.SerializeToString()) == ""
    return int(response.model_spec.version.value)


def states(server: Running) -> dict[str, str]:
    """State and error message of each version that the server has seen."""
    statuses = httpx.get(f"{server.rest}/v1/models/toy", trust_env=False, timeout=20).json()["model_version_status"]
    return {one["version"]: f"{one['state']} {one['status']['error_message']}" for one in statuses}


def push(exported: Path, base: Path, version: int) -> None:
    staged = base / f".tmp-{version}"
    shutil.copytree(exported / str(version), staged)
    staged.rename(base / str(version))


def withdraw(base: Path, version: int) -> None:
    (base / str(version)).rename(base / f".gone-{version}")
    shutil.rmtree(base / f".gone-{version}")


def report(result: grpc_load.LoadResult, server: Running, versions: str) -> None:
    memory = psutil.Process(server.process.pid).memory_info().rss
    print(f"\n{result.summarize()}; {versions}; resident memory {memory / 1e6:.0f} MB")


def load_while_changing(
    server: Running, step: Callable[[int], None], steps: int, check: grpc_load.Check
) -> grpc_load.LoadResult:
    """Load the server for SECONDS, and until step(0), step(1) ... have been called `steps` times.

    CHANGE_SECONDS pass before each step, and the steps go on while the load does. Fails when a
    step failed.
    """
    stopping, errors, done = threading.Event(), [], []

    def run_steps() -> None:
        while not stopping.wait(CHANGE_SECONDS):
            try:
                step(len(done))
            except Exception as error:
                errors.append(error)
                return
            done.append(step)

    thread = threading.Thread(target=run_steps)
    thread.start()
    result = grpc_load.LoadResult(0.0, [], collections.Counter())
    try:
        while not result.seconds or (len(done) < steps and not errors):
            part = grpc_load.run_closed_loop(server.target, REQUESTS, 32, SECONDS, check)
            result.seconds += part.seconds
            result.latencies += part.latencies
            result.errors += part.errors
    finally:
        stopping.set()
        thread.join()
    assert errors == []
    return result


@pytest.fixture(scope="module")
def started(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Running]]:
    """A folder of versions and its server, shared by the tests since a start takes long."""
    base = tmp_path_factory.mktemp("faults")
    push(exported, base, 1)
    with running("--file_system_poll_wait_seconds=0.1", base_path=base) as server:
        yield base, server


@pytest.fixture
def server(started: tuple[Path, Running], eventually: Eventually) -> Running:
    """The shared server with version 1 alone in its folder and in service."""
    base, server = started
    for version in (3, 2):
        if (base / str(version)).exists():
            withdraw(base, version)
    eventually(lambda: predict(server.target) == 1)
    return server


@pytest.fixture
def base(started: tuple[Path, Running], server: Running) -> Path:
    """The folder of the shared server, which holds version 1 alone."""
    return started[0]


def test_no_request_fails_while_versions_change_and_one_is_broken(
    exported: Path, base: Path, server: Running, eventually: Eventually
) -> None:
    """32 requests in flight: a broken version 2, version 3, a sound version 2, version 1 again."""

    def step(number: int) -> None:
        if number % 4 == 0:
            (base / "2").mkdir()
            (base / "2" / "saved_model.pb").write_bytes(b"not a model")
            eventually(lambda: "Cannot parse" in states(server).get("2", ""))
            assert predict(server.target) == 1
            return
        if number % 4 == 1:
            push(exported, base, 3)
        elif number % 4 == 2:
            withdraw(base, 2)
            push(exported, base, 2)
            withdraw(base, 3)
        else:
            withdraw(base, 2)
        eventually(lambda: predict(server.target) == (3, 2, 1)[number % 4 - 1])

    seen = set()

    def check(answer: bytes) -> str:
        seen.add(predict_pb2.PredictResponse.FromString(answer).model_spec.version.value)
        return error_of(answer)

    result = load_while_changing(server, step, 4, check)
    report(result, server, f"versions {seen}")
    assert result.errors == {}
    assert len(result.latencies) > 100
    assert seen == {1, 2, 3}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small disk; run the tests as root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_push_to_a_full_disk_fails_no_request_and_succeeds_once_there_is_space(
    exported: Path, disk: Path, eventually: Eventually
) -> None:
    base, ballast = disk / "toy", disk / "ballast"
    first = push_model(str(exported / "1"), str(base))
    size = sum(path.stat().st_size for path in first.rglob("*"))
    pushed: list[Path] = []

    def step(number: int) -> None:
        """Two pushes to a full disk, then one after space is freed."""
        if number == 0:
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - size // 2))
        if number < 2:
            with pytest.raises(MachineError, match=f"No space left on device; .* version {first.name} stays in serv"):
                push_model(str(exported / "2"), str(base))
            assert list(base.iterdir()) == [first]
        elif number == 2:
            ballast.unlink()
            pushed.append(push_model(str(exported / "2"), str(base)))

    def check(answer: bytes) -> str:
        response = predict_pb2.PredictResponse.FromString(answer)
        version, total = response.model_spec.version.value, response.outputs["sum"].float_val[0]
        return "" if total == (11 if version == int(first.name) else 12) else f"version {version} answered {total}"

    with running("--file_system_poll_wait_seconds=0.1", base_path=base) as server:
        result = load_while_changing(server, step, 3, check)
        assert result.errors == {}
        (second,) = pushed
        # The server looked ten times a second and never saw another version, broken or not.
        eventually(lambda: states(server) == {first.name: "END ", second.name: "AVAILABLE "})


def test_after_a_kill_clients_reconnect_to_a_new_server_on_the_same_folder(base: Path) -> None:
    options = [("grpc.max_reconnect_backoff_ms", 1000)]  # gRPC waits up to two minutes by default
    with running(base_path=base) as first, grpc.insecure_channel(first.target, options=options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(request(), timeout=20).outputs["sum"].float_val[0] == 11
        first.process.kill()
        first.process.wait()
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
            stub.Predict(request(), timeout=20)
        port = first.target.rpartition(":")[2]
        with running(f"--port={port}", base_path=base) as second:
            assert second.target == first.target
            assert stub.Predict(request(), timeout=20, wait_for_ready=True).outputs["sum"].float_val[0] == 11


def test_a_stop_drops_no_accepted_request(base: Path, eventually: Eventually) -> None:
    with running(base_path=base) as server, grpc.insecure_channel(server.target) as channel:
        slow = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "slow"})
        slow.inputs["steps"].CopyFrom(tf.make_tensor_proto([300_000], tf.int64))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(request(), timeout=20)
        calls = [stub.Predict.future(slow, timeout=60) for _ in range(4)]
        rest = httpx.Client(base_url=server.rest, trust_env=False, timeout=60)
        answers = []
        posting = threading.Thread(
            target=lambda: answers.append(
                rest.post("/v1/models/toy:predict", json={"signature_name": "slow", "instances": [300_000]})
            )
        )
        posting.start()
        process = psutil.Process(server.process.pid)
        eventually(lambda: sum(one.status == "ESTABLISHED" for one in process.net_connections()) >= 2)
        server.process.terminate()
        assert [call.result().outputs["last"].int64_val[0] for call in calls] == [300_000] * 4
        posting.join()
        assert answers[0].json() == {"predictions": [300_000]}
        assert server.process.wait(60) == 0


def test_clients_that_disconnect_within_a_request_leave_no_open_sockets(
    server: Running, eventually: Eventually
) -> None:
    process, (host, port) = psutil.Process(server.process.pid), server.target.rsplit(":", 1)
    rest_port = int(server.rest.rpartition(":")[2])
    predict(server.target)
    before = process.num_fds()
    for _ in range(100):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04")
        with socket.create_connection((host, rest_port)) as connection:
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
    eventually(lambda: process.num_fds() <= before + 5)
    assert predict(server.target) == 1


def test_clients_that_never_finish_a_request_do_not_block_others(server: Running) -> None:
    rest_port = int(server.rest.rpartition(":")[2])
    with contextlib.ExitStack() as open_:
        for _ in range(100):
            connection = open_.enter_context(socket.create_connection(("127.0.0.1", rest_port)))
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        response = httpx.post(
            f"{server.rest}/v1/models/toy:predict", json={"inputs": {"x": [1], "y": [10]}}, trust_env=False, timeout=20
        )
        assert response.json() == {"outputs": {"sum": [11.0], "difference": [-9.0]}}
        assert predict(server.target) == 1
