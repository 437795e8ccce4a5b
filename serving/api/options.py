"""How a server listens and answers, beside which models it serves."""

from __future__ import annotations

import dataclasses

import grpc

from serving.lifecycle.options import DEFAULT_LIFECYCLE, LifecycleOptions


@dataclasses.dataclass(frozen=True)
class Options:
    """The defaults are those of an embedded server in a test; serving/server/flags.py has the command line's."""

    host: str = "127.0.0.1"
    port: int = 0
    """Of gRPC; 0 takes any free one."""
    rest_api_port: int | None = 0
    """None opens no REST."""
    rest_api_timeout_seconds: float = 30.0
    metrics_path: str | None = None
    """Of the metrics, on REST's port."""
    rest_api_cors: bool = False
    """Whether the scripts of any web page may ask."""
    credentials: grpc.ServerCredentials | None = None
    """Of TLS for gRPC; REST has none, as in the stock server."""
    grpc_threads: int = 0
    """Requests worked on at once; 0: four times the cores, as the stock server."""
    grpc_arguments: tuple[tuple[str, int | str], ...] = ()
    """Of the gRPC channel, such as ("grpc.max_connection_age_ms", 20_000)."""
    has_health: bool = False
    """Whether to answer grpc.health.v1."""
    lifecycle: LifecycleOptions = DEFAULT_LIFECYCLE
