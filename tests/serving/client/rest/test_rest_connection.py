"""The REST connection: HTTP codes, paths, time limits, and foreign servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from serving.client import AsyncClient, CallError, Client
from serving.client.rest.rest_connection import CODES
from serving.lifecycle.model_config import single
from serving.request.status import HTTP_STATUS
from serving.server.embedded import start
from tests.serving.client.proxies import QuietHandler, http_server
from tfrec.errors import ServingError


def test_an_http_status_becomes_a_code_that_the_server_maps_to_it() -> None:
    served = {(status, code) for code, status in HTTP_STATUS.items()}
    assert {(status, code) for status, code in CODES.items() if status != 502} <= served
    assert CODES.keys() - {502} == set(HTTP_STATUS.values()) - {200}


def test_ids_and_names_keep_their_characters(exported: Path) -> None:
    with (
        start(single("a/b c", exported)) as server,
        Client(f"http://127.0.0.1:{server.rest_api_port}/", "a/b c", 20) as client,
    ):
        assert client.status()[0].version == 3
        assert client.search("茶", k=1)[0].title == "茶"


def test_rest_can_not_change_a_configuration() -> None:
    with (
        Client("http://127.0.0.1:1", "toy") as client,
        pytest.raises(ServingError, match="REST can't change a server's configuration; give its gRPC address"),
    ):
        client.reload(single("toy", "/nowhere"))


def test_a_target_must_be_an_address() -> None:
    with (
        Client("http://[::1", timeout_seconds=2) as client,
        pytest.raises(ServingError, match=r"that is not an address .*; write http://host:port"),
    ):
        client.status()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_response_that_trickles_in_ends_at_the_deadline(is_async: bool) -> None:
    class Trickle(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(100):  # 5 s
                    self.wfile.write(b" ")
                    time.sleep(0.05)

    async def call(target: str) -> None:
        async with AsyncClient(target, timeout_seconds=0.4) as client:
            await client.status()

    with (
        http_server(Trickle) as target,
        pytest.raises(CallError, match=r"did not answer its status within timeout_seconds=0\.4"),
    ):
        asyncio.run(call(target)) if is_async else Client(target, timeout_seconds=0.4).status()


@pytest.mark.parametrize(
    ("status", "encoding", "body", "text"),
    [
        (200, "", b"<html>welcome</html>", "its status is not one of TensorFlow Serving .*; give the address of its"),
        (200, "", b"[]", "not one of TensorFlow Serving .'not a JSON object'"),
        (200, "", b'{"model_version_status": 7}', "not one of TensorFlow Serving"),
        (200, "gzip", b"not packed", "not one of TensorFlow Serving .DecodingError"),
        (404, "", b"<html>\n no such page </html>", "HTTP 404: <html> no such page </html> .NOT_FOUND."),
        (302, "", b"", "refused its status of 'tfrec': HTTP 302"),
    ],
)
def test_a_foreign_server_is_recognized(status: int, encoding: str, body: bytes, text: str) -> None:
    class Foreign(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-encoding", encoding)
            self.end_headers()
            self.wfile.write(body)

    with (
        http_server(Foreign) as target,
        Client(target, timeout_seconds=20) as client,
        pytest.raises(ServingError, match=text),
    ):
        client.status()
