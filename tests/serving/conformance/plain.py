"""Replies of gRPC as plain Python values."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from grpc_health.v1 import health_pb2
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)


def plain(method: str, reply: bytes) -> Any:
    """The reply of a method: its model_spec as "name:signature:version", then its content."""
    return _READERS[method](reply)


def _predict(reply: bytes) -> tuple[str, dict[str, Any]]:
    response = predict_pb2.PredictResponse.FromString(reply)
    return _spec(response.model_spec), {name: _values(proto) for name, proto in sorted(response.outputs.items())}


def _values(proto: Any) -> Any:
    """Values of the typed field, which clients read; tensor_content needs a flag of the server."""
    assert not proto.tensor_content
    return tf.make_ndarray(proto).tolist()


def _classify(reply: bytes) -> tuple[str, Any]:
    response = classification_pb2.ClassificationResponse.FromString(reply)
    return _spec(response.model_spec), _classes(response.result)


def _regress(reply: bytes) -> tuple[str, Any]:
    response = regression_pb2.RegressionResponse.FromString(reply)
    return _spec(response.model_spec), _regressions(response.result)


def _multi_inference(reply: bytes) -> list[tuple[str, Any]]:
    response = inference_pb2.MultiInferenceResponse.FromString(reply)
    return [
        (
            _spec(result.model_spec),
            _classes(result.classification_result)
            if result.HasField("classification_result")
            else _regressions(result.regression_result),
        )
        for result in response.results
    ]


def _classes(result: Any) -> list[list[tuple[str, float]]]:
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def _regressions(result: Any) -> list[float]:
    return [each.value for each in result.regressions]


def _metadata(reply: bytes) -> tuple[str, dict[str, str]]:
    """A signature as "x:DT_FLOAT[-1] -> sum:DT_FLOAT[-1]"."""
    response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(reply)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert list(response.metadata) == ["signature_def"]
    return _spec(response.model_spec), {
        name: f"{_infos(definition.inputs)} -> {_infos(definition.outputs)}"
        for name, definition in signatures.signature_def.items()
    }


def _infos(infos: Any) -> str:
    def shape(info: Any) -> str:
        return ",".join(str(dim.size) for dim in info.tensor_shape.dim)

    return " ".join(
        f"{name}:{types_pb2.DataType.Name(info.dtype)}[{shape(info)}]" for name, info in sorted(infos.items())
    )


def _status(reply: bytes) -> list[tuple[int, str, int, str]]:
    response = get_model_status_pb2.GetModelStatusResponse.FromString(reply)
    states = get_model_status_pb2.ModelVersionStatus.State
    return [
        (each.version, states.Name(each.state), each.status.error_code, each.status.error_message)
        for each in response.model_version_status
    ]


def _reload(reply: bytes) -> tuple[int, str, dict[str, int]]:
    """Code, text and the increase of each metric."""
    response = model_management_pb2.ReloadConfigResponse.FromString(reply)
    grown = {metric.name: metric.int64_value_increase for metric in response.metric}
    assert len(grown) == len(response.metric)
    return response.status.error_code, response.status.error_message, grown


def _health(reply: bytes) -> str:
    status = health_pb2.HealthCheckResponse.FromString(reply).status
    return health_pb2.HealthCheckResponse.ServingStatus.Name(status)


def _spec(spec: Any) -> str:
    return f"{spec.name}:{spec.signature_name}:{spec.version.value}"


_READERS = {
    "Predict": _predict,
    "Classify": _classify,
    "Regress": _regress,
    "MultiInference": _multi_inference,
    "GetModelMetadata": _metadata,
    "GetModelStatus": _status,
    "HandleReloadConfigRequest": _reload,
    "Check": _health,
}
