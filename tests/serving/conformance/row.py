"""A row of the contract: a request, and the answer that must come back."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

from tests.serving.conformance.plain import plain

PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
SECONDS = 60.0


@dataclasses.dataclass(frozen=True, eq=False)
class Like:
    """Equals every text that the whole pattern matches, where an order or a name may differ."""

    pattern: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other, re.DOTALL) is not None

    def __hash__(self) -> int:
        return hash(self.pattern)


class Holding(dict[str, Any]):
    """Equals every mapping that has these items among others."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and all(key in other and other[key] == self[key] for key in self)


ANY = Like(".*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grpc:
    """A call; `answer` is the reply in the form of `plain`, `text` the text of a refusal."""

    method: str
    request: Message | bytes
    service: str = PREDICTION
    code: str = "OK"
    text: Any = ""
    answer: Any = None
    seconds: float = SECONDS

    def check(self, channel: grpc.Channel) -> None:
        """Fail when the server does not answer as the row says."""
        assert self.send(channel) == (self.code, self.text, self.answer)

    def send(self, channel: grpc.Channel) -> tuple[str, str | None, Any]:
        """Send the request and return code, text and answer."""
        packed = self.request if isinstance(self.request, bytes) else self.request.SerializeToString()
        try:
            reply = channel.unary_unary(f"/{self.service}/{self.method}")(packed, timeout=self.seconds)
        except grpc.RpcError as error:
            return error.code().name, error.details(), None
        return "OK", "", plain(self.method, reply)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rest:
    """A request; `answer` is the JSON of the reply, `error` a refusal's text, `raw` the body."""

    path: str
    method: str = "POST"
    body: Any = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    status: int = 200
    error: Any = None
    answer: Any = None
    raw: Any = ANY
    answered_headers: Mapping[str, str | None] = dataclasses.field(
        default_factory=lambda: {"content-type": "application/json"}
    )

    def check(self, http: httpx.Client) -> None:
        """Fail when the server does not answer as the row says."""
        body = self.body if isinstance(self.body, str | bytes) else json.dumps(self.body)
        response = http.request(self.method, self.path, content=body, headers=self.headers, timeout=SECONDS)
        assert (response.status_code, response.text) == (self.status, self.raw)
        if self.error is not None:
            assert response.json() == {"error": self.error}
        if self.answer is not None:
            assert response.json() == self.answer
        assert {name: response.headers.get(name) for name in self.answered_headers} == self.answered_headers


Row = Grpc | Rest
