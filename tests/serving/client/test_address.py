"""Addresses of servers: IPv6, this machine, and the proxies of the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serving.api.options import Options
from serving.client import Client
from serving.client.address import check_target, host_of, is_loopback, proxy_variable
from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from tests.serving.client.loop_client import LoopClient, target
from tfrec.errors import ServingError

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy", "no_proxy")
NOBODY = "http://user:secret@127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("::1:18500", "[::1]:18500"),
        ("::1", "[::1]:8500"),
        ("2001:db8::7:8500", "[2001:db8::7]:8500"),
        ("fe80::1%eth0:8500", "[fe80::1%eth0]:8500"),
        ("http://::1:18501", "http://[::1]:18501"),
        ("https://2001:db8::7", "https://[2001:db8::7]:8501"),
    ],
)
def test_an_ipv6_address_without_brackets_is_refused_with_the_right_form(written: str, right: str) -> None:
    text = f"target is {written} but an IPv6 address has brackets before its port; write {right}"
    with pytest.raises(ServingError, match=f"^{re.escape(text)}$"):
        Client(written)


@pytest.mark.parametrize("written", ["", " "])
def test_a_blank_address_is_refused(written: str) -> None:
    with pytest.raises(ServingError, match=f"target is {written!r} but must name a server; write host:port"):
        Client(written)


@pytest.mark.parametrize(
    "written",
    ["localhost:8500", "[::1]:8500", "dns:///a:1", "ipv6:[::1]:1", "unix:/tmp/a:b:c", "http://[::1]:8501", "a:b:c"],
)
def test_other_addresses_pass(written: str) -> None:
    check_target(written)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("Shop.example:8500", "shop.example"),
        ("dns:///shop.example:8500", "shop.example"),
        ("dns://8.8.8.8/shop.example:8500", "shop.example"),
        ("ipv6:[::1]:8500", "::1"),
        ("http://user:secret@shop.example:8501/prefix", "shop.example"),
        ("http://[::1", ""),
        ("unix:/tmp/socket", "unix"),
    ],
)
def test_the_host_of_an_address(written: str, host: str) -> None:
    assert host_of(written) == host


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("localhost:8500", True),
        ("shop.localhost:8500", True),
        ("127.0.0.1:8500", True),
        ("127.8.9.10:8500", True),
        ("0.0.0.0:8500", True),
        ("[::1]:8500", True),
        ("[::ffff:127.0.0.1]:8500", True),
        ("dns:///localhost:8500", True),
        ("http://LOCALHOST:8501", True),
        ("10.0.0.5:8500", False),
        ("localhost.example:8500", False),
        ("http://127.0.0.1.example:8501", False),
        ("[2001:db8::7]:8500", False),
    ],
)
def test_addresses_of_this_machine(written: str, expected: bool) -> None:
    assert is_loopback(written) is expected


@pytest.mark.parametrize(
    ("written", "variables", "expected"),
    [
        ("shop.example:8500", {}, ""),
        ("shop.example:8500", {"http_proxy": NOBODY, "grpc_proxy": NOBODY}, "grpc_proxy"),
        ("shop.example:8500", {"HTTP_PROXY": NOBODY, "all_proxy": NOBODY}, ""),  # gRPC does not read them
        ("shop.example:8500", {"http_proxy": NOBODY, "no_proxy": "shop.example"}, ""),
        ("localhost:8500", {"http_proxy": NOBODY}, ""),
        ("http://shop.example:8501", {"https_proxy": NOBODY, "grpc_proxy": NOBODY}, ""),
        ("http://shop.example:8501", {"HTTP_PROXY": NOBODY}, "HTTP_PROXY"),
        ("https://shop.example:8501", {"all_proxy": NOBODY, "https_proxy": NOBODY}, "https_proxy"),
        ("https://shop.example:8501", {"http_proxy": NOBODY, "ALL_PROXY": NOBODY}, "ALL_PROXY"),
    ],
)
def test_the_variable_that_sets_the_proxy(
    monkeypatch: pytest.MonkeyPatch, written: str, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(written) == expected


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_server_of_this_machine_is_reached_without_the_proxy(
    monkeypatch: pytest.MonkeyPatch, server: Server, protocol: str, is_async: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, NOBODY)
    at = target(server, protocol)
    for each in (at, at.replace("127.0.0.1", "localhost")):
        with LoopClient(each) if is_async else Client(each, "toy", 20) as client:
            assert client.version() == 1


@pytest.mark.parametrize("value", ["socks5://user:secret@127.0.0.1:9", "http://user:secret@127.0.0.1:port"])
def test_a_proxy_that_rest_can_not_use_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, server: Server, value: str
) -> None:
    monkeypatch.setenv("all_proxy", value)
    with pytest.raises(
        ServingError, match="REST can't use a proxy that http_proxy, https_proxy or all_proxy names"
    ) as caught:
        Client("http://10.255.255.1:8501")
    assert "secret" not in str(caught.value)
    with Client(target(server, "REST"), "toy", 20) as client:
        assert client.version() == 1


@pytest.mark.parametrize("written", ["10.255.255.1:8500", "http://10.255.255.1:8501"])
def test_an_error_names_the_proxy_and_no_password(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("http_proxy", NOBODY)
    with (
        Client(written, timeout_seconds=2) as client,
        pytest.raises(
            ServingError,
            match=r"through the proxy of http_proxy\) but no model .*, or name 10\.255\.255\.1 in no_proxy$",
        ) as caught,
    ):
        client.status()
    assert "secret" not in str(caught.value)


def test_both_protocols_reach_an_ipv6_address(base_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", NOBODY)
    with start(single("toy", base_path), Options(host="::1")) as server:
        for at in (f"[::1]:{server.port}", f"http://[::1]:{server.rest_api_port}"):
            with Client(at, "toy", 20) as client:
                assert client.version() == 1
