"""Both clients: metadata, any signature, errors, new versions, and what their import takes."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.api.options import Options
from serving.client import AsyncClient, CallError, Client, Recommendation, Tensor, VersionStatus
from serving.client.stub import RecommenderStub
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.server.embedded import Server, start
from tests.serving.client.loop_client import target
from tfrec.errors import ServingError


def ids(items: list[Recommendation]) -> list[tuple[str, float]]:
    return [(item.item_id, item.score) for item in items]


def test_signatures_have_names_types_and_shapes(client: Client) -> None:
    signatures = client.signatures()
    assert "__saved_model_init_op" not in signatures
    assert signatures["recommend"].inputs["event_item_id"] == Tensor("string", (-1, -1))
    assert signatures["recommend"].outputs["score"] == Tensor("float", (-1, 3))


def test_status_lists_versions(client: Client) -> None:
    assert client.status() == [VersionStatus(1, "AVAILABLE", "")]


def test_predict_calls_any_signature_and_filters_outputs(client: Client) -> None:
    # Version 1 is 1 x + y.
    inputs = {"x": np.array([1.5, float("nan")], np.float32), "y": np.array([2.0, 0.0], np.float32)}
    outputs = client.predict("serving_default", inputs, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"].dtype == np.float32
    np.testing.assert_array_equal(outputs["sum"], np.array([3.5, float("nan")], np.float32))


def test_values_of_every_type_come_back_unchanged(client: Client) -> None:
    inputs = {
        "flag": np.array([True, False]),
        "tiny": np.array([-128, 127], np.int8),
        "short": np.array([-(2**15), 2**15 - 1], np.int16),
        "small": np.array([-(2**31), 2**31 - 1], np.int32),
        "big": np.array([-(2**63), 2**63 - 1], np.int64),
        "byte": np.array([0, 255], np.uint8),
        "count": np.array([0, 2**32 - 1], np.uint32),
        "hash": np.array([0, 2**64 - 1], np.uint64),
        "exact": np.array([0.1, float("-inf")]),
    }
    outputs = client.predict("types", inputs)
    for name, sent in inputs.items():
        assert outputs[name].dtype == sent.dtype
        assert outputs[name].tolist() == sent.tolist()
    assert client.predict("total", {"x": np.array([1.0, 2.0], np.float32)})["total"].shape == ()
    words = np.array([b"tee", "茶".encode(), b"", b"a\0b"], object)
    outputs = client.predict("lookup", {"word": words})
    assert outputs["normal"].tolist() == outputs["normal_bytes"].tolist() == words.tolist()
    assert outputs["line"].tolist() == [1, 2, -1, -1]


def test_a_response_may_exceed_4_mb(by_grpc: Client) -> None:
    client = by_grpc
    many = np.arange(1_500_000, dtype=np.float32)  # 6 MB
    outputs = client.predict("serving_default", {"x": many, "y": many[:1]}, ["sum"])
    assert list(outputs) == ["sum"]
    assert outputs["sum"][-1] == 1_499_999.0


def test_a_server_error_names_signature_and_model(by_grpc: Client) -> None:
    with pytest.raises(CallError, match=r"refused nope of 'toy': Serving signature key \"nope\" not found") as caught:
        by_grpc.predict("nope", {})
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_an_error_of_the_graph_is_one_line(server: Server, protocol: str) -> None:
    inputs = {"x": np.zeros(2, np.float32), "y": np.zeros(3, np.float32)}
    text = r"refused serving_default of 'toy': [^\n\[]*\[2\] vs\. \[3\] \(INVALID_ARGUMENT\)$"
    with Client(target(server, protocol), "toy", 20) as client, pytest.raises(CallError, match=text):
        client.predict("serving_default", inputs)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_a_model_that_is_not_served_raises_an_error(server: Server, protocol: str) -> None:
    with Client(target(server, protocol), "other") as client:
        text = r"refused its metadata of 'other': Servable not found for request: Latest\(other\) \(NOT_FOUND\)"
        with pytest.raises(ServingError, match=text):
            client.recommend([])


@pytest.mark.parametrize("target", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_an_unreachable_server_raises_an_error_with_target_and_cure(target: str) -> None:
    with Client(target, timeout_seconds=2) as client:
        text = f"target is {target} but no model server answers there .*; start one with `tfrec serve`"
        for call in (lambda: client.recommend([]), client.status, lambda: client.predict("recommend", {})):
            with pytest.raises(ServingError, match=text):
                call()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_silent_server_raises_an_error_at_the_deadline(scheme: str) -> None:
    async def call(target: str) -> None:
        async with AsyncClient(target, timeout_seconds=0.3) as client:
            await client.status()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        text = r"did not answer its status within timeout_seconds=0\.3; raise timeout_seconds"
        with Client(target, timeout_seconds=0.3) as client, pytest.raises(CallError, match=text) as caught:
            client.status()
        assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(CallError, match=text):
            asyncio.run(call(target))


def test_a_client_created_before_its_server_connects_later(exported: Path) -> None:
    with start(single("toy", exported)) as running:
        port = running.port
    with Client(f"127.0.0.1:{port}", "toy", timeout_seconds=5) as client:
        with pytest.raises(ServingError, match="no model server answers"):
            client.status()
        with start(single("toy", exported), Options(port=port)):
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert client.status()[0].version == 3
                    break
                except ServingError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_a_new_version_gets_the_inputs_of_its_own_signature(
    base_path: Path,
    exported: Path,
    eventually: Callable[[Callable[[], bool]], None],
    rename_input: Callable[[Path, str, str], None],
    protocol: str,
) -> None:
    """Version 2 names the profile column user_town; the client uses that name in its next call."""
    with start(single("toy", base_path), Options(lifecycle=LifecycleOptions(poll_seconds=0.05))) as running:
        client = Client(target(running, protocol), "toy", timeout_seconds=20)
        assert ids(client.recommend([], profile={"city": "north"}, k=1)) == [("c", 0.5)]
        shutil.copytree(exported / "2", base_path / ".tmp-2")
        rename_input(base_path / ".tmp-2", "user_city", "user_town")
        (base_path / ".tmp-2").rename(base_path / "2")
        eventually(lambda: client.status()[-1] == VersionStatus(2, "AVAILABLE", ""))
        assert ids(client.recommend([], k=1)) == [("a", 0.0)]
        assert ids(client.recommend([], profile={"town": "north"}, k=1)) == [("c", 0.5)]
        client.close()


def test_both_clients_have_every_method_of_the_stub() -> None:
    coroutines = inspect.getmembers(RecommenderStub, inspect.iscoroutinefunction)
    methods = {name for name, _ in coroutines if name[0] != "_"} - {"predict_for_user"}
    assert len(methods) == 13
    for kind in (Client, AsyncClient):
        assert methods <= vars(kind).keys()
        assert kind.recommend.__doc__ == RecommenderStub.recommend.__doc__


def test_an_async_client_must_be_created_in_an_event_loop() -> None:
    with pytest.raises(ServingError, match="AsyncClient is created outside of an event loop; create it in a coroutine"):
        AsyncClient()


@pytest.mark.slow
def test_the_client_imports_no_tensorflow_and_leaves_it_importable() -> None:
    code = (
        "import sys, serving.client\n"
        "assert not {'tensorflow', 'pandas', 'pyarrow', 'httpx'} & set(sys.modules), 'heavy'\n"
        "import tensorflow as tf\n"
        "from serving.wire.protos import PredictRequest\n"
        "request = PredictRequest()\n"
        "request.inputs['x'].CopyFrom(tf.make_tensor_proto([1.5]))\n"
        "print(tf.make_ndarray(request.inputs['x']))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "[1.5]\n", done.stderr
    assert tf.__version__
