"""A connection by gRPC: arrays in, arrays out, without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import grpc
import numpy as np

from serving.client.connection import Arrays, Call, Choice, failure, ready
from serving.client.model_info import Metadata, Tensor, VersionStatus, signatures, statuses
from serving.client.retries import GRPC_RETRY_OPTIONS
from serving.client.tls import Tls
from serving.wire.protos import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServerConfig,
    ModelServiceStub,
    ModelSpec,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
    SignatureDefMap,
)
from serving.wire.tensors import from_proto, to_proto

_OPTIONS = [
    *GRPC_RETRY_OPTIONS,
    # gRPC's own limit of 4 MB is a batch of 300 users with 100 long titles each.
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", 2**31 - 1),
]
_NOT_REACHED = ("failed to connect", "resolution failed", "socket closed", "connection reset", "handshake")


class GrpcConnection:
    """A serving.client.connection.Connection over gRPC: of the running event loop if `is_async`, else for threads."""

    needs_signature = False

    def __init__(self, target: str, tls: Tls | None, is_async: bool) -> None:
        """Connects at the first call, not here."""
        self.target = target
        api: Any = grpc.aio if is_async else grpc
        self._channel = (
            api.secure_channel(target, tls.channel_credentials(), options=_OPTIONS)
            if tls
            else api.insecure_channel(target, options=_OPTIONS)
        )
        self._prediction = PredictionServiceStub(self._channel)
        self._model = ModelServiceStub(self._channel)

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        request = PredictRequest(model_spec=_spec(call.choice, signature), output_filter=outputs)
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(to_proto(np.asarray(array)))
        response = await self._call(self._prediction.Predict, request, signature, call)
        return {alias: from_proto(proto) for alias, proto in response.outputs.items()}

    async def metadata(self, call: Call) -> Metadata:
        request = GetModelMetadataRequest(model_spec=_spec(call.choice), metadata_field=["signature_def"])
        response = await self._call(self._prediction.GetModelMetadata, request, "its metadata", call)
        packed = SignatureDefMap()
        response.metadata["signature_def"].Unpack(packed)
        return Metadata(response.model_spec.version.value, signatures(packed))

    async def status(self, call: Call) -> list[VersionStatus]:
        request = GetModelStatusRequest(model_spec=ModelSpec(name=call.choice.model))
        return statuses(await self._call(self._model.GetModelStatus, request, "its status", call))

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        request = ReloadConfigRequest(config=config)
        await self._call(self._model.HandleReloadConfigRequest, request, "a new configuration", call)

    async def close(self) -> None:
        await ready(self._channel.close())

    async def _call(self, method: Any, request: Any, what: str, call: Call) -> Any:
        metadata = (("x-request-id", call.request_id),)
        try:
            return await ready(method(request, timeout=call.remaining_seconds(), metadata=metadata))
        except TimeoutError as error:
            raise failure(grpc.StatusCode.DEADLINE_EXCEEDED, "", what, call, self.target) from error
        except grpc.RpcError as error:
            details = error.details() or "no details"
            is_reached = not any(words in details.lower() for words in _NOT_REACHED)
            raise failure(error.code(), details, what, call, self.target, is_reached) from error


def _spec(choice: Choice, signature: str = "") -> ModelSpec:
    spec = ModelSpec(name=choice.model, signature_name=signature)
    if choice.version is not None:
        spec.version.value = choice.version
    if choice.label:
        spec.version_label = choice.label
    return spec
