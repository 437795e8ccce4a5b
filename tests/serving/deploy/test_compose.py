"""compose.yaml is valid by the Compose Specification and fits the files that it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "serving" / "deploy" / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def test_the_file_is_valid_by_the_schema_of_compose():
    done = validate(COMPOSE)
    assert done.returncode == 0, done.stdout


def test_the_schema_refuses_an_unknown_key(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text(encoding="utf-8").replace("restart:", "restarts:"), encoding="utf-8")
    assert "'restarts' was unexpected" in validate(wrong).stdout


def test_the_server_is_built_from_our_dockerfile_and_watches_the_folder_it_was_built_with(services):
    build, (mount,) = services["serving"]["build"], services["serving"]["volumes"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == ROOT / "Dockerfile.serving"
    assert mount["source"] == f"{build['context']}/{build['args']['MODEL_DIR']}"
    models = (ROOT / "serving" / "models.config").read_text(encoding="utf-8")
    assert f'base_path: "{mount["target"]}"' in models


def test_the_default_folder_is_that_of_the_dockerfile(services):
    default = re.search(r"^ARG MODEL_DIR=(\S+)", (ROOT / "Dockerfile.serving").read_text(), re.MULTILINE)
    assert default is not None
    assert services["serving"]["build"]["args"]["MODEL_DIR"] == f"${{MODEL_DIR:-{default[1]}}}"


def test_no_port_is_open_to_other_machines(services):
    ports = [port for service in services.values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len(ports) == 4


def test_the_server_has_no_writable_volume_and_no_privileges(services):
    serving = services["serving"]
    assert serving["read_only"]
    assert serving["volumes"][0]["read_only"]
    assert serving["cap_drop"] == ["ALL"]
    assert serving["security_opt"] == ["no-new-privileges:true"]


def test_every_mounted_file_exists(services):
    mounted = [volume for name in ("prometheus", "grafana") for volume in services[name]["volumes"]]
    sources = [volume.split(":")[0] for volume in mounted if volume.startswith("./")]
    assert len(sources) == 4
    assert all((COMPOSE.parent / source).exists() for source in sources)


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    """Validate a file by the schema of the Compose Specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
