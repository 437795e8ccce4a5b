"""Exported models, servers of them, and their clients."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from tests.serving.conformance import people as people_model
from tests.serving.conformance import toy
from tests.serving.shop import ShopModel


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders 1, 2 and 3: the shop's model with that scale; never written to."""
    root = tmp_path_factory.mktemp("exported")
    for number in (1, 2, 3):
        toy.export(root / str(number), number, ShopModel)
    return root


@pytest.fixture
def base_path(exported: Path, tmp_path: Path) -> Path:
    """A model_base_path with version 1 of the shop's model."""
    shutil.copytree(exported / "1", tmp_path / "toy" / "1")
    return tmp_path / "toy"


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 1 for tests that do not change it."""
    base = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "1", base / "1")
    with start(single("toy", base)) as running:
        yield running


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A channel to the `server` of the test's module, which may define its own."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds; fails after 15 seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the condition did not hold within 60 seconds"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def exported_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model_base_path with version 1 of conformance/people.py; never written to."""
    root = tmp_path_factory.mktemp("people")
    people_model.export(root / "1")
    return root


@pytest.fixture
def people_path(exported_people: Path, tmp_path: Path) -> Path:
    """A copy of `exported_people` that a test may change."""
    shutil.copytree(exported_people, tmp_path / "people")
    return tmp_path / "people"


@pytest.fixture(scope="session")
def people(exported_people: Path) -> Iterator[Server]:
    """A server of conformance/people.py."""
    with start(single("people", exported_people)) as running:
        yield running


@pytest.fixture(scope="session")
def rename_input() -> Callable[[Path, str, str], None]:
    """Renames an input in all signatures of a version."""

    def rename(path: Path, old: str, new: str) -> None:
        file = path / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        for signature in saved.meta_graphs[0].signature_def.values():
            if old in signature.inputs:
                signature.inputs[new].CopyFrom(signature.inputs.pop(old))
        file.write_bytes(saved.SerializeToString())

    return rename
