"""Configurations for the reload of a running server, and those that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2

from tests.serving.conformance.row import MODEL, Grpc

TENSORFLOW = 'model_platform: "tensorflow"'
NOTHING: Mapping[str, int] = {}


def model(base_path: object, more: str = "", name: str = "toy", platform: str = TENSORFLOW) -> str:
    return f'config {{ name: "{name}" base_path: "{base_path}" {platform} {more} }}'


def specific(*versions: int) -> str:
    return f"model_version_policy {{ specific {{ {' '.join(f'versions: {each}' for each in versions)} }} }}"


def labeled(**labels: int) -> str:
    return " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())


def file_of(*models: str) -> str:
    """The text of a model_config_file."""
    return f"model_config_list {{ {' '.join(models)} }}"


def reload(config: str, grown: Mapping[str, int] = NOTHING, **expected: Any) -> Grpc:
    """The row of a reload; by default it succeeds and returns the increases `grown` of metrics."""
    request = model_management_pb2.ReloadConfigRequest(metric_names=grown)
    text_format.Parse(config, request.config)
    if "code" not in expected:
        expected["answer"] = (0, "", grown)
    return Grpc(service=MODEL, method="HandleReloadConfigRequest", request=request, **expected)


def invalid(config: str, text: str) -> Grpc:
    return reload(config, code="INVALID_ARGUMENT", text=text)


def refusals(base_path: object) -> dict[str, Grpc]:
    """Refusals of a server whose model `toy` has version 1 in service."""
    toy = model(base_path)
    only_lists = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
    )
    return {
        "nothing": invalid("", only_lists),
        "a configuration that is no list": invalid("custom_model_config {}", only_lists),
        "a model twice": invalid(file_of(toy, toy), "Illegal to list model toy multiple times in config list"),
        "a relative path": invalid(
            file_of(model("relative")),
            "Expected model toy to have an absolute path or URI; got base_path()=relative",
        ),
        "a path that only looks like a URI": invalid(
            file_of(model("c:/models")), "Expected model toy to have an absolute path or URI; got base_path()=c:/models"
        ),
        "another platform": invalid(
            file_of(model(base_path, platform='model_platform: "tflite"')),
            "Illegal to change a model's platform. For model toy platform was tensorflow and "
            "new platform requested is tflite",
        ),
        "an unknown platform": invalid(
            file_of(toy, model(base_path, name="other", platform='model_platform: "tflite"')),
            "Model other requests unsupported platform tflite",
        ),
        "no platform": invalid(
            file_of(model(base_path, platform="")),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
        "platform and type": invalid(
            file_of(model(base_path, "model_type: TENSORFLOW")),
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.",
        ),
        "a label of a version that is not in service": reload(
            file_of(model(base_path, labeled(canary=2))),
            code="FAILED_PRECONDITION",
            text="Request to assign label to version 2 of model toy, which is not currently available for inference",
        ),
    }


REFUSALS = tuple(refusals(""))
"""Names of the refusals."""
