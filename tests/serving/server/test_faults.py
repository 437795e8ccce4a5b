"""What a server lives through under load: versions that come, go and are broken, kills, clients that vanish or dawdle.

TFREC_FAULT_SECONDS=60 loads for a minute in each test, and `-s` shows what came of it; the default is shorter.
"""

from __future__ import annotations

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

from benchmarks import grpc_load
from tests.serving.processes import Running, running
from tfrec.errors import MachineError
from tfrec.versions import push as push_model

Eventually = Callable[[Callable[[], bool]], None]
SECONDS = float(os.environ.get("TFREC_FAULT_SECONDS", "6"))
CHANGE_SECONDS = min(5.0, SECONDS / 6)


def request() -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    made.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    made.inputs["y"].CopyFrom(tf.make_tensor_proto([10.0]))
    return made


REQUESTS = [request().SerializeToString()]


def wrong(answer: bytes) -> str:
    """Version n answers 10 + n: what is wrong with an answer for the version that it names."""
    response = predict_pb2.PredictResponse.FromString(answer)
    version, total = response.model_spec.version.value, response.outputs["sum"].float_val[0]
    return "" if total == 10 + version else f"version {version} said {total}"


def ask(target: str) -> int:
    """The version that answers, rightly."""
    with grpc.insecure_channel(target) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request(), timeout=20)
    assert wrong(response.SerializeToString()) == ""
    return int(response.model_spec.version.value)


def states(server: Running) -> dict[str, str]:
    """Of each version that was ever seen, the error behind the state."""
    known = httpx.get(f"{server.rest}/v1/models/toy", trust_env=False, timeout=20).json()["model_version_status"]
    return {one["version"]: f"{one['state']} {one['status']['error_message']}" for one in known}


def push(exported: Path, base: Path, version: int) -> None:
    staged = base / f".tmp-{version}"
    shutil.copytree(exported / str(version), staged)
    staged.rename(base / str(version))


def withdraw(base: Path, version: int) -> None:
    (base / str(version)).rename(base / f".gone-{version}")
    shutil.rmtree(base / f".gone-{version}")


def told(outcome: grpc_load.LoadResult, server: Running, versions: str) -> None:
    memory = psutil.Process(server.process.pid).memory_info().rss
    print(f"\n{outcome.summarize()}; {versions}; resident memory {memory / 1e6:.0f} MB")


@contextlib.contextmanager
def changing(step: Callable[[int], None]) -> Iterator[None]:
    """Calls step(0), step(1) ... every CHANGE_SECONDS until the block ends; raises what they raised."""
    stopping, errors = threading.Event(), []

    def go_on() -> None:
        number = 0
        while not stopping.wait(CHANGE_SECONDS):
            try:
                step(number)
            except Exception as error:
                errors.append(error)
                return
            number += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    assert errors == []


@pytest.fixture(scope="module")
def started(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Running]]:
    """A folder of versions and the server of it that these tests share: to start one takes as long as a test."""
    base = tmp_path_factory.mktemp("faults")
    push(exported, base, 1)
    with running("--file_system_poll_wait_seconds=0.1", base_path=base) as server:
        yield base, server


@pytest.fixture
def server(started: tuple[Path, Running], eventually: Eventually) -> Running:
    """As it began: version 1 alone is in its folder, and answers."""
    base, server = started
    for version in (3, 2):
        if (base / str(version)).exists():
            withdraw(base, version)
    eventually(lambda: ask(server.target) == 1)
    return server


@pytest.fixture
def base(started: tuple[Path, Running], server: Running) -> Path:
    """The folder of the shared server, with version 1 alone."""
    return started[0]


def test_versions_come_and_go_and_no_request_fails_or_is_answered_wrongly(
    exported: Path, base: Path, server: Running, eventually: Eventually
) -> None:
    """32 in flight. A version comes, is followed by a newer one, which is withdrawn again, and so on."""

    def step(number: int) -> None:
        version, expected = ((2, 2), (3, 3), (3, 2), (2, 1))[number % 4]
        if number % 4 < 2:
            push(exported, base, version)
        else:
            withdraw(base, version)
        eventually(lambda: ask(server.target) == expected)

    seen = set()

    def check(answer: bytes) -> str:
        seen.add(predict_pb2.PredictResponse.FromString(answer).model_spec.version.value)
        return wrong(answer)

    with changing(step):
        outcome = grpc_load.run_closed_loop(server.target, REQUESTS, 32, SECONDS, check)
    told(outcome, server, f"versions {seen}")
    assert outcome.errors == {}
    assert len(outcome.latencies) > 100
    assert seen == {1, 2, 3}


