"""A server in a process of its own, as a user starts it, for tests that hurt it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Running:
    """Where a server answers."""

    process: subprocess.Popen[str]
    target: str
    rest: str  # URL without a slash at the end


@contextlib.contextmanager
def running(*flags: str, name: str = "toy", base_path: Path | None = None) -> Iterator[Running]:
    """A server with these flags on free ports; ends it, if it still runs, at the end of the block."""
    where = ["--model_name=" + name, f"--model_base_path={base_path}"] if base_path else []
    rest_port = free_port()
    command = [sys.executable, "-m", "serving.server", *where, "--port=0", f"--rest_api_port={rest_port}", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            told = iter(process.stdout)
            target = next(line.split()[4] for line in told if line.startswith("Running gRPC ModelServer at "))
            next(line for line in told if line.startswith("Exporting HTTP/REST API at:"))
            yield Running(process, target, f"http://127.0.0.1:{rest_port}")
        finally:
            process.terminate()
            process.communicate()  # what it says last wants a reader
    assert process.returncode in (0, -signal.SIGKILL), process.returncode  # it ended well, unless the test killed it


def free_port() -> int:
    """0 would open no REST."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
