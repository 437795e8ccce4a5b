"""The protocol of a connection to a model server, and the errors of its calls.

Two classes implement it: GrpcConnection (grpc_connection.py) and RestConnection
(rest/rest_connection.py).

All methods are coroutine functions. Those of a blocking connection never suspend, so `run_blocking`
runs them without an event loop, and everything above the connections is written once.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Awaitable, Collection, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from grpc import StatusCode as Code

from serving.client.address import host_of, proxy_variable
from serving.client.model_info import Metadata, Tensor, VersionStatus
from serving.client.texts import encode
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Arrays = Mapping[str, np.ndarray]
"""Tensors by name; strings are bytes."""
T = TypeVar("T")


class CallError(ServingError):
    """A failed call, with gRPC's status code and the request id that the server logs."""

    def __init__(self, text: str, code: Code, request_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.request_id = request_id


class SignatureMismatch(ServingError):
    """A response that does not match the known signature; the server may have a new version."""


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """A model and one of its versions, by number or by label.

    Without either it is the highest version in service.
    """

    model: str
    version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        encode("model", self.model)
        encode("label", self.label)
        if self.version is not None and self.label:
            raise ServingError(
                f"version is {self.version} and label is {self.label!r} but one excludes the other; drop one"
            )


@dataclasses.dataclass(frozen=True)
class Call:
    """Settings shared by all requests of one call of the client."""

    target: str
    model_version: ModelVersion
    request_id: str
    timeout_seconds: float
    end: float  # deadline in time.monotonic() seconds

    def remaining_seconds(self) -> float:
        """Seconds until the deadline; raises TimeoutError when none are left.

        Always above 0: gRPC takes 0 for "no deadline", a socket for "do not wait".
        """
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class Connection(Protocol):
    """A connection to one server.

    Methods raise CallError for a failed call and ServingError for one never sent.
    """

    target: str
    needs_signature: bool
    """True if `predict` needs the signature's outputs in `described`."""

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        """The named `outputs` of a signature, or all if none is named.

        May raise SignatureMismatch.
        """

    async def metadata(self, call: Call) -> Metadata:
        """Metadata of the call's model version."""

    async def status(self, call: Call) -> list[VersionStatus]:
        """Status of every version of the model, lowest first.

        The call's version and label are ignored.
        """

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        """Replace the server's configuration with `config`."""

    async def close(self) -> None: ...


async def await_reply(reply: Awaitable[T] | T) -> T:
    """Return a reply, awaiting it first if it is awaitable."""
    return await reply if inspect.isawaitable(reply) else reply


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends and return its result.

    Raises RuntimeError if it suspends.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("the coroutine suspended; its connection belongs to an event loop")


def call_error(code: Code, details: str, subject: str, call: Call, *, is_reached: bool = True) -> CallError:
    """The error of a failed request for `subject`.

    `is_reached` is False if the network failed, not the server. The graph's nodes, which
    TensorFlow lists below its text, are left out.
    """
    details = details.partition("\n\t [[")[0]
    text = _refusal(code, details, subject, call) if is_reached else _network_failure(code, details, subject, call)
    return CallError(text, code, call.request_id)


def _refusal(code: Code, details: str, subject: str, call: Call) -> str:
    server = f"the server at {call.target}{_through_proxy(call)}"
    if code == Code.UNAVAILABLE:
        return f"{server} can't answer {subject} now: {details} (UNAVAILABLE); try again in a while{_bypass(call)}"
    if code == Code.DEADLINE_EXCEEDED:
        return (
            f"{server} did not answer {subject} within timeout_seconds={call.timeout_seconds:g}; "
            "raise timeout_seconds or request less at once"
        )
    cure = "; check the model's name and its `status`" if code == Code.NOT_FOUND else ""
    model = call.model_version.model
    return f"{server} refused {subject} of {model!r}: {details} ({code.name}){cure}"


def _network_failure(code: Code, details: str, subject: str, call: Call) -> str:
    if code != Code.UNAVAILABLE:
        return _refusal(code, details, subject, call)
    target = f"target is {call.target}{_through_proxy(call)}"
    if any(word in details.lower() for word in ("ssl", "tls", "certificate", "handshake")):
        return (
            f"{target} but no TLS connection to it can be made ({details}); check that it "
            "speaks TLS and that the certificates in tls are valid today, issued by its authority and for its name"
            f"{_bypass(call)}"
        )
    return (
        f"{target} but no model server answers there ({details}); start one with `tfrec serve`, "
        f"pass the target of a running one, or pass tls if the server requires it{_bypass(call)}"
    )


def _through_proxy(call: Call) -> str:
    """Words for the proxy of the environment that requests to the target pass, "" without one."""
    variable = proxy_variable(call.target)
    return f" (through the proxy of {variable})" if variable else ""


def _bypass(call: Call) -> str:
    """The cure for a proxy that does not reach the target, "" without a proxy."""
    return f", or name {host_of(call.target)} in no_proxy" if proxy_variable(call.target) else ""
