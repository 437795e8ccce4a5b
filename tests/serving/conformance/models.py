"""Status and metadata of models over both protocols, and health."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tests.serving.conformance.row import ANY, MODEL, Grpc, Holding, Rest, Row

FIELD = "signature_def"
OK = {"error_code": "OK", "error_message": ""}


def status_of(**spec: Any) -> get_model_status_pb2.GetModelStatusRequest:
    return get_model_status_pb2.GetModelStatusRequest(model_spec=spec)


def status(request: get_model_status_pb2.GetModelStatusRequest, **expected: Any) -> Grpc:
    return Grpc(service=MODEL, method="GetModelStatus", request=request, **expected)


def metadata_of(*fields: str, **spec: Any) -> get_model_metadata_pb2.GetModelMetadataRequest:
    return get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=fields)


def metadata(request: get_model_metadata_pb2.GetModelMetadataRequest, **expected: Any) -> Grpc:
    return Grpc(method="GetModelMetadata", request=request, **expected)


def invalid(text: str) -> dict[str, str]:
    return {"code": "INVALID_ARGUMENT", "text": text}


def not_found(text: str) -> dict[str, str]:
    return {"code": "NOT_FOUND", "text": text}


def available(*versions: str) -> dict[str, Any]:
    return {"model_version_status": [{"version": each, "state": "AVAILABLE", "status": OK} for each in versions]}


def get(path: str, **expected: Any) -> Rest:
    return Rest(method="GET", path=path, **expected)


def tensor(dtype: str, name: Any, sizes: Iterable[str] = ("-1",)) -> Any:
    dims = [{"size": size, "name": ""} for size in sizes]
    return Holding({"dtype": dtype, "name": name, "tensor_shape": {"dim": dims, "unknown_rank": False}})


LINEAR = "x:DT_FLOAT[-1] y:DT_FLOAT[-1] -> difference:DT_FLOAT[-1] sum:DT_FLOAT[-1]"
GRPC: dict[str, Row] = {
    "status of every version, the newest first": status(
        status_of(name="toy"), answer=[(2, "AVAILABLE", 0, ""), (1, "AVAILABLE", 0, "")]
    ),
    "status of one version": status(status_of(name="toy", version={"value": 1}), answer=[(1, "AVAILABLE", 0, "")]),
    "a label in a status request is ignored": status(
        status_of(name="toy", version_label="stable"), answer=[(2, "AVAILABLE", 0, ""), (1, "AVAILABLE", 0, "")]
    ),
    "status of an unknown model": status(
        status_of(name="other"), **not_found("Could not find any versions of model other")
    ),
    "status of an unknown version": status(
        status_of(name="toy", version={"value": 7}), **not_found("Could not find version 7 of model toy")
    ),
    "status of a version in the folder that is not configured": status(
        status_of(name="toy", version={"value": 3}), **not_found("Could not find version 3 of model toy")
    ),
    "status without a model name": status(status_of(), **not_found("Could not find any versions of model ")),
    "status without a model_spec": status(get_model_status_pb2.GetModelStatusRequest(), **invalid("Missing ModelSpec")),
    "metadata holds every signature": metadata(
        metadata_of(FIELD, name="toy"),
        answer=(
            "toy::2",
            Holding(serving_default=LINEAR, with_default=LINEAR, mirror="x:DT_STRING[-1] -> x:DT_STRING[-1]"),
        ),
    ),
    "metadata of a version": metadata(
        metadata_of(FIELD, name="toy", version={"value": 1}), answer=("toy::1", Holding(serving_default=LINEAR))
    ),
    "metadata of a label": metadata(
        metadata_of(FIELD, name="toy", version_label="stable"), answer=("toy::1", Holding(serving_default=LINEAR))
    ),
    "a field may be repeated": metadata(
        metadata_of(FIELD, FIELD, name="toy"), answer=("toy::2", Holding(serving_default=LINEAR))
    ),
    "metadata without a model_spec": metadata(
        get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[FIELD]), **invalid("Missing ModelSpec")
    ),
    "metadata without a model name": metadata(metadata_of(FIELD), **invalid("ModelSpec has no name specified.")),
    "metadata without a field": metadata(
        metadata_of(name="toy"), **invalid("GetModelMetadataRequest must specify at least one metadata_field")
    ),
    "metadata of another field": metadata(
        metadata_of("assets", name="toy"), **invalid("Metadata field assets is not supported")
    ),
    "fields are checked before the model": metadata(
        metadata_of(FIELD, "assets", name="other"), **invalid("Metadata field assets is not supported")
    ),
    "metadata of an unknown model": metadata(
        metadata_of(FIELD, name="other"), **not_found("Servable not found for request: Latest(other)")
    ),
    "metadata of an unknown version": metadata(
        metadata_of(FIELD, name="toy", version={"value": 7}),
        **not_found("Servable not found for request: Specific(toy, 7)"),
    ),
    "metadata of an unknown label": metadata(
        metadata_of(FIELD, name="toy", version_label="nope"),
        **invalid("Unrecognized servable version label: nope"),
    ),
}

REST: dict[str, Row] = {
    "REST: status of every version, the newest first": get("/v1/models/toy", answer=available("2", "1")),
    "REST: status of one version": get("/v1/models/toy/versions/1", answer=available("1")),
    "REST: leading zeros of a version are ignored": get("/v1/models/toy/versions/01", answer=available("1")),
    "REST: a label in a status request is ignored": get("/v1/models/toy/labels/stable", answer=available("2", "1")),
    "REST: status of an unknown model": get(
        "/v1/models/other", status=404, error="Could not find any versions of model other"
    ),
    "REST: status of an unknown version": get(
        "/v1/models/toy/versions/7", status=404, error="Could not find version 7 of model toy"
    ),
    "REST: a name is decoded": get("/v1/models/a%2Fb%20c", answer=available("1")),
    "REST: metadata has the field names of the messages, with defaults": get(
        "/v1/models/toy/metadata",
        answer={
            "model_spec": {"name": "toy", "signature_name": "", "version": "2"},
            "metadata": {
                FIELD: {
                    FIELD: Holding(
                        serving_default=Holding(
                            method_name="tensorflow/serving/predict",
                            inputs={
                                "x": tensor("DT_FLOAT", "serving_default_x:0"),
                                "y": tensor("DT_FLOAT", "serving_default_y:0"),
                            },
                            outputs={
                                "difference": tensor("DT_FLOAT", ANY),
                                "sum": tensor("DT_FLOAT", ANY),
                            },
                        )
                    )
                }
            },
        },
    ),
    "REST: metadata of a version": get(
        "/v1/models/toy/versions/1/metadata",
        answer=Holding(model_spec={"name": "toy", "signature_name": "", "version": "1"}),
    ),
    "REST: metadata of a label": get(
        "/v1/models/toy/labels/stable/metadata",
        answer=Holding(model_spec={"name": "toy", "signature_name": "", "version": "1"}),
    ),
    "REST: a label is decoded": get(
        "/v1/models/toy/labels/canary%2F2%20b/metadata",
        answer=Holding(model_spec={"name": "toy", "signature_name": "", "version": "2"}),
    ),
    "REST: metadata of an unknown model": get(
        "/v1/models/other/metadata", status=404, error="Servable not found for request: Latest(other)"
    ),
    "REST: metadata of an unknown version": get(
        "/v1/models/toy/versions/7/metadata", status=404, error="Servable not found for request: Specific(toy, 7)"
    ),
    "REST: metadata of an unknown label": get(
        "/v1/models/toy/labels/a%20b/metadata", status=400, error="Unrecognized servable version label: a b"
    ),
}


def health(name: str, **expected: Any) -> Grpc:
    request = health_pb2.HealthCheckRequest(service=name)
    return Grpc(service="grpc.health.v1.Health", method="Check", request=request, **expected)


HEALTH: dict[str, Row] = {
    "health of the server": health("", answer="SERVING"),
    "health of prediction": health("PredictionService", answer="SERVING"),
    "health of the models": health("ModelService", answer="SERVING"),
    "health by the full name of a service is unknown": health(
        "tensorflow.serving.PredictionService", code="NOT_FOUND", text=ANY
    ),
}

ROWS = GRPC | REST | HEALTH
