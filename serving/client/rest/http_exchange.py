"""One HTTP exchange in time, blocking or within an event loop: the two halves of rest_connection.py that differ."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Mapping
from typing import Protocol

import httpx


@dataclasses.dataclass(frozen=True)
class Sent:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclasses.dataclass(frozen=True)
class Received:
    status: int
    body: bytes


class Exchange(Protocol):
    """Keeps its connections for the next request."""

    async def send(self, sent: Sent, seconds: float) -> Received:
        """TimeoutError after `seconds`; httpx.TransportError where there is no answer."""

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class Blocking:
    """An Exchange that threads may share and that is there at once when awaited."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._client = httpx.Client(verify=True if context is None else context)

    async def send(self, sent: Sent, seconds: float) -> Received:
        end = time.monotonic() + seconds
        pieces = []
        try:
            with self._client.stream(
                sent.method, sent.url, headers=sent.headers, content=sent.body, timeout=seconds
            ) as response:
                # httpx bounds the wait for each piece, not for all of them.
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if time.monotonic() >= end:
                        raise TimeoutError
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        return Received(response.status_code, b"".join(pieces))

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self._client.close()


class Asynchronous:
    """An Exchange of the event loop that it is first used in."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._client = httpx.AsyncClient(verify=True if context is None else context)

    async def send(self, sent: Sent, seconds: float) -> Received:
        async with asyncio.timeout(seconds):
            response = await self._client.request(
                sent.method, sent.url, headers=sent.headers, content=sent.body, timeout=None
            )
        return Received(response.status_code, response.content)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._client.aclose()