def test_a_broken_version_in_between_harms_no_request(
    exported: Path, base: Path, server: Running, eventually: Eventually
) -> None:
    def step(number: int) -> None:
        """A broken one, then a good one above it, and again from the start when both are withdrawn."""
        if number % 3 == 0:
            (base / "2").mkdir()
            (base / "2" / "saved_model.pb").write_bytes(b"not a model")
            eventually(lambda: "Cannot parse" in states(server).get("2", ""))
            assert ask(server.target) == 1
        elif number % 3 == 1:
            push(exported, base, 3)
            eventually(lambda: ask(server.target) == 3)
        else:
            withdraw(base, 3)
            withdraw(base, 2)
            eventually(lambda: ask(server.target) == 1)

    with changing(step):
        outcome = grpc_load.run_closed_loop(server.target, REQUESTS, 32, SECONDS, wrong)
    told(outcome, server, f"versions {states(server)}")
    assert outcome.errors == {}
    assert len(outcome.latencies) > 100
    assert "Cannot parse" in states(server)["2"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
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


def test_a_push_to_a_full_disk_harms_no_request_and_ends_well_once_there_is_room(
    exported: Path, disk: Path, eventually: Eventually
) -> None:
    base, ballast = disk / "toy", disk / "ballast"
    first = push_model(str(exported / "1"), str(base))
    size = sum(path.stat().st_size for path in first.rglob("*"))
    pushed: list[Path] = []

    def step(number: int) -> None:
        """The disk is full, twice; then it is not."""
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
        return "" if total == (11 if version == int(first.name) else 12) else f"version {version} said {total}"

    with running("--file_system_poll_wait_seconds=0.1", base_path=base) as server:
        with changing(step):
            outcome = grpc_load.run_closed_loop(server.target, REQUESTS, 32, SECONDS, check)
        assert outcome.errors == {}
        (second,) = pushed
        # The server looked ten times a second and has never seen another version, broken or not.
        eventually(lambda: states(server) == {first.name: "END ", second.name: "AVAILABLE "})


def test_after_a_kill_a_new_server_answers_on_the_same_folder_and_clients_come_back(base: Path) -> None:
    soon = [("grpc.max_reconnect_backoff_ms", 1000)]  # gRPC's own two minutes would be waited for
    with running(base_path=base) as first, grpc.insecure_channel(first.target, options=soon) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(request(), timeout=20).outputs["sum"].float_val[0] == 11
        first.process.kill()
        first.process.wait()
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request(), timeout=20)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        port = first.target.rpartition(":")[2]
        with running(f"--port={port}", base_path=base) as second:
            assert second.target == first.target
            assert stub.Predict(request(), timeout=20, wait_for_ready=True).outputs["sum"].float_val[0] == 11


def test_no_accepted_request_is_dropped_when_the_server_is_told_to_stop(base: Path, eventually: Eventually) -> None:
    with running(base_path=base) as server, grpc.insecure_channel(server.target) as channel:
        slow = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "slow"})
        slow.inputs["steps"].CopyFrom(tf.make_tensor_proto([300_000], tf.int64))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(request(), timeout=20)
        asked = [stub.Predict.future(slow, timeout=60) for _ in range(4)]
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
        assert [call.result().outputs["last"].int64_val[0] for call in asked] == [300_000] * 4
        posting.join()
        assert answers[0].json() == {"predictions": [300_000]}
        assert server.process.wait(60) == 0


def test_clients_that_vanish_leave_nothing_behind(server: Running, eventually: Eventually) -> None:
    process, (host, port) = psutil.Process(server.process.pid), server.target.rsplit(":", 1)
    rest_port = int(server.rest.rpartition(":")[2])
    ask(server.target)
    before = process.num_fds()
    for _ in range(100):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04")
        with socket.create_connection((host, rest_port)) as connection:
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
    eventually(lambda: process.num_fds() <= before + 5)
    assert ask(server.target) == 1


def test_clients_that_dawdle_keep_nobody_waiting(server: Running) -> None:
    rest_port = int(server.rest.rpartition(":")[2])
    with contextlib.ExitStack() as open_:
        for _ in range(100):
            connection = open_.enter_context(socket.create_connection(("127.0.0.1", rest_port)))
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        response = httpx.post(
            f"{server.rest}/v1/models/toy:predict", json={"inputs": {"x": [1], "y": [10]}}, trust_env=False, timeout=20
        )
        assert response.json() == {"outputs": {"sum": [11.0], "difference": [-9.0]}}
        assert ask(server.target) == 1
