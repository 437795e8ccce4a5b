"""How the client calls: which version, under which id, how often, how long, and over how many connections.

Between it and a real server stands a gateway that writes down what comes, and is slow or fails as it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf import text_format

from serving.client import AsyncClient, CallError, Client, Event
from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

ONE = {"x": np.array([1.0], np.float32), "y": np.array([10.0], np.float32)}
PROTOCOLS = pytest.mark.parametrize("protocol", ["gRPC", "REST"])


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Versions 1 and 2, the first labelled stable."""
    base = tmp_path_factory.mktemp("served")
    for number in ("1", "2"):
        shutil.copytree(exported / number, base / number)
    text = f"""model_config_list {{ config {{
        name: "toy" base_path: "{base}" model_platform: "tensorflow"
        model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
        version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "the new/one" value: 2 }}
    }} }}"""
    config = text_format.Parse(text, ModelServerConfig())
    bare = ModelServerConfig()
    bare.CopyFrom(config)
    bare.model_config_list.config[0].version_labels.clear()
    with start(bare) as running, Client(f"127.0.0.1:{running.port}", "toy", 20) as client:
        while [one.state for one in client.status()] != ["AVAILABLE", "AVAILABLE"]:
            time.sleep(0.05)
        client.reload(config)
        yield running


class Gateway:
    """What came through: (method or path, request id), and the connections that it came by."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.peers: set[str] = set()
        self.failures = 0
        self.seconds = 0.0
        """How long a prediction is held up."""
        self.target = ""

    def fails(self, what: str, request_id: str, peer: str) -> bool:
        self.seen.append((what, request_id))
        self.peers.add(peer)
        time.sleep(self.seconds if "redict" in what else 0)
        self.failures -= 1
        return self.failures >= 0


@contextlib.contextmanager
def grpc_gateway(server: Server) -> Iterator[Gateway]:
    gateway = Gateway()
    behind = grpc.insecure_channel(f"127.0.0.1:{server.port}")

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def call(request: bytes, context: grpc.ServicerContext) -> bytes:
                request_id = dict(details.invocation_metadata).get("x-request-id", "")
                if gateway.fails(details.method.rpartition("/")[2], request_id, context.peer()):
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
                try:
                    return behind.unary_unary(details.method)(request, timeout=20)
                except grpc.RpcError as error:
                    context.abort(error.code(), error.details())

            return grpc.unary_unary_rpc_method_handler(call)

    front = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()])
    gateway.target = f"127.0.0.1:{front.add_insecure_port('127.0.0.1:0')}"
    front.start()
    try:
        yield gateway
    finally:
        front.stop(0).wait()
        behind.close()


@contextlib.contextmanager
def rest_gateway(server: Server) -> Iterator[Gateway]:
    gateway = Gateway()
    behind = httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, reply = 503, b'{"error": "the queue is full"}'
            if not gateway.fails(self.path, self.headers.get("x-request-id", ""), str(self.client_address)):
                response = behind.request(self.command, self.path, content=body)
                status, reply = response.status_code, response.content
            self.send_response(status)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with behind, serving_http(Handler) as gateway.target:
        yield gateway


@contextlib.contextmanager
def serving_http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server of `handler`."""
    front = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=front.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{front.server_port}"
    finally:
        front.shutdown()
        thread.join()
        front.server_close()


@pytest.fixture
def gateway(protocol: str, server: Server) -> Iterator[Gateway]:
    with grpc_gateway(server) if protocol == "gRPC" else rest_gateway(server) as open_one:
        yield open_one


def sum_of(client: Client) -> float:
    """10 more than the number of the version that answers."""
    return float(client.predict("serving_default", ONE)["sum"][0])


