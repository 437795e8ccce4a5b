"""A connection over gRPC: numpy arrays in and out, without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import grpc
import numpy as np

from serving.client.address import is_loopback
from serving.client.connection import Arrays, Call, ModelVersion, await_reply, call_error
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
    # gRPC's default limit of 4 MB is a batch of 300 users with 100 long titles each.
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", 2**31 - 1),
]
_NETWORK_FAILURES = (
    "failed to connect",
    "errors resolving",
    "resolution failed",
    "socket closed",
    "connection reset",
    "handshake",
)
"""Parts of gRPC's error details that mean the server was not reached."""


class GrpcConnection:
    """A Connection over gRPC.

    It is bound to the running event loop if `is_async`; otherwise it blocks, and threads may share
    it.
    """

    needs_signature = False

    def __init__(self, target: str, tls: Tls | None, is_async: bool) -> None:
        """Create the channel; it connects at the first call."""
        self.target = target
        api: Any = grpc.aio if is_async else grpc
        options = [*_OPTIONS, ("grpc.enable_http_proxy", int(not is_loopback(target)))]
        self._channel = (
            api.secure_channel(target, tls.channel_credentials(), options=options)
            if tls
            else api.insecure_channel(target, options=options)
        )
        self._prediction_stub = PredictionServiceStub(self._channel)
        self._model_stub = ModelServiceStub(self._channel)

    async def predict(
        self, call: Call, signature: str, inputs: Arrays, outputs: Collection[str], described: Mapping[str, Tensor]
    ) -> Arrays:
        request = PredictRequest(model_spec=_model_spec(call.model_version, signature), output_filter=outputs)
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(to_proto(np.asarray(array)))
        response = await self._send(self._prediction_stub.Predict, request, signature, call)
        return {alias: from_proto(proto) for alias, proto in response.outputs.items()}

    async def metadata(self, call: Call) -> Metadata:
        request = GetModelMetadataRequest(model_spec=_model_spec(call.model_version), metadata_field=["signature_def"])
        response = await self._send(self._prediction_stub.GetModelMetadata, request, "its metadata", call)
        packed = SignatureDefMap()
        response.metadata["signature_def"].Unpack(packed)
        return Metadata(response.model_spec.version.value, signatures(packed))

    async def status(self, call: Call) -> list[VersionStatus]:
        request = GetModelStatusRequest(model_spec=ModelSpec(name=call.model_version.model))
        return statuses(await self._send(self._model_stub.GetModelStatus, request, "its status", call))

    async def reload(self, call: Call, config: ModelServerConfig) -> None:
        request = ReloadConfigRequest(config=config)
        await self._send(self._model_stub.HandleReloadConfigRequest, request, "a new configuration", call)

    async def close(self) -> None:
        await await_reply(self._channel.close())

    async def _send(self, method: Any, request: Any, subject: str, call: Call) -> Any:
        metadata = (("x-request-id", call.request_id),)
        try:
            return await await_reply(method(request, timeout=call.remaining_seconds(), metadata=metadata))
        except TimeoutError as error:
            raise call_error(grpc.StatusCode.DEADLINE_EXCEEDED, "", subject, call) from error
        except grpc.RpcError as error:
            details = error.details() or "no details"
            is_reached = not any(words in details.lower() for words in _NETWORK_FAILURES)
            raise call_error(error.code(), details, subject, call, is_reached=is_reached) from error


def _model_spec(model_version: ModelVersion, signature: str = "") -> ModelSpec:
    spec = ModelSpec(name=model_version.model, signature_name=signature)
    if model_version.version is not None:
        spec.version.value = model_version.version
    if model_version.label:
        spec.version_label = model_version.label
    return spec
