"""Version, request id, deadline and connection of calls, against a real server behind a proxy."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.client import AsyncClient, CallError, Client, Event
from tests.serving.client.proxies import Proxy
from tfrec.errors import ServingError

ONE_TEN = {"x": np.array([1.0], np.float32), "y": np.array([10.0], np.float32)}
PROTOCOLS = pytest.mark.parametrize("protocol", ["gRPC", "REST"])


def version_by_prediction(client: Client) -> int:
    """The version that answers: the toy's sum is its number times x, plus y."""
    return int(client.predict("serving_default", ONE_TEN)["sum"][0]) - 10


@PROTOCOLS
def test_a_version_is_selected_by_number_or_label_and_is_the_highest_by_default(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        assert version_by_prediction(client) == 2
        assert version_by_prediction(client.using(version=1)) == 1
        assert version_by_prediction(client.using(label="stable")) == 1
        assert version_by_prediction(client.using(label="stable").using(version=2)) == 2
        assert client.using(label="the new/one").version() == 2
        assert client.using(label="stable").embed_query([Event("a")])[0] == 1.0


@PROTOCOLS
@pytest.mark.parametrize("settings", [{"version": 1}, {"label": "stable"}])
def test_a_client_can_be_created_for_a_version(proxy: Proxy, settings: dict[str, Any]) -> None:
    with Client(proxy.target, "toy", 20, **settings) as client:
        assert (client.version(), version_by_prediction(client)) == (1, 1)


@PROTOCOLS
def test_an_unknown_version_or_label_raises_the_servers_error(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        with pytest.raises(CallError, match=r"Servable not found for request: Specific\(toy, 7\) \(NOT_FOUND\)"):
            client.using(version=7).recommend([], k=1)
        with pytest.raises(CallError, match=r"Unrecognized servable version label: nope \(INVALID_ARGUMENT\)"):
            client.using(label="nope").recommend([], k=1)


def test_version_and_label_exclude_each_other() -> None:
    with pytest.raises(ServingError, match="version is 3 and label is 'stable' but one excludes the other; drop one"):
        Client(version=3, label="stable")


@PROTOCOLS
def test_the_request_id_reaches_the_server_and_is_part_of_an_error(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        client.using(request_id="order-7").recommend([], k=1)
        assert [request_id for _, request_id in proxy.requests] == ["order-7", "order-7"]
        with pytest.raises(CallError, match="Servable not found") as caught:
            client.using(version=7, request_id="order-8").version()
        assert caught.value.request_id == "order-8"


@PROTOCOLS
def test_each_call_has_a_request_id_of_its_own_by_default(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        client.status()
        client.status()
    (_, first), (_, second) = proxy.requests
    assert len(first) == len(second) == 32
    assert first != second


@pytest.mark.parametrize("request_id", ["a\nb", "naïve"])
def test_a_request_id_must_be_printable_ascii(request_id: str) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(ServingError, match=r"request_id is .* take printable ASCII"):
        client.using(request_id=request_id)


@PROTOCOLS
def test_all_calls_of_a_client_share_one_connection_and_the_metadata(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        for _ in range(5):
            client.using(label="stable").recommend([], k=1)
        assert len(proxy.requests) == 6  # metadata once, five predictions
    assert len(proxy.peers) == 1


@PROTOCOLS
def test_threads_can_share_a_client(proxy: Proxy) -> None:
    histories = [[Event("a")] * n for n in range(40)]
    with Client(proxy.target, "toy", 20) as client, ThreadPoolExecutor(8) as threads:
        embeddings = list(threads.map(client.embed_query, histories))
    assert [embedding[0] for embedding in embeddings] == list(range(40))


@PROTOCOLS
def test_tasks_of_a_loop_call_concurrently(proxy: Proxy) -> None:
    async def call() -> list[np.ndarray]:
        async with AsyncClient(proxy.target, "toy", 20) as client:
            await client.embed_query([])
            embeddings = await asyncio.gather(*(client.embed_query([Event("a")] * n) for n in range(20)))
            proxy.predictions_may_pass.clear()
            held_back = asyncio.create_task(client.embed_query([]))
            assert await client.version() == 2
            assert not held_back.done()
            proxy.predictions_may_pass.set()
            await held_back
            return embeddings

    assert [embedding[0] for embedding in asyncio.run(call())] == list(range(20))


@PROTOCOLS
def test_all_requests_of_a_call_share_one_deadline(proxy: Proxy) -> None:
    # Each attempt takes 0.4 s; the second one exceeds 0.7 s.
    with Client(proxy.target, "toy", 20) as client:
        client.embed_query([])
        proxy.delay_seconds, proxy.failures = 0.4, 1
        with pytest.raises(CallError, match=r"did not answer embed_query within timeout_seconds=0.7; raise"):
            client.using(timeout_seconds=0.7).embed_query([])
        assert version_by_prediction(client) == 2


@PROTOCOLS
def test_a_call_without_time_left_sends_no_request(proxy: Proxy) -> None:
    text = r"did not answer its status within timeout_seconds=0; raise"
    with Client(proxy.target, "toy", 0.0) as client, pytest.raises(CallError, match=text):
        client.status()
    assert proxy.requests == []
