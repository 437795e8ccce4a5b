"""An AsyncClient with blocking methods, so that a test runs with both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from serving.client import AsyncClient
from serving.server.embedded import Server


class LoopClient:
    """An AsyncClient whose methods block: each runs to its end in one event loop."""

    def __init__(self, target: str) -> None:
        async def make() -> AsyncClient:
            return AsyncClient(target, "toy", timeout_seconds=20)

        self._loop = asyncio.Runner()
        self._client = self._loop.run(make())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._loop.run(getattr(self._client, name)(*args, **kwargs))

    def __enter__(self) -> LoopClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.close()


def target(server: Server, protocol: str) -> str:
    return f"127.0.0.1:{server.port}" if protocol == "gRPC" else f"http://127.0.0.1:{server.rest_api_port}"
