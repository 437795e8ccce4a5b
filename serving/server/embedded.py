"""The embedded model server as a handle: gRPC and REST over watched models.

As with the stock server the ports open only once every model has a version in service.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable

from serving.api.grpc_service import GrpcServer
from serving.api.options import Options
from serving.api.rest.app import application
from serving.lifecycle.models import Models
from serving.request.status import StatusError
from serving.server.http_server import HttpServer, address, bind
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

GRACE_SECONDS = 30.0
DEFAULTS = Options()


class Stopped(ServingError):
    """The start was stopped before the models were in service."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server; use `stop`, or `with`."""

    port: int
    rest_api_port: int | None
    models: Models
    _grpc: GrpcServer
    _http: HttpServer | None

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Refuse new requests, finish those in flight, unload the models.

        Requests that still run after `grace_seconds` are canceled.
        """
        stopping = threading.Thread(target=self._grpc.stop, args=(grace_seconds,))
        stopping.start()
        if self._http:
            self._http.stop(grace_seconds)
        stopping.join()
        self.models.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    config: ModelServerConfig,
    options: Options = DEFAULTS,
    *,
    timeout_seconds: float | None = 60.0,
    stopping: threading.Event | None = None,
) -> Server:
    """Start a server and wait until a version of every model is in service.

    `timeout_seconds` limits the wait (None: no limit); `stopping`, once set, ends it. Raises
    Stopped then, and ServingError when a version is late or can't be loaded, the configuration is
    wrong, or a port is taken.
    """
    models, host = Models(options.lifecycle), options.host
    with contextlib.ExitStack() as undo:
        reserved = undo.enter_context(bind(host, options.port))  # fails for a taken port before the models are loaded
        http = None if options.rest_api_port is None else HttpServer(host, options.rest_api_port)
        if http:
            undo.callback(http.close)
        undo.callback(models.stop)
        try:
            models.configure(config, _abort_check(config, models, timeout_seconds, stopping or threading.Event()))
        except StatusError as error:
            raise ServingError(f"Failed to start server. Error: {error}") from error
        port = reserved.getsockname()[1]
        reserved.close()
        server = GrpcServer(models, address(host, port), options)
        if http:
            http.start(application(models, options))
        server.start()
        undo.pop_all()
    return Server(port, http.port if http else None, models, server, http)


def _abort_check(
    config: ModelServerConfig, models: Models, timeout_seconds: float | None, stopping: threading.Event
) -> Callable[[], None]:
    """A function that raises when the wait for the models must end."""
    end = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds

    def check() -> None:
        if stopping.is_set():
            raise Stopped("the start was stopped before every model had a version in service")
        if time.monotonic() < end:
            return
        for model in config.model_config_list.config:
            statuses = models.statuses(model.name)
            if not any(status.state == "AVAILABLE" for status in statuses):
                failed = [
                    f": version {status.number} failed with {status.error}" for status in statuses if status.error
                ]
                raise ServingError(
                    f"model_base_path is {model.base_path} but no version of {model.name} came into service from it "
                    f"within {timeout_seconds:g} seconds{''.join(failed)}; "
                    "push a model into a folder named by a number there"
                )

    return check
