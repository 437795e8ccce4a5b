"""What a connection to a model server can be asked, and how it says no.

There are two, by gRPC and by REST: grpc_connection.py, rest/rest_connection.py.

A connection is asked by coroutines. Where its replies are there at once, since it blocks, they never wait, and
`finished` runs them without an event loop: so all that is built upon connections is written once.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Awaitable, Collection, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from grpc import StatusCode as Code

from serving.client.model_info import Metadata, Tensor, VersionStatus
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Arrays = Mapping[str, np.ndarray]
"""Named tensors; strings are bytes."""
T = TypeVar("T")


class CallError(ServingError):
    """A call that failed, with gRPC's code and the id that the server knows the request by."""

    def __init__(self, text: str, code: Code, request_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.request_id = request_id


class ChangedAnswer(ServingError):
    """An answer that does not fit what the server said of the signature: another version may have come."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A model and which of its versions: the highest in service, unless a number or a label says otherwise."""

    model: str
    version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.version is not None and self.label:
            raise ServingError(
                f"version is {self.version} and label is {self.label!r} but one of them chooses; leave the other out"
            )


@dataclasses.dataclass(frozen=True)
class Call:
    """What goes with each request of one question."""

    choice: Choice
    request_id: str
    timeout_seconds: float
    end: float
    """time.monotonic() seconds by which the question is answered or has failed."""

    def remaining_seconds(self) -> float:
        """Above 0, which gRPC takes for no end and a socket for "do not wait"; TimeoutError when none are left."""
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class Connection(Protocol):
    """A server's address; each call raises CallError with one sentence, or ServingError before it is sent."""

    target: str
    needs_signature: bool
    """Whether `predict` must be told what outputs the server describes."""

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        """The outputs of a signature: those named, all where none is. ChangedAnswer: see there."""

    async def metadata(self, call: Call) -> Metadata:
        """Of the version that the call chooses."""

    async def status(self, call: Call) -> list[VersionStatus]:
        """Of every version of the model, lowest first; the chosen version and label count for nothing."""

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        """Replaces the server's configuration by `config`."""

    async def close(self) -> None: ...


async def ready(reply: Awaitable[T] | T) -> T:
    """A reply that is there already, or comes."""
    return await reply if inspect.isawaitable(reply) else reply


def finished(answer: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        answer.send(None)
    except StopIteration as end:
        return end.value
    answer.close()
    raise RuntimeError("it waited: its connection is one of an event loop")


def failure(code: Code, details: str, what: str, call: Call, target: str, is_reached: bool = True) -> CallError:
    """The error of a call for `what`, in one sentence; `is_reached` where a server said it, not the network."""
    return CallError(_sentence(code, details, what, call, target, is_reached), code, call.request_id)


def _sentence(code: Code, details: str, what: str, call: Call, target: str, is_reached: bool) -> str:
    if code == Code.UNAVAILABLE and is_reached:
        return f"the server at {target} can't answer {what} now: {details} (UNAVAILABLE); try again in a while"
    if code == Code.UNAVAILABLE and _is_about_tls(details):
        return (
            f"target is {target} but no TLS connection to it can be made ({details}); check that it speaks TLS, and "
            "that the certificates of tls are of its authority, for its name and of today"
        )
    if code == Code.UNAVAILABLE:
        return (
            f"target is {target} but no model server answers there ({details}); start one with `tfrec serve`, or pass "
            "the target of one that runs, and tls where it wants it"
        )
    if code == Code.DEADLINE_EXCEEDED:
        return (
            f"the server at {target} did not answer {what} within timeout_seconds={call.timeout_seconds:g}; "
            "raise timeout_seconds or ask for less at once"
        )
    cure = "; check the model's name and its `status`" if code == Code.NOT_FOUND else ""
    return f"the server at {target} refused {what} of {call.choice.model!r}: {details} ({code.name}){cure}"


def _is_about_tls(details: str) -> bool:
    return any(word in details.lower() for word in ("ssl", "tls", "certificate", "handshake"))
