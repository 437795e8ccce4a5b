"""Retries over gRPC and REST, counted by a proxy that fails on demand."""

from __future__ import annotations

import pytest

from serving.client import CallError, Client
from serving.client.retries import MAX_ATTEMPTS
from serving.lifecycle.model_config import single
from tests.serving.client.proxies import Proxy

PROTOCOLS = pytest.mark.parametrize("protocol", ["gRPC", "REST"])


@PROTOCOLS
def test_a_reading_request_is_retried_while_the_server_is_unavailable(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client:
        proxy.failures = 2
        assert client.version() == 2
        assert len(proxy.requests) == 3
        proxy.failures = 1
        assert client.embed_query([]).tolist() == [0.0, 0.0, 0.0, 0.0]


@PROTOCOLS
def test_the_client_gives_up_after_four_attempts(proxy: Proxy) -> None:
    proxy.failures = 100
    text = r"the server at .* can't answer its status now: the queue is full \(UNAVAILABLE\); try again in a while"
    with Client(proxy.target, "toy", 20) as client, pytest.raises(CallError, match=text):
        client.status()
    assert len(proxy.requests) == MAX_ATTEMPTS == 4


@PROTOCOLS
def test_a_refused_request_is_not_retried(proxy: Proxy) -> None:
    with Client(proxy.target, "toy", 20) as client, pytest.raises(CallError, match="NOT_FOUND"):
        client.using(version=7).version()
    assert len(proxy.requests) == 1


@PROTOCOLS
def test_no_request_is_retried_after_the_deadline(proxy: Proxy) -> None:
    # Each attempt takes 0.1 s, so four of them do not fit into 0.15 s.
    proxy.failures, proxy.delay_seconds = 100, 0.1
    with Client(proxy.target, "toy", 0.15) as client, pytest.raises(CallError, match=r"now: |within timeout_seconds"):
        client.status()
    assert len(proxy.requests) < MAX_ATTEMPTS


@pytest.mark.parametrize("protocol", ["gRPC"])
def test_a_configuration_is_never_sent_twice(proxy: Proxy) -> None:
    proxy.failures = 1
    with Client(proxy.target, "toy", 20) as client, pytest.raises(CallError, match="can't answer a new configuration"):
        client.reload(single("toy", "/nowhere"))
    assert [name for name, _ in proxy.requests] == ["HandleReloadConfigRequest"]
