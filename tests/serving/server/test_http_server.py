"""The socket of the REST server."""

from __future__ import annotations

import socket

from serving.server.http_server import bind


def test_the_socket_names_its_protocol_so_that_asyncio_sets_tcp_nodelay() -> None:
    """Without TCP_NODELAY each reply of a kept connection waits 40 ms for an acknowledgement."""
    with bind("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP
