"""How a model is asked: which version, by whom, in what time, and what is done when another version came meanwhile."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from serving.client.canary import CANARY, STABLE, Canary
from serving.client.connection import Arrays, Call, CallError, ChangedAnswer, Choice, Code, Connection
from serving.client.constraints import UnknownInput
from serving.client.model_info import Signature, Tensor, VersionStatus
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

Inputs = Callable[[Mapping[str, Tensor]], Arrays]
"""The tensors of a question, for a signature's inputs."""


@dataclasses.dataclass(frozen=True)
class Session:
    """Questions of one kind to one connection; sessions of one connection share what they know of its signatures."""

    connection: Connection
    choice: Choice
    timeout_seconds: float
    """Of a question as a whole, with all its requests and their repetitions."""
    canary: Canary | None = None
    """Chooses between the labels by the user, unless `choice` has a version or a label."""
    request_id: str = ""
    """Of all questions; "": each has one of its own."""
    _known: dict[Choice, Mapping[str, Signature]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.request_id.isascii() and self.request_id.isprintable()):
            raise ServingError(f"request_id is {self.request_id!r} but it travels in a header; take printable ASCII")

    async def predict(
        self, signature: str, inputs: Arrays, output_filter: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs of any signature by name (all, or those of `output_filter`); strings are bytes."""
        call, outputs = self._call(self.choice), list(output_filter or ())
        if self.connection.needs_signature:
            return dict(await self._ask_version(call, signature, lambda _: inputs, outputs))
        return dict(await self.connection.predict(call, signature, inputs, outputs, {}))

    async def signatures(self) -> Mapping[str, Signature]:
        """What the chosen version can be asked, by signature name."""
        return (await self.connection.metadata(self._call(self.choice))).signatures

    async def version(self) -> int:
        """The number of the chosen version: where a label leads, or the highest in service."""
        return (await self.connection.metadata(self._call(self.choice))).version

    async def status(self) -> list[VersionStatus]:
        """Every version that the server has seen, lowest first."""
        return await self.connection.status(self._call(self.choice))

    async def reload(self, config: ModelServerConfig) -> None:
        """Gives the server another configuration, of all its models; by gRPC alone, and never sent twice."""
        await self.connection.reload(self._call(self.choice), config)

    async def ask(self, signature: str, inputs: Inputs, user_id: str = "") -> Arrays:
        """The outputs of the version that is for the user; the stable one's while there is no canary."""
        is_free = self.choice == Choice(self.choice.model)
        if not (self.canary and is_free):
            return await self._ask_version(self._call(self.choice), signature, inputs)
        call = self._call(dataclasses.replace(self.choice, label=self.canary.label(user_id)))
        try:
            return await self._ask_version(call, signature, inputs)
        except CallError as error:
            if call.choice.label != CANARY or not _is_absent(error):
                raise
        stable = dataclasses.replace(call, choice=dataclasses.replace(self.choice, label=STABLE))
        return await self._ask_version(stable, signature, inputs)

    async def _ask_version(self, call: Call, name: str, inputs: Inputs, outputs: Collection[str] = ()) -> Arrays:
        """The outputs for the inputs that a signature takes. A new version may take others: then it asks again."""
        known = await self._signature(call, name)
        try:
            return await self.connection.predict(call, name, inputs(known.inputs), outputs, known.outputs)
        except (CallError, UnknownInput, ChangedAnswer) as error:
            if isinstance(error, CallError) and error.code != Code.INVALID_ARGUMENT:
                raise
            self._known.pop(call.choice, None)
            newer = await self._signature(call, name)
            if newer == known:
                raise
        return await self.connection.predict(call, name, inputs(newer.inputs), outputs, newer.outputs)

    async def _signature(self, call: Call, name: str) -> Signature:
        if call.choice not in self._known:
            self._known[call.choice] = (await self.connection.metadata(call)).signatures
        known = self._known[call.choice]
        if name not in known:
            raise ServingError(
                f"signature is {name!r} but model {call.choice.model!r} at {self.connection.target} serves "
                f"{', '.join(known)}; train and push a model with this tfrec (ctr and complementary_items want "
                "ranking.epochs above 0)"
            )
        return known[name]

    def _call(self, choice: Choice) -> Call:
        end = time.monotonic() + self.timeout_seconds
        return Call(choice, self.request_id or uuid.uuid4().hex, self.timeout_seconds, end)


def _is_absent(error: CallError) -> bool:
    """Whether the version that was asked for is not there."""
    return error.code == Code.NOT_FOUND or "Unrecognized servable version label" in str(error)
