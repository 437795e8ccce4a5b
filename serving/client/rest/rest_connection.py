"""A connection over TensorFlow Serving's REST API, for networks that block gRPC."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from google.protobuf.json_format import ParseDict, ParseError

from serving.client.address import is_loopback
from serving.client.connection import Arrays, Call, Code, ModelVersion, SignatureMismatch, call_error
from serving.client.model_info import Metadata, Tensor, VersionStatus, signatures, statuses
from serving.client.rest.http_exchange import AsyncExchange, BlockingExchange, Exchange, HttpRequest, HttpResponse
from serving.client.rest.json_tensors import from_json, to_json
from serving.client.retries import rest_retries
from serving.client.tls import Tls
from serving.wire.protos import GetModelStatusResponse, ModelServerConfig, SignatureDefMap
from tfrec.errors import ServingError

CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
"""HTTP status -> the gRPC code that the server most likely made it from; all others are UNKNOWN.

502 comes from a proxy, not from the server."""

MAX_DETAIL_CHARACTERS = 300


class RestConnection:
    """A Connection to "http://..." or "https://...", in an event loop if `is_async`."""

    needs_signature = True

    def __init__(self, target: str, tls: Tls | None, is_async: bool) -> None:
        if tls and target.lower().startswith("http://"):
            raise ServingError(f"tls is given but target is {target}; write https://, or leave tls out")
        self.target = target.rstrip("/")
        self._http = _exchange(self.target, tls.context() if tls else httpx.create_ssl_context(), is_async)

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        columns = {alias: to_json(np.asarray(array)) for alias, array in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        reply = await self._send("POST", f"{_path(call.model_version)}:predict", body, signature, call)
        if "outputs" not in reply:
            raise SignatureMismatch(f"the server at {self.target} returns no outputs; is it TensorFlow Serving?")
        arrays = from_json(reply["outputs"], described)
        return {alias: arrays[alias] for alias in outputs or arrays}

    async def metadata(self, call: Call) -> Metadata:
        reply = await self._send("GET", f"{_path(call.model_version)}/metadata", None, "its metadata", call)
        try:
            definitions = reply["metadata"]["signature_def"]
            packed = ParseDict(definitions, SignatureDefMap(), ignore_unknown_fields=True)
            return Metadata(int(reply["model_spec"]["version"]), signatures(packed))
        except (KeyError, TypeError, ValueError, ParseError) as error:
            raise self._foreign_reply("its metadata", error) from error

    async def status(self, call: Call) -> list[VersionStatus]:
        reply = await self._send("GET", _path(ModelVersion(call.model_version.model)), None, "its status", call)
        try:
            return statuses(ParseDict(reply, GetModelStatusResponse(), ignore_unknown_fields=True))
        except ParseError as error:
            raise self._foreign_reply("its status", error) from error

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        raise ServingError(
            f"target is {self.target} but REST can't change a server's configuration; give its gRPC address"
        )

    async def close(self) -> None:
        await self._http.close()

    async def _send(self, method: str, path: str, body: Any, subject: str, call: Call) -> dict[str, Any]:
        """The JSON object of the response.

        A request may be retried, since all of them only read.
        """
        headers = {"x-request-id": call.request_id, "content-type": "application/json"}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        request = HttpRequest(method, f"{self.target}/v1/models/{path}", headers, content)
        retries = rest_retries(call, self._http.sleep)
        return self._json_object(await retries(self._send_once, request, subject, call), subject)

    async def _send_once(self, request: HttpRequest, subject: str, call: Call) -> bytes:
        try:
            response = await self._http.send(request, call.remaining_seconds())
        except TimeoutError as error:
            raise call_error(Code.DEADLINE_EXCEEDED, "", subject, call) from error
        except httpx.TransportError as error:
            details = str(error) or type(error).__name__
            raise call_error(Code.UNAVAILABLE, details, subject, call, is_reached=False) from error
        except httpx.DecodingError as error:
            raise self._foreign_reply(subject, error) from error
        except httpx.InvalidURL as error:
            raise ServingError(
                f"target is {self.target} but that is not an address ({error}); write http://host:port"
            ) from error
        if response.status != 200:
            raise call_error(CODES.get(response.status, Code.UNKNOWN), _details(response), subject, call)
        return response.body

    def _json_object(self, body: bytes, subject: str) -> dict[str, Any]:
        try:
            reply = json.loads(body.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise self._foreign_reply(subject, error) from error
        if not isinstance(reply, dict):
            raise self._foreign_reply(subject, "not a JSON object")
        return reply

    def _foreign_reply(self, subject: str, reason: object) -> ServingError:
        return ServingError(
            f"target is {self.target} but its reply to a request for {subject} is not one of TensorFlow Serving "
            f"({reason!r}); give the address of its REST API"
        )


def _exchange(target: str, context: ssl.SSLContext, is_async: bool) -> Exchange:
    kind = AsyncExchange if is_async else BlockingExchange
    try:
        return kind(context, may_use_proxy=not is_loopback(target))
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # whose texts may hold a password
        raise ServingError(
            f"target is {target} but REST can't use a proxy that http_proxy, https_proxy or all_proxy names; "
            "write it as http://host:port, or unset the variable"
        ) from error


def _path(model_version: ModelVersion) -> str:
    path = quote(model_version.model, safe="")
    if model_version.version is not None:
        return f"{path}/versions/{model_version.version}"
    return f"{path}/labels/{quote(model_version.label, safe='')}" if model_version.label else path


def _details(response: HttpResponse) -> str:
    """The server's error text, or the start of any other body."""
    text = response.body.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status}: {' '.join(text.split())[:MAX_DETAIL_CHARACTERS]}"
