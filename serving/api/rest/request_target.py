"""Request targets with scheme and host, as clients send to a proxy: served by their path."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SCHEME_AND_HOST = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


def in_origin_form(application: ASGIApp) -> ASGIApp:
    """Call `application` with the path of an absolute request target.

    A server must accept such a target: RFC 9112, section 3.2.2.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if host := _SCHEME_AND_HOST.match(scope["raw_path"]):
            path = scope["raw_path"][host.end() :] or b"/"
            scope = {**scope, "raw_path": path, "path": unquote(path.decode("latin-1"))}
        await application(scope, receive, send)

    return call
