"""What a server says of a model: its signatures and its versions, typed, of the messages that gRPC and REST share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from serving.wire.protos import DataType, GetModelStatusResponse, ModelVersionStatus, SignatureDefMap


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
class Metadata:
    """A version in service, and its signatures by name."""

    version: int
    signatures: Mapping[str, Signature]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version: `state` START, LOADING, AVAILABLE, UNLOADING or END; `error` is "" when all is well."""

    version: int
    state: str
    error: str


def signatures(packed: SignatureDefMap) -> dict[str, Signature]:
    """By name, those that can be asked: the initialisation of tables is listed by the server too, and can't be."""
    return {
        name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
        for name, definition in sorted(packed.signature_def.items())
        if definition.inputs
    }


def statuses(response: GetModelStatusResponse) -> list[VersionStatus]:
    """Every version that the server has seen, lowest first."""
    states = ModelVersionStatus.State
    return [
        VersionStatus(known.version, states.Name(known.state), known.status.error_message)
        for known in sorted(response.model_version_status, key=lambda known: known.version)
    ]


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(_dtype(info), _shape(info)) for name, info in sorted(infos.items())}


def _dtype(info: Any) -> str:
    return DataType.Name(info.dtype).removeprefix("DT_").lower()


def _shape(info: Any) -> tuple[int, ...] | None:
    return None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
