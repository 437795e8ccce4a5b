"""The server that the suite runs against: TFREC_SERVING_TARGET's, or ours in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

pytest.register_assert_rewrite("tests.serving.conformance.row")

# After the line above, or its asserts print no values.
from tests.serving import processes  # noqa: E402
from tests.serving.conformance import export, target  # noqa: E402


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that export.py writes; tests do not change it."""
    path = tmp_path_factory.mktemp("conformance") / "models"
    export.export(path, str(path))
    return path


@pytest.fixture(scope="session")
def shared(folder: Path) -> Iterator[target.Target]:
    """A server of the folder that export.py writes, with export.FLAGS."""
    named = target.named()
    if named:
        yield named
        return
    with processes.running(*(flag.format(folder) for flag in export.FLAGS)) as running:
        yield target.Target(running.target, running.rest)


@pytest.fixture(scope="module")
def served(shared: target.Target) -> target.Target:
    """The server of a module's rows; a module with its own flags overrides this fixture."""
    return shared


@pytest.fixture(scope="module")
def channel(served: target.Target) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.grpc, options=[("grpc.max_receive_message_length", -1)]) as opened:
        yield opened


@pytest.fixture(scope="module")
def http(served: target.Target) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.rest, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def own() -> None:
    """Skip rows that change a server or need their own flags when TFREC_SERVING_TARGET is set."""
    if target.named():
        pytest.skip("the row changes the server or needs its own flags; unset TFREC_SERVING_TARGET to run it")
