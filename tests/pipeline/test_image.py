"""The image of Dockerfile, and the first pods of a compiled pipeline run in it.

In place of python:3.11-slim the base is a root file system by debootstrap, with this machine's
certificates. Packages are those of uv.lock, so the registry must be reachable.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration import named_run
from pipeline.kubeflow.cluster import Cluster, Volume, place_on_volume
from pipeline.kubeflow.compiler import write_pipeline
from pipeline.kubeflow.spec import Task, read_compiled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CLUSTER = Cluster(image="tfrec", volume=Volume("tfrec"))
VOLUME = CLUSTER.volume.path
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BASE = f"""FROM scratch
COPY rootfs /
ENV PIP_CERT={CERTIFICATES} SSL_CERT_FILE={CERTIFICATES}
"""

Buildah = Callable[..., str]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Run buildah on this module's own storage."""
    for tool in ("buildah", "debootstrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing; on Debian 12: apt-get install buildah debootstrap")
    storage = tmp_path_factory.mktemp("storage")
    own = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]

    def run(*words: str) -> str:
        done = subprocess.run(["buildah", *own, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")  # gigabytes; pytest keeps the folders of its last three runs


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The image built from Dockerfile, as `buildah inspect` describes it."""
    base = tmp_path_factory.mktemp("base")
    include = "--include=python3,python3-pip,ca-certificates"
    bootstrapped = subprocess.run(
        ["debootstrap", "--variant=minbase", include, "bookworm", str(base / "rootfs")],
        capture_output=True,
        text=True,
        check=False,
    )
    if bootstrapped.returncode:
        pytest.skip(f"debootstrap could not make the base: {bootstrapped.stdout[-300:]}")
    shutil.copy(CERTIFICATES, base / "rootfs" / CERTIFICATES.lstrip("/"))
    (base / "Dockerfile").write_text(BASE, encoding="utf-8")
    build = ["bud", "--isolation", "chroot", "--network", "host", "--format", "docker", "--pull-never"]
    buildah(*build, "-t", "base", str(base))
    shutil.rmtree(base)
    buildah(*build, "--layers", "--build-arg", "BASE=localhost/base", "-t", "tfrec", str(ROOT))
    return json.loads(buildah("inspect", "--type", "image", "tfrec"))


@pytest.fixture(scope="module")
def volume(write_tables: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cluster's volume with the shop's tables, writable for the image's user."""
    folder = tmp_path_factory.mktemp("volume")
    (folder / "data").mkdir()
    write_tables(folder / "data" / "tiny")
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, 10001, 10001)
    return folder


@pytest.fixture(scope="module")
def inside(buildah: Buildah, image: dict[str, Any], volume: Path) -> Buildah:
    """Run a command in a container of the image with the volume mounted."""
    container = buildah("from", "--pull-never", "tfrec").strip()
    mounted = ["--isolation", "chroot", "--volume", f"{volume}:{VOLUME}", container]
    return lambda *words: buildah("run", *mounted, "--", *words)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    """Display name -> task, for the first tasks of the compiled tiny run."""
    path = tmp_path_factory.mktemp("compiled") / "tiny.yaml"
    graph = {"ImportSchemaGen": [], "TableSetExampleGen": []}
    write_pipeline(place_on_volume(named_run("tiny"), CLUSTER), CLUSTER, graph, str(path))
    return {task.spec.task_info.name: task for task in read_compiled(path)}


def test_the_image_and_the_makefile_use_the_same_uv():
    (makefile_version,) = re.findall(
        r"^UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert re.findall(r"^ARG UV_VERSION=(\S+)", DOCKERFILE, re.MULTILINE) == [makefile_version]


def test_the_image_has_no_root_user_and_no_build_tools(image, inside):
    assert image["Docker"]["config"]["User"] == "10001:10001"
    assert inside("id", "-u").strip() == "10001"
    inside("sh", "-c", "! command -v uv && ! command -v gcc && ! touch /opt/tfrec/here")


def test_the_image_has_the_locked_packages_and_the_project_in_separate_layers(image, inside):
    assert (
        inside("sh", "-c", "cd / && python -c 'import tfrec; print(tfrec.__file__)'").strip().startswith("/opt/tfrec/")
    )
    inside("python", "-m", "pip", "show", "tensorflow", "tfrec")
    locked = re.search(r'name = "tfx"\nversion = "(\S+)"', (ROOT / "uv.lock").read_text(encoding="utf-8"))
    assert locked is not None
    assert f"Version: {locked[1]}\n" in inside("python", "-m", "pip", "show", "tfx")
    copied = [each["created_by"] for each in image["Docker"]["history"] if "COPY" in each["created_by"]]
    assert len(copied) >= 2


def test_compiled_command_lines_of_plan_and_two_nodes_run_in_the_image(inside, tasks, volume):
    inside(*command(tasks["plan"], run="1", plan_file=f"{VOLUME}/plan_path"))
    planned = (volume / "plan_path").read_text(encoding="utf-8")
    assert "node ImportSchemaGen: complete" in inside(*command(tasks["ImportSchemaGen"], planned))
    assert "node TableSetExampleGen: complete" in inside(*command(tasks["TableSetExampleGen"], planned))
    assert list(volume.glob("out/pipelines/tiny/TableSetExampleGen/examples/*/Split-train/*"))


def command(task: Task, plan: str = "", run: str = "", plan_file: str = "") -> list[str]:
    """The task's command line with its placeholders replaced."""
    values = {
        "{{$.inputs.parameters['plan']}}": plan,
        "{{$.inputs.parameters['run_id']}}": run,
        "{{$.outputs.parameters['plan'].output_file}}": plan_file,
    }
    return [values.get(word, word) for word in [*task.container.command, *task.container.args]]
