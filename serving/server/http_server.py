"""ASGI application on uvicorn in a thread of this process, on a socket that is bound beforehand."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from tfrec.errors import ServingError

START_SECONDS = 10.0


def address(host: str, port: int) -> str:
    """host:port as clients write it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to `host` and `port` (0: any free one) that does not accept connections yet.

    Raises ServingError when the address is taken or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; else replies wait 40 ms for an ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ServingError(
            f"port is {port} but {address(host, port)} can't be listened on ({error.strerror}); "
            "stop what listens there or choose another port"
        ) from error
    return bound


class HttpServer:
    """One uvicorn server; `start` opens the port."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]

    def start(self, application: ASGIApp) -> None:
        """Serve `application`; returns once connections are accepted."""
        # No log configuration: uvicorn logs through the process's own.
        config = uvicorn.Config(application, log_config=None, log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="rest", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise ServingError(f"the REST server on port {self.port} did not start; see the log above")
            time.sleep(0.01)

    def stop(self, grace_seconds: float) -> None:
        """Accept no more connections; finish requests in flight within `grace_seconds`."""
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_seconds))
        self._server.should_exit = True
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Release the port; for a server that was not started."""
        self._socket.close()
