"""Dockerfile.serving, built on a stand-in for TensorFlow Serving's image, and its health check.

The stand-in has bash, cat, the entry point, variables and ports of the stock image, and a
`tensorflow_model_server` that prints its command line. No image registry is needed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from serving.server.embedded import Server

ROOT = Path(__file__).parents[3]
HEALTHCHECK = ROOT / "serving" / "deploy" / "healthcheck.sh"

ENTRY_POINT = "/usr/bin/tf_serving_entrypoint.sh"
# tensorflow/serving, tensorflow_serving/tools/docker/Dockerfile writes this script.
STOCK_SCRIPT = """#!/bin/bash

tensorflow_model_server --port=8500 --rest_api_port=8501 \
--model_name=${MODEL_NAME} --model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME} \
"$@"
"""
STAND_IN = f"""FROM scratch
COPY rootfs /
ENV MODEL_BASE_PATH=/models
ENV MODEL_NAME=model
EXPOSE 8500
EXPOSE 8501
ENTRYPOINT ["{ENTRY_POINT}"]
"""
STOCK_FLAGS = ["--port=8500", "--rest_api_port=8501", "--model_name=model", "--model_base_path=/models/model"]
OUR_FLAGS = [
    "--model_config_file=/config/models.config",
    "--monitoring_config_file=/config/monitoring.config",
    "--enable_grpc_healthcheck_service=true",
]

Buildah = Callable[..., str]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    """A function that runs buildah on this module's own storage."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah builds the image; Debian 12: apt-get install buildah")
    storage = tmp_path_factory.mktemp("storage")
    own = ["--root", str(storage / "root"), "--runroot", str(storage / "run"), "--storage-driver", "vfs"]

    def run(*words: str) -> str:
        done = subprocess.run(["buildah", *own, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Docker's configuration of the image that Dockerfile.serving builds."""
    base, context = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("context")
    write_stand_in(base)
    build = ["bud", "--isolation", "chroot", "--format", "docker", "--pull-never"]
    buildah(*build, "-t", f"docker.io/tensorflow/serving:{pinned_version()}", str(base))
    shutil.copytree(ROOT / "serving", context / "serving", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (context / "pushed" / "3").mkdir(parents=True)
    (context / "pushed" / "3" / "saved_model.pb").write_text("a model", encoding="utf-8")
    dockerfile = ["-f", str(ROOT / "Dockerfile.serving"), "--build-arg", "MODEL_DIR=pushed"]
    buildah(*build, *dockerfile, "-t", "tfrec-serving", str(context))
    return json.loads(buildah("inspect", "--type", "image", "tfrec-serving"))["Docker"]["config"]


@pytest.fixture(scope="module")
def inside(buildah: Buildah, image: dict[str, Any]) -> Buildah:
    """A function that runs a command in a container of the image, on this machine's network."""
    container = buildah("from", "--pull-never", "tfrec-serving").strip()
    return lambda *words: buildah("run", "--isolation", "chroot", container, "--", *words)


@pytest.fixture
def loading() -> Iterator[int]:
    """The REST port of a server that answers 200 while its only version still loads."""
    body = b'{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "LOADING"\n  }\n ]\n}\n'

    class Status(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_server_gets_the_stock_command_line_followed_by_our_flags(image, inside):
    assert image["Entrypoint"] == [ENTRY_POINT]
    assert image["Cmd"] == OUR_FLAGS
    assert inside(*image["Entrypoint"], *image["Cmd"]).split() == STOCK_FLAGS + OUR_FLAGS


def test_the_image_does_not_run_as_root_and_keeps_the_stock_ports(image, inside):
    assert image["User"] == "10001:10001"
    assert inside("bash", "-c", "echo $EUID").strip() == "10001"
    assert sorted(image["ExposedPorts"]) == ["8500/tcp", "8501/tcp"]


def test_the_versions_and_the_configuration_are_at_the_paths_of_the_flags(inside):
    assert inside("cat", "/models/tfrec/3/saved_model.pb") == "a model"
    for name in ("models.config", "batching.config", "monitoring.config"):
        assert inside("cat", f"/config/{name}") == (ROOT / "serving" / name).read_text(encoding="utf-8")


def test_the_image_checks_its_own_health(image, inside, server: Server):
    kind, *command = image["Healthcheck"]["Test"]
    assert (kind, command) == ("CMD", ["healthcheck.sh", "tfrec", "8501"])
    inside(command[0], "toy", str(server.rest_api_port))
    with pytest.raises(AssertionError, match="exit status 1"):
        inside(command[0], "another", str(server.rest_api_port))


def test_a_server_with_a_version_in_service_is_healthy(server: Server):
    assert is_healthy("toy", server.rest_api_port)


def test_a_model_that_the_server_does_not_have_is_not_healthy(server: Server):
    assert not is_healthy("another", server.rest_api_port)


def test_a_server_whose_version_is_still_loading_is_not_healthy(loading):
    assert not is_healthy("toy", loading)


def test_a_closed_port_is_not_healthy():
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    assert not is_healthy("toy", port)


def is_healthy(model: str, port: int | None) -> bool:
    """True when the image's health check, run on this machine, succeeds."""
    command = ["bash", str(HEALTHCHECK), model, str(port)]
    return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0


def pinned_version() -> str:
    """The version of TensorFlow Serving that Dockerfile.serving names."""
    match = re.search(r"^ARG TF_SERVING_VERSION=(\S+)", (ROOT / "Dockerfile.serving").read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


def write_stand_in(folder: Path) -> None:
    """Write a build context of an image with the stock image's interface, bash and cat."""
    binaries = folder / "rootfs" / "usr" / "bin"
    binaries.mkdir(parents=True)
    (folder / "rootfs" / "bin").symlink_to("usr/bin")
    for name in ("bash", "cat"):
        program = shutil.which(name)
        assert program is not None
        shutil.copy(program, binaries / name)
        for library in re.findall(r"/\S+", subprocess.check_output(["ldd", program], text=True)):
            target = folder / "rootfs" / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    (binaries / "tensorflow_model_server").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (binaries / Path(ENTRY_POINT).name).write_text(STOCK_SCRIPT)
    for program in binaries.iterdir():
        os.chmod(program, 0o755)
    (folder / "Dockerfile").write_text(STAND_IN)
