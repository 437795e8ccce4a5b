"""Options of a server except the models that it serves."""

from __future__ import annotations

import dataclasses

import grpc

from serving.lifecycle.options import DEFAULT_LIFECYCLE, LifecycleOptions


@dataclasses.dataclass(frozen=True)
class Options:
    """Options with the defaults of a server in a test; the flags have their own."""

    host: str = "127.0.0.1"
    port: int = 0
    """Port of gRPC; 0 takes any free one."""
    rest_api_port: int | None = 0
    """Port of REST; 0 takes any free one, None opens none."""
    rest_api_timeout_seconds: float = 30.0
    metrics_path: str | None = None
    """Path of the metrics page on the REST port; None has no page."""
    rest_api_cors: bool = False
    """True lets scripts of any web page call REST."""
    credentials: grpc.ServerCredentials | None = None
    """TLS of gRPC; REST has none, as in the stock server."""
    grpc_threads: int = 0
    """Number of concurrent gRPC requests; 0 means four times the cores, as in the stock server."""
    grpc_arguments: tuple[tuple[str, int | str], ...] = ()
    """Channel arguments of gRPC, such as ("grpc.max_connection_age_ms", 20_000)."""
    has_health: bool = False
    """True serves grpc.health.v1."""
    lifecycle: LifecycleOptions = DEFAULT_LIFECYCLE
