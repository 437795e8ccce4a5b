"""A connection by TensorFlow Serving's REST API, for where gRPC does not get through."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from google.protobuf.json_format import ParseDict, ParseError

from serving.client.connection import Arrays, Call, ChangedAnswer, Choice, Code, failure
from serving.client.model_info import Metadata, Tensor, VersionStatus, signatures, statuses
from serving.client.rest.http_exchange import Asynchronous, Blocking, Exchange, Received, Sent
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
"""What a status most likely was before it became one; the rest is UNKNOWN. 502 is a proxy's, not the server's."""

MAX_DETAIL_CHARACTERS = 300


class RestConnection:
    """A serving.client.connection.Connection, to "http://..." or "https://..."; `is_async` as in GrpcConnection."""

    needs_signature = True

    def __init__(self, target: str, tls: Tls | None, is_async: bool) -> None:
        if tls and target.startswith("http://"):
            raise ServingError(f"tls is given but target is {target}; write https://, or leave tls out")
        self.target = target.rstrip("/")
        context = tls.context() if tls else None
        self._http: Exchange = Asynchronous(context) if is_async else Blocking(context)

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        columns = {alias: to_json(np.asarray(array)) for alias, array in inputs.items()}
        request = {"signature_name": signature, "inputs": columns}
        reply = await self._ask("POST", f"{_path(call.choice)}:predict", request, signature, call)
        if "outputs" not in reply:
            raise ChangedAnswer(f"the server at {self.target} answers no outputs; is it TensorFlow Serving?")
        found = from_json(reply["outputs"], described)
        return {alias: found[alias] for alias in outputs or found}

    async def metadata(self, call: Call) -> Metadata:
        reply = await self._ask("GET", f"{_path(call.choice)}/metadata", None, "its metadata", call)
        try:
            definitions = reply["metadata"]["signature_def"]
            packed = ParseDict(definitions, SignatureDefMap(), ignore_unknown_fields=True)
            return Metadata(int(reply["model_spec"]["version"]), signatures(packed))
        except (KeyError, TypeError, ValueError, ParseError) as error:
            raise self._foreign("its metadata", error) from error

    async def status(self, call: Call) -> list[VersionStatus]:
        reply = await self._ask("GET", _path(Choice(call.choice.model)), None, "its status", call)
        try:
            return statuses(ParseDict(reply, GetModelStatusResponse(), ignore_unknown_fields=True))
        except ParseError as error:
            raise self._foreign("its status", error) from error

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        raise ServingError(
            f"target is {self.target} but REST can't change a server's configuration; give its gRPC address"
        )

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, method: str, path: str, request: Any, what: str, call: Call) -> dict[str, Any]:
        """The JSON object that is answered; every request only reads, so each may be sent again."""
        headers = {"x-request-id": call.request_id, "content-type": "application/json"}
        body = None if request is None else json.dumps(request, ensure_ascii=False).encode()
        sent = Sent(method, f"{self.target}/v1/models/{path}", headers, body)

        retrying = rest_retries(call, self._http.sleep)
        return self._object(await retrying(self._send, sent, what, call), what)

    async def _send(self, sent: Sent, what: str, call: Call) -> bytes:
        try:
            received = await self._http.send(sent, call.remaining_seconds())
        except TimeoutError as error:
            raise failure(Code.DEADLINE_EXCEEDED, "", what, call, self.target) from error
        except httpx.TransportError as error:
            details = str(error) or type(error).__name__
            raise failure(Code.UNAVAILABLE, details, what, call, self.target, is_reached=False) from error
        except httpx.DecodingError as error:
            raise self._foreign(what, error) from error
        except httpx.InvalidURL as error:
            raise ServingError(
                f"target is {self.target} but it is no address ({error}); write http://host:port"
            ) from error
        if received.status != 200:
            raise failure(CODES.get(received.status, Code.UNKNOWN), _details(received), what, call, self.target)
        return received.body

    def _object(self, body: bytes, what: str) -> dict[str, Any]:
        try:
            reply = json.loads(body.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise self._foreign(what, error) from error
        if not isinstance(reply, dict):
            raise self._foreign(what, "no JSON object")
        return reply

    def _foreign(self, what: str, reason: object) -> ServingError:
        return ServingError(
            f"target is {self.target} but it answers {what} unlike TensorFlow Serving ({reason!r}); "
            "give the address of its REST API"
        )


def _path(choice: Choice) -> str:
    path = quote(choice.model, safe="")
    if choice.version is not None:
        return f"{path}/versions/{choice.version}"
    return f"{path}/labels/{quote(choice.label, safe='')}" if choice.label else path


def _details(received: Received) -> str:
    """The server's own words, or the start of whatever else came."""
    text = received.body.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {received.status}: {' '.join(text.split())[:MAX_DETAIL_CHARACTERS]}"
