"""What each call of TensorFlow Serving's protocol answers: message in, message out, StatusError on refusal.

gRPC and REST both end here. It knows nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from serving.model import Model
from serving.protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    ModelVersionStatus,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from serving.servable import DEFAULT_SIGNATURE, Servable
from serving.status import Code, StatusError, invalid, not_found
from serving.tensors import to_proto

Models = Mapping[str, Model]
"""The served models by name."""


@contextmanager
def use_servable(models: Models, spec: ModelSpec) -> Iterator[tuple[int, Servable]]:
    """The version that `spec` asks for and its servable, loaded until the block ends."""
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    with _model(models, spec).use(_version(spec)) as used:
        yield used


def predict(models: Models, request: PredictRequest) -> PredictResponse:
    """PredictionService.Predict."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    with use_servable(models, spec) as (version, servable):
        outputs = servable.predict(spec.signature_name, request.inputs, request.output_filter)
    response = PredictResponse()
    response.model_spec.name = spec.name
    response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
    response.model_spec.version.value = version
    for alias, array in outputs.items():
        response.outputs[alias].CopyFrom(to_proto(np.asarray(array)))
    return response


def get_model_metadata(models: Models, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """PredictionService.GetModelMetadata: the signatures, the one field that there is."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    response = GetModelMetadataResponse()
    with use_servable(models, request.model_spec) as (version, servable):
        response.metadata["signature_def"].Pack(SignatureDefMap(signature_def=servable.signature_defs))
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    return response


def get_model_status(models: Models, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """ModelService.GetModelStatus: one version, or every one seen since the server started."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = _version(spec)
    statuses = models[spec.name].statuses() if spec.name in models else []
    response = GetModelStatusResponse()
    for status in statuses:
        if number in (None, status.number):
            known = response.model_version_status.add(version=status.number)
            known.state = ModelVersionStatus.State.Value(status.state)
            known.status.error_code = status.error.code.value[0] if status.error else 0
            known.status.error_message = status.error.message if status.error else ""
    if not response.model_version_status:
        which = "any versions" if number is None else f"version {number}"
        raise StatusError(Code.NOT_FOUND, f"Could not find {which} of model {spec.name}")
    return response


def _model(models: Models, spec: ModelSpec) -> Model:
    number = _version(spec)
    if spec.name not in models:
        raise not_found(spec.name, number)
    return models[spec.name]


def _version(spec: ModelSpec) -> int | None:
    if spec.version_label:  # none can be assigned yet
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None
