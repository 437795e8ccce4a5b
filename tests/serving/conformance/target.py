"""Addresses of the server that the suite runs against."""

from __future__ import annotations

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Target:
    """Addresses of a server: `grpc` is host:port, `rest` a URL without a slash at the end."""

    grpc: str
    rest: str


def named() -> Target | None:
    """The server of TFREC_SERVING_TARGET and TFREC_SERVING_REST_TARGET, None when unset."""
    grpc = os.environ.get("TFREC_SERVING_TARGET")
    if not grpc:
        return None
    rest = os.environ.get("TFREC_SERVING_REST_TARGET") or f"{grpc.rpartition(':')[0]}:8501"
    return Target(grpc, f"http://{rest}")
