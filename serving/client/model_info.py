"""Model info: signatures and version status, read from the messages that gRPC and REST share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from serving.wire.protos import DataType, GetModelStatusResponse, ModelVersionStatus, SignatureDefMap


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Type and shape of a tensor."""

    dtype: str  # "string", "int64", "float" ...
    shape: tuple[int, ...] | None  # -1: any size; None: any rank


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Number and signatures of a version in service."""

    version: int
    signatures: Mapping[str, Signature]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """Status of one version of a model."""

    version: int
    state: str  # START, LOADING, AVAILABLE, UNLOADING or END
    error: str  # "" if there is none


def signatures(packed: SignatureDefMap) -> dict[str, Signature]:
    """Signatures by name, without the initializer of tables, which has no inputs."""
    return {
        name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
        for name, definition in sorted(packed.signature_def.items())
        if definition.inputs
    }


def statuses(response: GetModelStatusResponse) -> list[VersionStatus]:
    """Status of every version that the server knows, lowest first."""
    states = ModelVersionStatus.State
    return [
        VersionStatus(status.version, states.Name(status.state), status.status.error_message)
        for status in sorted(response.model_version_status, key=lambda status: status.version)
    ]


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(_dtype(info), _shape(info)) for name, info in sorted(infos.items())}


def _dtype(info: Any) -> str:
    return DataType.Name(info.dtype).removeprefix("DT_").lower()


def _shape(info: Any) -> tuple[int, ...] | None:
    return None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
