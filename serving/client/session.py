"""Calls to one model: their version, deadline and request id, and the signatures known so far."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from serving.client.canary import CANARY, STABLE, Canary
from serving.client.connection import Arrays, Call, CallError, Code, Connection, ModelVersion, SignatureMismatch
from serving.client.constraints import UnknownInput
from serving.client.model_info import Signature, Tensor, VersionStatus
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

MakeInputs = Callable[[Mapping[str, Tensor]], Arrays]
"""Makes the tensors of a request for the inputs of a signature."""


@dataclasses.dataclass(frozen=True)
class Session:
    """Settings of the calls over one connection.

    Copies by dataclasses.replace share the known signatures.
    """

    connection: Connection
    model_version: ModelVersion
    timeout_seconds: float
    """Limit of one call, with all its requests and their retries."""
    canary: Canary | None = None
    """Chooses the label by the user, unless `model_version` has a version or a label."""
    request_id: str = ""
    """Request id of all calls; "" gives each call an id of its own."""
    _signatures: dict[ModelVersion, Mapping[str, Signature]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.request_id.isascii() and self.request_id.isprintable()):
            raise ServingError(f"request_id is {self.request_id!r} but is sent in a header; take printable ASCII")

    async def predict(
        self, signature: str, inputs: Arrays, output_filter: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs of any signature by name (all, or those of `output_filter`).

        Strings are bytes.
        """
        call, outputs = self._call(self.model_version), list(output_filter or ())
        if self.connection.needs_signature:
            return dict(await self._predict_version(call, signature, lambda _: inputs, outputs))
        return dict(await self.connection.predict(call, signature, inputs, outputs, {}))

    async def signatures(self) -> Mapping[str, Signature]:
        """The signatures of the model version, by name."""
        return (await self.connection.metadata(self._call(self.model_version))).signatures

    async def version(self) -> int:
        """The number of the model version: that of the label, or the highest in service."""
        return (await self.connection.metadata(self._call(self.model_version))).version

    async def status(self) -> list[VersionStatus]:
        """Status of every version that the server knows, lowest first."""
        return await self.connection.status(self._call(self.model_version))

    async def reload(self, config: ModelServerConfig) -> None:
        """Replace the server's configuration of all its models.

        This works over gRPC only and is never retried.
        """
        await self.connection.reload(self._call(self.model_version), config)

    async def predict_for_user(self, signature: str, make_inputs: MakeInputs, user_id: str = "") -> Arrays:
        """The outputs of the user's model version.

        Falls back to the stable version if the canary is not in service.
        """
        has_version = self.model_version != ModelVersion(self.model_version.model)
        if self.canary is None or has_version:
            return await self._predict_version(self._call(self.model_version), signature, make_inputs)
        call = self._call(dataclasses.replace(self.model_version, label=self.canary.label(user_id)))
        try:
            return await self._predict_version(call, signature, make_inputs)
        except CallError as error:
            if call.model_version.label != CANARY or not _is_missing_version(error):
                raise
        stable = dataclasses.replace(call, model_version=dataclasses.replace(self.model_version, label=STABLE))
        return await self._predict_version(stable, signature, make_inputs)

    async def _predict_version(
        self, call: Call, name: str, make_inputs: MakeInputs, outputs: Collection[str] = ()
    ) -> Arrays:
        """The outputs of a signature.

        If a new version has another signature, the request is made once more for it.
        """
        known = await self._signature(call, name)
        try:
            return await self.connection.predict(call, name, make_inputs(known.inputs), outputs, known.outputs)
        except (CallError, UnknownInput, SignatureMismatch) as error:
            if isinstance(error, CallError) and error.code != Code.INVALID_ARGUMENT:
                raise
            self._signatures.pop(call.model_version, None)
            newer = await self._signature(call, name)
            if newer == known:
                raise
        return await self.connection.predict(call, name, make_inputs(newer.inputs), outputs, newer.outputs)

    async def _signature(self, call: Call, name: str) -> Signature:
        if call.model_version not in self._signatures:
            self._signatures[call.model_version] = (await self.connection.metadata(call)).signatures
        signatures = self._signatures[call.model_version]
        if name not in signatures:
            raise ServingError(
                f"signature is {name!r} but model {call.model_version.model!r} at {self.connection.target} serves "
                f"{', '.join(signatures)}; train and push a model with this tfrec (ctr and complementary_items need "
                "ranking.epochs above 0)"
            )
        return signatures[name]

    def _call(self, model_version: ModelVersion) -> Call:
        end = time.monotonic() + self.timeout_seconds
        request_id = self.request_id or uuid.uuid4().hex
        return Call(self.connection.target, model_version, request_id, self.timeout_seconds, end)


def _is_missing_version(error: CallError) -> bool:
    return error.code == Code.NOT_FOUND or "Unrecognized servable version label" in str(error)
