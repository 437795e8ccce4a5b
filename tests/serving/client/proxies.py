"""Proxies in front of a server of the toy model, which record requests and inject faults."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx

from serving.server.embedded import Server

MAX_HOLD_SECONDS = 20


class Proxy:
    """Recorded requests, and the faults to inject."""

    def __init__(self) -> None:
        self.target = ""
        self.requests: list[tuple[str, str]] = []
        """(method or path, request id) of each request."""
        self.peers: set[str] = set()
        """The connections that the requests came by."""
        self.failures = 0
        """How many of the next requests fail as UNAVAILABLE."""
        self.delay_seconds = 0.0
        """How long each request is held back."""
        self.predictions_may_pass = threading.Event()
        """While it is cleared, predictions are held back."""
        self.predictions_may_pass.set()

    def must_fail(self, name: str, request_id: str, peer: str) -> bool:
        """Record a request; True if it fails."""
        self.requests.append((name, request_id))
        self.peers.add(peer)
        time.sleep(self.delay_seconds)
        if "redict" in name:
            self.predictions_may_pass.wait(MAX_HOLD_SECONDS)
        self.failures -= 1
        return self.failures >= 0


@contextlib.contextmanager
def grpc_proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy()
    backend = grpc.insecure_channel(f"127.0.0.1:{server.port}")

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def call(request: bytes, context: grpc.ServicerContext) -> bytes:
                request_id = dict(details.invocation_metadata).get("x-request-id", "")
                if proxy.must_fail(details.method.rpartition("/")[2], request_id, context.peer()):
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
                try:
                    return backend.unary_unary(details.method)(request, timeout=20)
                except grpc.RpcError as error:
                    context.abort(error.code(), error.details())

            return grpc.unary_unary_rpc_method_handler(call)

    frontend = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()])
    proxy.target = f"127.0.0.1:{frontend.add_insecure_port('127.0.0.1:0')}"
    frontend.start()
    try:
        yield proxy
    finally:
        frontend.stop(0).wait()
        backend.close()


@contextlib.contextmanager
def rest_proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy()
    backend = httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, reply = 503, b'{"error": "the queue is full"}'
            if not proxy.must_fail(self.path, self.headers.get("x-request-id", ""), str(self.client_address)):
                response = backend.request(self.command, self.path, content=body)
                status, reply = response.status_code, response.content
            self.send_response(status)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client gave up
                self.wfile.write(reply)

    with backend, http_server(Handler) as proxy.target:
        yield proxy


class QuietHandler(BaseHTTPRequestHandler):
    """A request handler that logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server that answers with `handler`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
