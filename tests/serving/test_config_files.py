"""Configuration files of the stock server: they parse, and the image has what they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.batching.options import BatchOptions, read_batch_options
from serving.wire.config_protos import MonitoringConfig

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "serving"


def parse(name: str, message_type: Any) -> Any:
    return text_format.Parse((SERVING / name).read_text(encoding="utf-8"), message_type())


def test_the_model_configuration_serves_the_latest_version_of_tfrec() -> None:
    config = parse("models.config", model_server_config_pb2.ModelServerConfig)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("tfrec", "/models/tfrec", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_the_batching_parameters_never_pad() -> None:
    assert read_batch_options(True, str(SERVING / "batching.config")) == BatchOptions(
        max_batch_size=64,
        batch_timeout_micros=1000,
        max_enqueued_batches=100,
        num_batch_threads=4,
        allowed_batch_sizes=(),  # on a CPU, added rows are work for nothing
        pad_variable_length_inputs=False,  # padding would repeat a user's oldest event as the newest
    )


def test_the_monitoring_configuration_has_the_stock_path() -> None:
    monitoring = parse("monitoring.config", MonitoringConfig)
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_image_is_recent_runs_without_root_and_holds_the_files_of_its_flags() -> None:
    text = (ROOT / "Dockerfile.serving").read_text(encoding="utf-8")
    instructions = [line for line in text.splitlines() if re.match("[A-Z]", line)]
    version = re.search(r"^ARG TF_SERVING_VERSION=(\d+)\.(\d+)", text, re.MULTILINE)
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (2, 20)
    assert instructions[1] == "FROM tensorflow/serving:${TF_SERVING_VERSION}"
    assert any(re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", line) for line in instructions)
    model = parse("models.config", model_server_config_pb2.ModelServerConfig).model_config_list.config[0]
    assert any(line.endswith(f"${{MODEL_DIR}} {model.base_path}") for line in instructions)
    for flag in re.findall(r"--\w+=(/config/[\w.]+)", text):
        assert (SERVING / Path(flag).name).is_file()
