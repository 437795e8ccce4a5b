"""The calls of TensorFlow Serving's protocol, shared by gRPC and REST.

Each takes a request message and returns a response message; it raises StatusError to refuse.
"""

from __future__ import annotations

from serving.lifecycle.models import Models
from serving.request.deadline import Deadline
from serving.request.monitoring import first_values
from serving.request.status import Code, StatusError, invalid
from serving.servable import inference
from serving.servable.servable import DEFAULT_SIGNATURE
from serving.wire.protos import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    ModelVersionStatus,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from serving.wire.tensors import as_array, to_proto


def predict(models: Models, request: PredictRequest, deadline: Deadline) -> PredictResponse:
    """PredictionService.Predict."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    with models.use(spec) as (version, servable):
        outputs = servable.predict(spec.signature_name, request.inputs, request.output_filter, deadline=deadline)
    response = PredictResponse()
    response.model_spec.name = spec.name
    response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
    response.model_spec.version.value = version
    for alias, array in outputs.items():
        response.outputs[alias].CopyFrom(to_proto(as_array(array)))
    return response


def classify(models: Models, request: ClassificationRequest, deadline: Deadline) -> ClassificationResponse:
    """PredictionService.Classify."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    with models.use(request.model_spec) as (version, servable):
        return inference.classify(servable, request, version, deadline)


def regress(models: Models, request: RegressionRequest, deadline: Deadline) -> RegressionResponse:
    """PredictionService.Regress."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    with models.use(request.model_spec) as (version, servable):
        return inference.regress(servable, request, version, deadline)


def multi_inference(models: Models, request: MultiInferenceRequest, deadline: Deadline) -> MultiInferenceResponse:
    """PredictionService.MultiInference: the first task selects the version for all tasks."""
    spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
    with models.use(spec) as (version, servable):
        return inference.multi_inference(servable, request, version, deadline)


def get_model_metadata(models: Models, request: GetModelMetadataRequest, _: Deadline) -> GetModelMetadataResponse:
    """PredictionService.GetModelMetadata; `signature_def` is the only metadata field."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    response = GetModelMetadataResponse()
    with models.use(request.model_spec) as (version, servable):
        response.metadata["signature_def"].Pack(SignatureDefMap(signature_def=servable.signature_defs))
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    return response


def get_model_status(models: Models, request: GetModelStatusRequest, _: Deadline) -> GetModelStatusResponse:
    """ModelService.GetModelStatus: one version, or all since the start, the newest first.

    A label in the request is ignored.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    response = GetModelStatusResponse()
    for status in reversed(models.statuses(spec.name)):
        if number in (None, status.number):
            added = response.model_version_status.add(version=status.number)
            added.state = ModelVersionStatus.State.Value(status.state)
            added.status.error_code = status.error.code.value[0] if status.error else 0
            added.status.error_message = status.error.message if status.error else ""
    if not response.model_version_status:
        which = "any versions" if number is None else f"version {number}"
        raise StatusError(Code.NOT_FOUND, f"Could not find {which} of model {spec.name}")
    return response


def reload_config(models: Models, request: ReloadConfigRequest, deadline: Deadline) -> ReloadConfigResponse:
    """ModelService.HandleReloadConfigRequest: returns once each new model has a version in service.

    The response holds the increase of each requested metric meanwhile, of its first series.
    """
    before = first_values(request.metric_names)
    if request.config.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported"
        )
    models.configure(request.config, check_caller=deadline.check)
    response = ReloadConfigResponse(status={})
    for name, value in first_values(before).items():
        response.metric.add(name=name, int64_value_increase=value - before[name])
    return response
