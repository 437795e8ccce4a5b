"""The embedded model server as a handle: gRPC and REST over one watched model.

As with the stock server the ports open only once a version is in service.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from pathlib import Path

import grpc

from serving import grpc_service
from serving.http_server import HttpServer, bind
from serving.model import Model
from serving.rest import application
from serving.servable import DEFAULT_THREADS, Threads
from serving.watcher import Watcher
from tfrec.errors import ServingError

GRACE_SECONDS = 30.0
_SLICE_SECONDS = 0.2  # a signal is noticed within it


class Stopped(ServingError):
    """The server was told to stop before its model was in service."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server; use `stop`, or `with`."""

    port: int
    rest_api_port: int | None
    model: Model
    _watcher: Watcher
    _grpc: grpc.Server
    _http: HttpServer | None

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Takes no more requests, answers those in flight (for `grace_seconds` at most), unloads."""
        finished = self._grpc.stop(grace_seconds)
        if self._http:
            self._http.stop(grace_seconds)
        finished.wait()
        self._watcher.stop()
        self.model.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    model_name: str,
    model_base_path: str | Path,
    *,
    port: int = 0,
    rest_api_port: int | None = 0,
    host: str = "127.0.0.1",
    timeout_seconds: float | None = 60.0,
    poll_seconds: float = 1.0,
    threads: Threads = DEFAULT_THREADS,
    stopping: threading.Event | None = None,
) -> Server:
    """A server whose model is in service; port 0 takes any free one, `rest_api_port` None opens no REST.

    Waits for a first version, for ever where `timeout_seconds` is None. Raises ServingError when none
    came in time, the first one can't be loaded, a port is taken, or `stopping` was set meanwhile.
    """
    model = Model(model_name, threads)
    models = {model_name: model}
    watcher = Watcher(model, model_base_path, poll_seconds)
    with contextlib.ExitStack() as undo:
        reserved = undo.enter_context(bind(host, port))  # a taken port is told before the model is loaded
        http = None if rest_api_port is None else HttpServer(host, rest_api_port)
        if http:
            undo.callback(http.close)
        undo.callback(model.stop)
        undo.callback(watcher.stop)
        watcher.start()
        _wait(model, model_base_path, timeout_seconds, stopping or threading.Event())
        port = reserved.getsockname()[1]
        reserved.close()
        server = grpc_service.build(models, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        if http:
            http.start(application(models))
        server.start()
        undo.pop_all()
    return Server(port, http.port if http else None, model, watcher, server, http)


def _wait(model: Model, base_path: str | Path, timeout_seconds: float | None, stopping: threading.Event) -> None:
    deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    while not model.wait_until_decided(_SLICE_SECONDS):
        if stopping.is_set():
            raise Stopped(f"told to stop before a version of {model.name} was in service")
        if time.monotonic() >= deadline:
            raise ServingError(
                f"model_base_path is {base_path} but no version of {model.name} came into service from it "
                f"within {timeout_seconds:g} seconds{_reasons(model)}; "
                "push a model into a folder named by a number there"
            )
    if not model.is_available():
        raise ServingError(
            "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available"
            f"{_reasons(model)}; repair or delete that version under {base_path}"
        )


def _reasons(model: Model) -> str:
    failed = [status for status in model.statuses() if status.error]
    return "".join(f": version {status.number} failed with {status.error}" for status in failed)
