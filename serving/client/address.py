"""Addresses of model servers: their host, and the proxy that the environment sets for it."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from serving.client.texts import encode
from tfrec.errors import ServingError

_RESOLVER = re.compile(r"dns:(//[^/]*/)?|ipv[46]:")
"""What may stand before host:port in a target of gRPC: dns:///localhost:8500."""
GRPC_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
"""Those that gRPC reads, the first of them that is set."""


def is_rest(target: str) -> bool:
    """True if a target is a URL of REST, not host:port of gRPC."""
    return target.lower().startswith(("http://", "https://"))


def check_target(target: str) -> None:
    """Raise ServingError for a target that is no text, blank, or IPv6 without brackets."""
    encode("target", target)
    if not target.strip():
        raise ServingError(f"target is {target!r} but must name a server; write host:port or http://host:port")
    authority = _authority(target)
    if "[" in authority or authority.count(":") < 2:
        return
    host, _, port = authority.rpartition(":")
    for bracketed in (f"[{host}]:{port}", f"[{authority}]:{8501 if is_rest(target) else 8500}"):
        if _ip(bracketed[1:].partition("]")[0]):
            raise ServingError(
                f"target is {target} but an IPv6 address has brackets before its port; "
                f"write {target.replace(authority, bracketed)}"
            )


def is_loopback(target: str) -> bool:
    """True if the host of a target is this machine, by its name or address."""
    host = host_of(target)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _ip(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and (address.is_loopback or address.is_unspecified)


def proxy_variable(target: str) -> str:
    """Name of the environment variable whose proxy takes the requests to `target`; "" if none.

    An error names the variable, not its value, which may hold a password.
    """
    from urllib.request import proxy_bypass  # for errors alone: it imports an HTTP client

    if is_loopback(target) or proxy_bypass(host_of(target)):
        return ""
    names: tuple[str, ...] = GRPC_PROXY_VARIABLES
    if is_rest(target):
        names = (f"{urlsplit(target).scheme}_proxy", "all_proxy")
        names += tuple(name.upper() for name in names)
    return next((name for name in names if os.environ.get(name)), "")


def host_of(target: str) -> str:
    """The host of a target without brackets, in lower case; "" if it has none."""
    try:
        return urlsplit(f"//{_authority(target)}").hostname or ""
    except ValueError:
        return ""


def _authority(target: str) -> str:
    """The host:port of a target; "" of a broken URL, which the first request refuses."""
    if not is_rest(target):
        return _RESOLVER.sub("", target, count=1)
    try:
        return urlsplit(target).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
