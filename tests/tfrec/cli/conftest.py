"""A real server of the toy model (toy.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfrec.cli.toy import export_toy


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model_base_path with the toy model as version 1."""
    root = tmp_path_factory.mktemp("toy")
    export_toy(root / "1")
    return root


@pytest.fixture(scope="session")
def addresses(served: Path) -> Iterator[tuple[str, str]]:
    """The gRPC and the REST address of a server of the toy model."""
    from serving.lifecycle.model_config import single
    from serving.server.embedded import start

    with start(single("tfrec", served)) as server:
        yield f"127.0.0.1:{server.port}", f"127.0.0.1:{server.rest_api_port}"


@pytest.fixture(scope="session")
def address(addresses: tuple[str, str]) -> str:
    return addresses[0]
