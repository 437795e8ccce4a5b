"""Clients of a server, a server with two versions of the toy model, and a proxy in front of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format

from serving.client import Client
from serving.server.embedded import Server, start
from serving.wire.protos import ModelServerConfig
from tests.serving.client.loop_client import LoopClient, target
from tests.serving.client.proxies import Proxy, grpc_proxy, rest_proxy


@pytest.fixture(scope="module")
def two_versions(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of versions 1 and 2 of the model toy, labeled "stable" and "the new/one"."""
    base = tmp_path_factory.mktemp("served")
    for number in ("1", "2"):
        shutil.copytree(exported / number, base / number)
    text = f"""model_config_list {{ config {{
        name: "toy" base_path: "{base}" model_platform: "tensorflow"
        model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
        version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "the new/one" value: 2 }}
    }} }}"""
    labeled = text_format.Parse(text, ModelServerConfig())
    unlabeled = ModelServerConfig()
    unlabeled.CopyFrom(labeled)
    unlabeled.model_config_list.config[0].version_labels.clear()
    with start(unlabeled) as server, Client(f"127.0.0.1:{server.port}", "toy", 20) as client:
        while [status.state for status in client.status()] != ["AVAILABLE", "AVAILABLE"]:
            time.sleep(0.05)
        client.reload(labeled)
        yield server


@pytest.fixture
def proxy(protocol: str, two_versions: Server) -> Iterator[Proxy]:
    with grpc_proxy(two_versions) if protocol == "gRPC" else rest_proxy(two_versions) as running:
        yield running


@pytest.fixture(scope="module", params=["gRPC", "REST", "gRPC in a loop", "REST in a loop"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    protocol, _, in_a_loop = request.param.partition(" ")
    at = target(server, protocol)
    with LoopClient(at) if in_a_loop else Client(at, "toy", timeout_seconds=20) as client:
        yield client


@pytest.fixture(scope="module")
def by_grpc(server: Server) -> Iterator[Client]:
    with Client(target(server, "gRPC"), "toy", timeout_seconds=20) as client:
        yield client
