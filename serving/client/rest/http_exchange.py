"""One HTTP request and its response within a time limit, blocking or in an event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Mapping
from typing import Protocol

import httpx


@dataclasses.dataclass(frozen=True)
class HttpRequest:
    """An HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclasses.dataclass(frozen=True)
class HttpResponse:
    """Status and body of an HTTP response."""

    status: int
    body: bytes


class Exchange(Protocol):
    """Sender of HTTP requests; it keeps its connections for the next request."""

    async def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        """Send a request.

        Raises TimeoutError after `timeout_seconds`, httpx.TransportError without a response.
        """

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class BlockingExchange:
    """A blocking Exchange, which threads may share; its coroutines never suspend."""

    def __init__(self, context: ssl.SSLContext, *, may_use_proxy: bool) -> None:
        self._client = httpx.Client(verify=context, trust_env=may_use_proxy)

    async def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        end = time.monotonic() + timeout_seconds
        pieces = []
        try:
            with self._client.stream(
                request.method, request.url, headers=request.headers, content=request.body, timeout=timeout_seconds
            ) as response:
                # httpx limits the wait for each piece, not for all of them.
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if time.monotonic() >= end:
                        raise TimeoutError
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        return HttpResponse(response.status_code, b"".join(pieces))

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self._client.close()


class AsyncExchange:
    """An Exchange bound to the event loop of its first use."""

    def __init__(self, context: ssl.SSLContext, *, may_use_proxy: bool) -> None:
        self._client = httpx.AsyncClient(verify=context, trust_env=may_use_proxy)

    async def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        async with asyncio.timeout(timeout_seconds):
            response = await self._client.request(
                request.method, request.url, headers=request.headers, content=request.body, timeout=None
            )
        return HttpResponse(response.status_code, response.content)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._client.aclose()
