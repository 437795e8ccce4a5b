"""TLS and mutual TLS of the client, against a gRPC server of the toy model and an HTTPS proxy of its REST API."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from serving.api.options import Options
from serving.client import AsyncClient, Client, Tls
from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from tfrec.errors import ServingError

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """PEM files: two authorities, and of the first of them a server's and a client's certificate and key."""
    root = tmp_path_factory.mktemp("tls")
    ours, others = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(root / "ca.pem")
    others.cert_pem.write_to_path(root / "other-ca.pem")
    for name, issued in (
        ("server", ours.issue_cert("127.0.0.1")),
        ("client", ours.issue_cert("shop@example.org")),
        ("stranger", others.issue_cert("thief@example.org")),
    ):
        issued.private_key_pem.write_to_path(root / f"{name}.key")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(root / f"{name}.pem", append=True)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture(scope="module", params=["gRPC", "REST"])
def target(request: pytest.FixtureRequest, exported: Path, files: Files) -> Iterator[str]:
    """A server that asks each client for a certificate of its own authority."""
    pair = [(files["server.key"].read_bytes(), files["server.pem"].read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, files["ca.pem"].read_bytes(), require_client_auth=True)
    with start(single("toy", exported), Options(credentials=credentials)) as server:
        if request.param == "gRPC":
            yield f"127.0.0.1:{server.port}"
        else:
            yield from https(server, files)


def https(server: Server, files: Files) -> Iterator[str]:
    """TensorFlow Serving's REST has no TLS, so a proxy stands in front of it."""
    behind = httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = behind.get(self.path)
            self.send_response(response.status_code)
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, *_: object) -> None:
            pass

    class Front(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that breaks off is what some of these tests are about."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server.pem"], files["server.key"])
    context.load_verify_locations(files["ca.pem"])
    context.verify_mode = ssl.CERT_REQUIRED
    front = Front(("127.0.0.1", 0), Proxy)
    front.socket = context.wrap_socket(front.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=front.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{front.server_port}"
    front.shutdown()
    thread.join()
    front.server_close()
    behind.close()


def test_who_has_the_right_certificates_is_answered(target: str, files: Files) -> None:
    tls = Tls(files["ca.pem"], files["client.pem"], files["client.key"])

    async def ask() -> int:
        async with AsyncClient(target, "toy", 20, tls=tls) as client:
            return await client.version()

    with Client(target, "toy", 20, tls=tls) as client:
        assert client.version() == 3
    assert asyncio.run(ask()) == 3


def test_a_server_of_an_authority_that_is_not_trusted_is_told(target: str, files: Files) -> None:
    text = r"no TLS connection to it can be made \(.*(?i:certificate).*\); check that it speaks TLS, and that the cert"
    for ca in (files["other-ca.pem"], None):
        tls = Tls(ca, files["client.pem"], files["client.key"])
        with Client(target, "toy", 20, tls=tls) as client, pytest.raises(ServingError, match=text):
            client.version()


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_a_client_without_a_certificate_of_the_servers_authority_gets_nothing(
    target: str, files: Files, who: str
) -> None:
    pair = () if who == "nobody" else (files[f"{who}.pem"], files[f"{who}.key"])
    text = r"target is .* but no (TLS connection to it|model server answers)"
    tls = Tls(files["ca.pem"], *pair)
    with Client(target, "toy", 20, tls=tls) as client, pytest.raises(ServingError, match=text):
        client.version()


def test_a_client_without_tls_gets_nothing_and_is_told_of_tls(target: str) -> None:
    plain = target.replace("https://", "http://")
    with Client(plain, "toy", 20) as client, pytest.raises(ServingError, match="and tls where it wants it"):
        client.version()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"cert": "client.pem"}, r"cert is .*client.pem but key is missing; give both or neither"),
        ({"key": "client.key"}, r"key is .*client.key but cert is missing; give both or neither"),
        ({"ca": "nosuch.pem"}, r"ca is .*nosuch.pem, cert None, key None but they can't be used \(.*No such file"),
        ({"ca": "client.key"}, r"ca is .*client.key.* can't be used .*; give readable PEM files"),
        ({"cert": "client.pem", "key": "server.key"}, r"can't be used \(.*(?i:mismatch).*the key being that of"),
        ({"cert": "client.pem", "key": "locked.key"}, r"key is .*locked.key but it is encrypted; decrypt it"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "https://"])
def test_files_that_can_not_be_used_are_told_at_once(
    files: Files, given: dict[str, str], text: str, scheme: str
) -> None:
    locked(files)
    folder = files["ca.pem"].parent
    with pytest.raises(ServingError, match=text):
        Client(f"{scheme}127.0.0.1:1", tls=Tls(**{name: folder / file for name, file in given.items()}))


def locked(files: Files) -> None:
    """Writes the client's key once more, under a password."""
    key = serialization.load_pem_private_key(files["client.key"].read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"secret")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    (files["client.key"].parent / "locked.key").write_bytes(text)


def test_tls_over_plain_http_is_told() -> None:
    with pytest.raises(ServingError, match=r"tls is given but target is http://127\.0\.0\.1:1; write https:"):
        Client("http://127.0.0.1:1", tls=Tls())
