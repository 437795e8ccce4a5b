"""The server that the suite asks: TFREC_SERVING_TARGET's, or ours in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

pytest.register_assert_rewrite("tests.serving.conformance.row")

# After the line above, else its asserts tell nothing.
from tests.serving import processes  # noqa: E402
from tests.serving.conformance import export, target  # noqa: E402


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What export.py writes; never written to."""
    path = tmp_path_factory.mktemp("conformance") / "models"
    export.export(path, str(path))
    return path


@pytest.fixture(scope="session")
def asked(folder: Path) -> Iterator[target.Target]:
    """The server of what export.py writes, with export.FLAGS."""
    given = target.named()
    if given:
        yield given
        return
    with processes.running(*(flag.format(folder) for flag in export.FLAGS)) as running:
        yield target.Target(running.target, running.rest)


@pytest.fixture(scope="module")
def served(asked: target.Target) -> target.Target:
    """The server of a module's rows; one that needs flags of its own has a fixture of this name."""
    return asked


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
    """For rows that change a server or need flags of their own."""
    if target.named():
        pytest.skip("it changes the server or needs its flags, and TFREC_SERVING_TARGET names one that is not ours")
