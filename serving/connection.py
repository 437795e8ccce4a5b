"""A gRPC connection to one model on a TensorFlow Serving server: arrays in, arrays out, without TensorFlow.

It knows nothing of shops (client.py), nor which of the two servers it speaks to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
import numpy as np

from serving.protos import (
    DataType,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServiceStub,
    ModelSpec,
    ModelVersionStatus,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
)
from serving.tensors import from_proto, to_proto
from tfrec.errors import ServingError

_OPTIONS = [
    # gRPC's own limit of 4 MB is a batch of 300 users with 100 long titles each.
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", 2**31 - 1),
    # Else a client that outlives a server's restart may wait two minutes before it tries again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class CallError(ServingError):
    """A call that failed, with gRPC's code."""

    def __init__(self, text: str, code: grpc.StatusCode) -> None:
        super().__init__(text)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Tensor:
    """`dtype` is "string", "int64", "float" ...; `shape` has -1 for any size, and is None for any rank."""

    dtype: str
    shape: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a served model can be asked."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version: `state` START, LOADING, AVAILABLE, UNLOADING or END; `error` is "" when all is well."""

    version: int
    state: str
    error: str


class Connection:
    """One model at one target; threads may share it. Every call raises CallError with one sentence."""

    def __init__(self, target: str, model: str, timeout_seconds: float) -> None:
        """Connects at the first call, not here; `timeout_seconds` bounds each call."""
        self.target = target
        self.model = model
        self.timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(target, options=_OPTIONS)
        self._prediction = PredictionServiceStub(self._channel)
        self._model = ModelServiceStub(self._channel)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], output_filter: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs of a signature by name (all, or those of `output_filter`); strings are bytes."""
        spec = ModelSpec(name=self.model, signature_name=signature)
        request = PredictRequest(model_spec=spec, output_filter=output_filter or ())
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(np.asarray(array)))
        response = self._call(self._prediction.Predict, request, signature)
        return {name: from_proto(proto) for name, proto in response.outputs.items()}

    def signatures(self) -> dict[str, Signature]:
        """What the version in service can be asked, by signature name."""
        request = GetModelMetadataRequest(model_spec=ModelSpec(name=self.model), metadata_field=["signature_def"])
        response = self._call(self._prediction.GetModelMetadata, request, "its metadata")
        packed = SignatureDefMap()
        response.metadata["signature_def"].Unpack(packed)
        return {
            name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
            for name, definition in sorted(packed.signature_def.items())
            if definition.inputs  # the initialisation of tables is listed too, and can't be asked
        }

    def status(self) -> list[VersionStatus]:
        """Every version that the server has seen, lowest first."""
        request = GetModelStatusRequest(model_spec=ModelSpec(name=self.model))
        response = self._call(self._model.GetModelStatus, request, "its status")
        states = ModelVersionStatus.State
        return [
            VersionStatus(known.version, states.Name(known.state), known.status.error_message)
            for known in sorted(response.model_version_status, key=lambda known: known.version)
        ]

    def _call(self, method: Any, request: Any, what: str) -> Any:
        try:
            return method(request, timeout=self.timeout_seconds)
        except grpc.RpcError as error:
            raise CallError(self._sentence(error.code(), error.details(), what), error.code()) from error

    def _sentence(self, code: grpc.StatusCode, details: str | None, what: str) -> str:
        if code == grpc.StatusCode.UNAVAILABLE:
            return (
                f"target is {self.target} but no model server answers there ({details}); "
                "start one with `tfrec serve`, or pass the target of one that runs"
            )
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return (
                f"the server at {self.target} did not answer {what} within timeout_seconds="
                f"{self.timeout_seconds:g}; raise timeout_seconds or ask for less at once"
            )
        cure = "; check the model's name and its `status`" if code == grpc.StatusCode.NOT_FOUND else ""
        return f"the server at {self.target} refused {what} of {self.model!r}: {details} ({code.name}){cure}"


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(_dtype(info), _shape(info)) for name, info in sorted(infos.items())}


def _dtype(info: Any) -> str:
    return DataType.Name(info.dtype).removeprefix("DT_").lower()


def _shape(info: Any) -> tuple[int, ...] | None:
    return None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
