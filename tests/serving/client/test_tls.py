"""TLS and mutual TLS of the client, against a gRPC server and an HTTPS proxy of its REST API."""

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
    """PEM files: two authorities, and certificates and keys of the server and two clients."""
    root = tmp_path_factory.mktemp("tls")
    ours, others = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(root / "ca.pem")
    others.cert_pem.write_to_path(root / "other-ca.pem")
    for name, issued in (
        ("server", ours.issue_cert("127.0.0.1")),
        ("client", ours.issue_cert("shop@example.org")),
        ("foreign", others.issue_cert("thief@example.org")),
    ):
        issued.private_key_pem.write_to_path(root / f"{name}.key")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(root / f"{name}.pem", append=True)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture(scope="module", params=["gRPC", "REST"])
def target(request: pytest.FixtureRequest, exported: Path, files: Files) -> Iterator[str]:
    """A server that requires a client certificate of its own authority."""
    pair = [(files["server.key"].read_bytes(), files["server.pem"].read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, files["ca.pem"].read_bytes(), require_client_auth=True)
    with start(single("toy", exported), Options(credentials=credentials)) as server:
        if request.param == "gRPC":
            yield f"127.0.0.1:{server.port}"
        else:
            yield from https(server, files)


def https(server: Server, files: Files) -> Iterator[str]:
    """Run an HTTPS proxy, because TensorFlow Serving's REST API has no TLS."""
    backend = httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = backend.get(self.path)
            self.send_response(response.status_code)
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, *_: object) -> None:
            pass

    class Front(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Ignore clients that break off; some tests provoke that."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server.pem"], files["server.key"])
    context.load_verify_locations(files["ca.pem"])
    context.verify_mode = ssl.CERT_REQUIRED
    frontend = Front(("127.0.0.1", 0), Proxy)
    frontend.socket = context.wrap_socket(frontend.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=frontend.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{frontend.server_port}"
    frontend.shutdown()
    thread.join()
    frontend.server_close()
    backend.close()


def test_a_client_with_a_valid_certificate_is_accepted(target: str, files: Files) -> None:
    tls = Tls(files["ca.pem"], files["client.pem"], files["client.key"])

    async def call() -> int:
        async with AsyncClient(target, "toy", 20, tls=tls) as client:
            return await client.version()

    with Client(target, "toy", 20, tls=tls) as client:
        assert client.version() == 3
    assert asyncio.run(call()) == 3


def test_a_server_of_an_untrusted_authority_is_refused(target: str, files: Files) -> None:
    text = r"no TLS connection to it can be made \(.*(?i:certificate).*\); check that it speaks TLS and that the cert"
    for ca in (files["other-ca.pem"], None):
        tls = Tls(ca, files["client.pem"], files["client.key"])
        with Client(target, "toy", 20, tls=tls) as client, pytest.raises(ServingError, match=text):
            client.version()


@pytest.mark.parametrize("name", ["", "foreign"])
def test_a_client_without_a_certificate_of_the_servers_authority_is_refused(
    target: str, files: Files, name: str
) -> None:
    pair = (files[f"{name}.pem"], files[f"{name}.key"]) if name else ()
    text = r"target is .* but no (TLS connection to it|model server answers)"
    tls = Tls(files["ca.pem"], *pair)
    with Client(target, "toy", 20, tls=tls) as client, pytest.raises(ServingError, match=text):
        client.version()


def test_a_client_without_tls_gets_an_error_that_mentions_tls(target: str) -> None:
    plain = target.replace("https://", "http://")
    with Client(plain, "toy", 20) as client, pytest.raises(ServingError, match="or pass tls if the server requires it"):
        client.version()


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        ({"cert": "client.pem"}, r"cert is .*client.pem but key is missing; give both or neither"),
        ({"key": "client.key"}, r"key is .*client.key but cert is missing; give both or neither"),
        ({"ca": "nosuch.pem"}, r"ca is .*nosuch.pem, cert None, key None but they can't be used \(.*No such file"),
        ({"ca": "client.key"}, r"ca is .*client.key.* can't be used .*; give readable PEM files"),
        ({"cert": "client.pem", "key": "server.key"}, r"can't be used \(.*(?i:mismatch).*and the key of that"),
        ({"cert": "client.pem", "key": "locked.key"}, r"key is .*locked.key but it is encrypted; decrypt it"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "https://"])
def test_unusable_files_are_refused_at_construction(
    files: Files, paths: dict[str, str], text: str, scheme: str
) -> None:
    write_locked_key(files)
    folder = files["ca.pem"].parent
    with pytest.raises(ServingError, match=text):
        Client(f"{scheme}127.0.0.1:1", tls=Tls(**{name: folder / file for name, file in paths.items()}))


def write_locked_key(files: Files) -> None:
    """Write the client's key once more, encrypted with a password."""
    key = serialization.load_pem_private_key(files["client.key"].read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (files["client.key"].parent / "locked.key").write_bytes(text)


def test_tls_needs_an_https_target() -> None:
    with pytest.raises(ServingError, match=r"tls is given but target is http://127\.0\.0\.1:1; write https:"):
        Client("http://127.0.0.1:1", tls=Tls())
