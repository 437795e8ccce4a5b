"""The two clients: Client for threads and AsyncClient for an event loop.

Both have the methods of RecommenderStub (stub.py).
A target is "host:port" for gRPC, "http://host:port" for REST. A method sends one request; the first
one also reads the model's signatures. All methods but `reload` only read, so they are retried
within `timeout_seconds` while the server is UNAVAILABLE (retries.py). Threads may share a Client,
the tasks of one event loop an AsyncClient, and both keep their connection: create one for each
process, not for each call. Every method raises tfrec.errors.ServingError.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from serving.client.address import check_target, is_rest
from serving.client.canary import Canary
from serving.client.connection import Connection, ModelVersion, run_blocking
from serving.client.grpc_connection import GrpcConnection
from serving.client.stub import RecommenderStub
from serving.client.tls import Tls
from tfrec.errors import ServingError

P = ParamSpec("P")
T = TypeVar("T")


class _BaseClient:
    """Construction and settings of both clients."""

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
        """Create a client, which connects at the first call; `timeout_seconds` limits each call.

        `version` or `label` choose the version of the model, `canary` chooses it by the user;
        without them the highest version in service is used.
        """
        connection = _connection(target, tls, self._is_async)
        self._stub = RecommenderStub(connection, ModelVersion(model, version, label), timeout_seconds, canary)

    @property
    def target(self) -> str:
        """The server's address."""
        return self._stub.connection.target

    def using(
        self,
        *,
        version: int | None = None,
        label: str = "",
        canary: Canary | None = None,
        request_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Self:
        """A client of the same connection with other settings; arguments left out keep theirs.

        `request_id` is the id in the server's log; without one each call has an id of its own.
        """
        stub = self._stub
        model_version = stub.model_version
        if version is not None or label:
            model_version = ModelVersion(model_version.model, version, label)
        other = object.__new__(type(self))
        other._stub = dataclasses.replace(
            stub,
            model_version=model_version,
            canary=canary or stub.canary,
            request_id=stub.request_id if request_id is None else request_id,
            timeout_seconds=stub.timeout_seconds if timeout_seconds is None else timeout_seconds,
        )
        return other


def _blocking(
    method: Callable[Concatenate[RecommenderStub, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_BaseClient, P], T]:
    @functools.wraps(method)
    def call(self: _BaseClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run_blocking(method(self._stub, *args, **kwargs))

    return call


def _async(
    method: Callable[Concatenate[RecommenderStub, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_BaseClient, P], Coroutine[Any, Any, T]]:
    @functools.wraps(method)
    async def call(self: _BaseClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await method(self._stub, *args, **kwargs)

    return call


class Client(_BaseClient):
    """Client with blocking methods, which threads may share."""

    _is_async = False

    recommend = _blocking(RecommenderStub.recommend)
    search = _blocking(RecommenderStub.search)
    rank = _blocking(RecommenderStub.rank)
    ctr = _blocking(RecommenderStub.ctr)
    similar_items = _blocking(RecommenderStub.similar_items)
    complementary_items = _blocking(RecommenderStub.complementary_items)
    embed_query = _blocking(RecommenderStub.embed_query)
    embed_items = _blocking(RecommenderStub.embed_items)
    predict = _blocking(RecommenderStub.predict)
    signatures = _blocking(RecommenderStub.signatures)
    version = _blocking(RecommenderStub.version)
    status = _blocking(RecommenderStub.status)
    reload = _blocking(RecommenderStub.reload)

    def close(self) -> None:
        """Close the connection, also for all clients made by `using`."""
        run_blocking(self._stub.connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_BaseClient):
    """Client with the same methods as coroutine functions.

    Create it in the event loop that uses it.
    """

    _is_async = True

    recommend = _async(RecommenderStub.recommend)
    search = _async(RecommenderStub.search)
    rank = _async(RecommenderStub.rank)
    ctr = _async(RecommenderStub.ctr)
    similar_items = _async(RecommenderStub.similar_items)
    complementary_items = _async(RecommenderStub.complementary_items)
    embed_query = _async(RecommenderStub.embed_query)
    embed_items = _async(RecommenderStub.embed_items)
    predict = _async(RecommenderStub.predict)
    signatures = _async(RecommenderStub.signatures)
    version = _async(RecommenderStub.version)
    status = _async(RecommenderStub.status)
    reload = _async(RecommenderStub.reload)

    async def close(self) -> None:
        """Close the connection, also for all clients made by `using`."""
        await self._stub.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _connection(target: str, tls: Tls | None, is_async: bool) -> Connection:
    if is_async:
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            raise ServingError("AsyncClient is created outside of an event loop; create it in a coroutine") from error
    check_target(target)
    if not is_rest(target):
        return GrpcConnection(target, tls, is_async)
    from serving.client.rest.rest_connection import RestConnection  # httpx doubles the import time

    return RestConnection(target, tls, is_async)
