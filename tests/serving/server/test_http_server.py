"""The socket of the REST server."""

from __future__ import annotations

import socket

import pytest

from serving.server.http_server import address, bind
from tfrec.errors import ServingError


def test_the_socket_names_its_protocol_so_that_asyncio_sets_tcp_nodelay() -> None:
    """Without TCP_NODELAY each reply of a kept connection waits 40 ms for an acknowledgement."""
    with bind("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert address("127.0.0.1", 8500) == "127.0.0.1:8500"
    assert address("::1", 8500) == "[::1]:8500"


def test_a_taken_ipv6_port_is_named_with_brackets() -> None:
    with bind("::1", 0) as bound:
        port = bound.getsockname()[1]
        bound.listen()
        with pytest.raises(ServingError, match=rf"port is {port} but \[::1\]:{port} can't be listened on"):
            bind("::1", port)
