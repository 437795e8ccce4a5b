"""`python -m tests.serving.conformance.export FOLDER`: write the suite's models and configuration.

docs/conformance.md starts the stock image with them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.serving.conformance import people, toy

IN_IMAGE = "/models"
"""Path of FOLDER in the stock image."""
FLAGS = (
    "--model_config_file={}/models.config",
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_grpc_healthcheck_service=true",
    "--rest_api_enable_cors_support=true",
    "--rest_api_timeout_in_ms=3000",
)
"""Flags of the server; {} is the path of FOLDER for it."""
MONITORING_FLAG = "--monitoring_config_file={}/monitoring.config"
MODELS = """
model_config_list {{
  config {{
    name: "toy" base_path: "{0}/toy" model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary/2 b" value: 2 }}
  }}
  config {{ name: "people" base_path: "{0}/people" model_platform: "tensorflow" }}
  config {{ name: "a/b c" base_path: "{0}/people" model_platform: "tensorflow" }}
}}
"""


def export(folder: Path, seen_as: str) -> None:
    """Fill `folder`, whose path for the server is `seen_as`."""
    for name in ("toy", "people"):
        (folder / name).mkdir(parents=True)
    for number in (1, 2, 3):
        toy.export(folder / "toy" / str(number), number)
    people.export(folder / "people" / "1")
    (folder / "models.config").write_text(MODELS.format(seen_as), encoding="utf-8")
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }\n", encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]), IN_IMAGE)
