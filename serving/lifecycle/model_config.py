"""Configuration of the models to serve: TensorFlow Serving's ModelServerConfig and its checks."""

from __future__ import annotations

import re
from pathlib import Path

from serving.request.status import Code, StatusError, invalid
from serving.wire.protos import ModelConfig, ModelServerConfig, ModelType

PLATFORM = "tensorflow"
_SCHEME = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def single(name: str, base_path: str | Path) -> ModelServerConfig:
    """Make the configuration of one model, its latest version, as --model_base_path does."""
    config = ModelServerConfig()
    # A relative path is clear in this process; in a file it is refused, as in the stock server.
    config.model_config_list.config.add(name=name, base_path=str(Path(base_path).absolute()), model_platform=PLATFORM)
    return config


def check(new: ModelServerConfig, old: ModelServerConfig) -> None:
    """Raise StatusError, with the stock text, when `new` can't be served or can't replace `old`."""
    if new.WhichOneof("config") != "model_config_list":
        raise StatusError(
            Code.FAILED_PRECONDITION,
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another.",
        )
    names: set[str] = set()
    for model in new.model_config_list.config:
        if model.name in names:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in new.model_config_list.config:
        if not (model.base_path.startswith("/") or _SCHEME.match(model.base_path)):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
    before = {model.name: _platform(model) for model in old.model_config_list.config}
    for model in new.model_config_list.config:
        platform = _platform(model)
        if before.get(model.name, platform) != platform:
            raise invalid(
                f"Illegal to change a model's platform. For model {model.name} platform was {before[model.name]} "
                f"and new platform requested is {platform}"
            )
        if platform != PLATFORM:
            raise invalid(f"Model {model.name} requests unsupported platform {platform}")


def _platform(model: ModelConfig) -> str:
    if model.model_type == ModelType.Value("MODEL_TYPE_UNSPECIFIED"):
        if not model.model_platform:
            raise invalid(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) "
                "nor ModelServerConfig::model_platform."
            )
        return str(model.model_platform)
    if model.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
        )
    if model.model_type == ModelType.Value("TENSORFLOW"):
        return PLATFORM
    raise invalid(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
