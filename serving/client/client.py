"""The client's two classes, for threads and for an event loop.

Their methods are those of serving.client.stub.Asker. A target is "host:port" for gRPC,
"http://host:port" for REST. Each method is one request, and the first also reads the model's
signatures; all of them only read, but `reload`, and so are sent again while the server is
UNAVAILABLE, within `timeout_seconds`. Threads may share a Client, the tasks of one event loop an
AsyncClient, and both keep their connection: make one a process, not one a request. Every method
raises tfrec.errors.ServingError with one sentence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from serving.client.canary import Canary
from serving.client.connection import Choice, Connection, finished
from serving.client.grpc_connection import GrpcConnection
from serving.client.stub import Asker
from serving.client.tls import Tls
from tfrec.errors import ServingError

P = ParamSpec("P")
T = TypeVar("T")


class _Client:
    """What both clients are made with, and how they are changed."""

    _is_async: bool

    def __init__(
        self,
        target: str = "127.0.0.1:8500",
        model: str = "tfrec",
        timeout_seconds: float = 5.0,
        *,
        version: int | None = None,
        label: str = "",
        canary: Canary | None = None,
        tls: Tls | None = None,
    ) -> None:
        """Connects at the first question, not here; `timeout_seconds` bounds each of them.

        `version` or `label` choose a version, `canary` chooses by the user; else the highest in service answers.
        """
        connection = _connection(target, tls, self._is_async)
        self._asker = Asker(connection, Choice(model, version, label), timeout_seconds, canary)

    @property
    def target(self) -> str:
        """Where its server is."""
        return self._asker.connection.target

    def using(
        self,
        *,
        version: int | None = None,
        label: str = "",
        canary: Canary | None = None,
        request_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Self:
        """A client of the same connection that asks another version, in another time, or under a request id.

        The id is what the server's log knows the questions by; without one each has its own. What is left out is as
        it was.
        """
        other = object.__new__(type(self))
        asker = self._asker
        other._asker = dataclasses.replace(
            asker,
            choice=Choice(asker.choice.model, version, label) if version is not None or label else asker.choice,
            canary=canary or asker.canary,
            request_id=asker.request_id if request_id is None else request_id,
            timeout_seconds=asker.timeout_seconds if timeout_seconds is None else timeout_seconds,
        )
        return other


def _at_once(
    question: Callable[Concatenate[Asker, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Client, P], T]:
    @functools.wraps(question)
    def ask(self: _Client, /, *given: P.args, **named: P.kwargs) -> T:
        return finished(question(self._asker, *given, **named))

    return ask


def _awaited(
    question: Callable[Concatenate[Asker, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Client, P], Coroutine[Any, Any, T]]:
    @functools.wraps(question)
    async def ask(self: _Client, /, *given: P.args, **named: P.kwargs) -> T:
        return await question(self._asker, *given, **named)

    return ask


class Client(_Client):
    """Answers when they are there."""

    _is_async = False

    recommend = _at_once(Asker.recommend)
    search = _at_once(Asker.search)
    rank = _at_once(Asker.rank)
    ctr = _at_once(Asker.ctr)
    similar_items = _at_once(Asker.similar_items)
    complementary_items = _at_once(Asker.complementary_items)
    embed_query = _at_once(Asker.embed_query)
    embed_items = _at_once(Asker.embed_items)
    predict = _at_once(Asker.predict)
    signatures = _at_once(Asker.signatures)
    version = _at_once(Asker.version)
    status = _at_once(Asker.status)
    reload = _at_once(Asker.reload)

    def close(self) -> None:
        """Closes the connection, of every client that `using` gave too."""
        finished(self._asker.connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Client):
    """The same questions for an event loop: each method is awaited. Made within the loop that it is used in."""

    _is_async = True

    recommend = _awaited(Asker.recommend)
    search = _awaited(Asker.search)
    rank = _awaited(Asker.rank)
    ctr = _awaited(Asker.ctr)
    similar_items = _awaited(Asker.similar_items)
    complementary_items = _awaited(Asker.complementary_items)
    embed_query = _awaited(Asker.embed_query)
    embed_items = _awaited(Asker.embed_items)
    predict = _awaited(Asker.predict)
    signatures = _awaited(Asker.signatures)
    version = _awaited(Asker.version)
    status = _awaited(Asker.status)
    reload = _awaited(Asker.reload)

    async def close(self) -> None:
        """Closes the connection, of every client that `using` gave too."""
        await self._asker.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _connection(target: str, tls: Tls | None, is_async: bool) -> Connection:
    if is_async:
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            raise ServingError("AsyncClient is made outside of an event loop; make it in a coroutine") from error
    if not target.startswith(("http://", "https://")):
        return GrpcConnection(target, tls, is_async)
    from serving.client.rest.rest_connection import RestConnection  # what it imports takes as long as all the rest

    return RestConnection(target, tls, is_async)