@PROTOCOLS
def test_a_version_is_chosen_by_its_number_or_its_label_else_the_highest_answers(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client:
        assert sum_of(client) == 12
        assert sum_of(client.using(version=1)) == 11
        assert sum_of(client.using(label="stable")) == 11
        assert sum_of(client.using(label="stable").using(version=2)) == 12
        assert client.using(label="the new/one").version() == 2
        assert client.using(label="stable").embed_query([Event("a")])[0] == 1.0
    for choice in ({"version": 1}, {"label": "stable"}):
        with Client(gateway.target, "toy", 20, **choice) as client:
            assert (client.version(), sum_of(client)) == (1, 11)


@PROTOCOLS
def test_a_version_or_label_that_is_not_there_is_told(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client:
        with pytest.raises(CallError, match=r"Servable not found for request: Specific\(toy, 7\) \(NOT_FOUND\)"):
            client.using(version=7).recommend([], k=1)
        with pytest.raises(CallError, match=r"Unrecognized servable version label: nope \(INVALID_ARGUMENT\)"):
            client.using(label="nope").recommend([], k=1)


def test_a_version_and_a_label_at_once_are_told() -> None:
    with pytest.raises(ServingError, match="version is 3 and label is 'stable' but one of them chooses"):
        Client(version=3, label="stable")


@PROTOCOLS
def test_a_request_carries_its_id_to_the_server_and_back_in_an_error(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client:
        client.using(request_id="order-7").recommend([], k=1)
        assert [request_id for _, request_id in gateway.seen] == ["order-7", "order-7"]  # the metadata, then the answer
        gateway.seen.clear()
        client.status()
        client.status()
        (_, first), (_, second) = gateway.seen
        assert len(first) == len(second) == 32
        assert first != second
        with pytest.raises(CallError) as caught:
            client.using(version=7, request_id="order-8").version()
        assert caught.value.request_id == "order-8"


@pytest.mark.parametrize("request_id", ["a\nb", "naïve"])
def test_a_request_id_that_no_header_can_carry_is_told(request_id: str) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(ServingError, match=r"request_id is .* take printable ASCII"):
        client.using(request_id=request_id)


@PROTOCOLS
def test_what_only_reads_is_asked_again_while_the_server_is_unavailable(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client:
        gateway.failures = 2
        assert client.version() == 2
        assert len(gateway.seen) == 3
        gateway.failures = 1
        assert sum_of(client) == 12


@PROTOCOLS
def test_a_server_that_stays_unavailable_is_asked_four_times_and_told(gateway: Gateway) -> None:
    gateway.failures = 100
    text = r"the server at .* can't answer its status now: the queue is full \(UNAVAILABLE\); try again in a while"
    with Client(gateway.target, "toy", 20) as client, pytest.raises(CallError, match=text):
        client.status()
    assert len(gateway.seen) == 4


@PROTOCOLS
def test_a_refusal_is_not_asked_again(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client, pytest.raises(CallError):
        client.using(version=7).version()
    assert len(gateway.seen) == 1


@PROTOCOLS
def test_no_retry_outlives_the_time_of_the_question(gateway: Gateway) -> None:
    gateway.failures = 100
    start_time = time.monotonic()
    with Client(gateway.target, "toy", 0.15) as client, pytest.raises(CallError, match=r"now: |within timeout_seconds"):
        client.status()
    assert time.monotonic() - start_time < 3


@pytest.mark.parametrize("protocol", ["gRPC"])
def test_a_new_configuration_is_never_sent_twice(gateway: Gateway) -> None:
    gateway.failures = 1
    with Client(gateway.target, "toy", 20) as client, pytest.raises(CallError, match="can't answer a new configur"):
        client.reload(single("toy", "/nowhere"))
    assert gateway.seen[0][0] == "HandleReloadConfigRequest"
    assert len(gateway.seen) == 1


def test_rest_says_that_it_takes_no_configuration(server: Server) -> None:
    with (
        Client(f"http://127.0.0.1:{server.rest_api_port}", "toy") as client,
        pytest.raises(ServingError, match="REST can't change a server's configuration; give its gRPC address"),
    ):
        client.reload(single("toy", "/nowhere"))


@PROTOCOLS
def test_one_connection_serves_all_questions_of_a_client(gateway: Gateway) -> None:
    with Client(gateway.target, "toy", 20) as client:
        for _ in range(5):
            client.using(label="stable").recommend([], k=1)
        assert len(gateway.seen) == 6  # what the signatures are is asked once
    assert len(gateway.peers) == 1


@PROTOCOLS
def test_threads_may_share_a_client(gateway: Gateway) -> None:
    histories = [[Event("a")] * n for n in range(40)]
    with Client(gateway.target, "toy", 20) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.embed_query, histories))
    assert [answer[0] for answer in answers] == list(range(40))


@PROTOCOLS
def test_the_tasks_of_a_loop_ask_side_by_side(gateway: Gateway) -> None:
    async def ask() -> list[np.ndarray]:
        async with AsyncClient(gateway.target, "toy", 20) as client:
            await client.embed_query([])
            answers = await asyncio.gather(*(client.embed_query([Event("a")] * n) for n in range(20)))
            gateway.seconds = 0.5
            held_up = asyncio.create_task(client.embed_query([]))
            assert await client.version() == 2
            assert not held_up.done()
            await held_up
            return answers

    assert [answer[0] for answer in asyncio.run(ask())] == list(range(20))


@PROTOCOLS
def test_a_question_has_one_deadline_for_all_its_requests(gateway: Gateway) -> None:
    # Each attempt takes 0.4 s; two of them are one too many.
    gateway.seconds, gateway.failures = 0.4, 1
    with Client(gateway.target, "toy", 20) as client:
        client.embed_query([])
        gateway.failures = 1
        with pytest.raises(CallError, match=r"did not answer embed_query within timeout_seconds=0.7; raise"):
            client.using(timeout_seconds=0.7).embed_query([])
        assert sum_of(client) == 12


@PROTOCOLS
def test_a_question_without_any_time_left_is_not_asked(gateway: Gateway) -> None:
    text = r"did not answer its status within timeout_seconds=0; raise"
    with Client(gateway.target, "toy", 0.0) as client, pytest.raises(CallError, match=text):
        client.status()
    assert gateway.seen == []


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_a_server_that_answers_drop_by_drop_is_given_up_in_time(in_a_loop: bool) -> None:
    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    async def ask(target: str) -> None:
        async with AsyncClient(target, timeout_seconds=0.4) as client:
            await client.status()

    with serving_http(Dripping) as target:
        before = time.monotonic()
        with pytest.raises(CallError, match=r"did not answer its status within timeout_seconds=0\.4"):
            asyncio.run(ask(target)) if in_a_loop else Client(target, timeout_seconds=0.4).status()
        assert time.monotonic() - before < 3


@pytest.mark.parametrize(
    ("status", "encoding", "body", "text"),
    [
        (
            200,
            "",
            b"<html>welcome</html>",
            "answers its status unlike TensorFlow Serving .*; give the address of its REST API",
        ),
        (200, "", b"[]", "unlike TensorFlow Serving .'no JSON object'"),
        (200, "", b'{"model_version_status": 7}', "unlike TensorFlow Serving"),
        (200, "gzip", b"not packed", "unlike TensorFlow Serving .DecodingError"),
        (404, "", b"<html>\n no such page </html>", "HTTP 404: <html> no such page </html> .NOT_FOUND."),
        (302, "", b"", "refused its status of 'tfrec': HTTP 302"),
    ],
)
def test_a_server_that_is_another_is_told(status: int, encoding: str, body: bytes, text: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-encoding", encoding)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with (
        serving_http(Other) as target,
        Client(target, timeout_seconds=20) as client,
        pytest.raises(ServingError, match=text),
    ):
        client.status()


def test_a_target_that_is_no_address_is_told() -> None:
    with (
        Client("http://[::1", timeout_seconds=2) as client,
        pytest.raises(ServingError, match=r"it is no address .*; write http://host:port"),
    ):
        client.status()


def test_ids_and_names_keep_their_characters_over_rest(exported: Path) -> None:
    with (
        start(single("a/b c", exported)) as running,
        Client(f"http://127.0.0.1:{running.rest_api_port}/", "a/b c", 20) as client,
    ):
        assert client.status()[0].version == 3
        assert client.search("茶", k=1)[0].title == "茶"
