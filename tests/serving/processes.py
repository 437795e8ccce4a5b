"""A server in its own process, as a user starts it."""

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
    """A running server."""

    process: subprocess.Popen[str]
    target: str  # host:port of gRPC
    rest: str  # URL without a slash at the end


@contextlib.contextmanager
def running(*flags: str, name: str = "toy", base_path: Path | None = None) -> Iterator[Running]:
    """Start a server on free ports; end it after the block, unless the test killed it."""
    model_flags = ["--model_name=" + name, f"--model_base_path={base_path}"] if base_path else []
    rest_port = free_port()
    command = [sys.executable, "-m", "serving.server", *model_flags, "--port=0", f"--rest_api_port={rest_port}", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout)
            target = next(line.split()[4] for line in lines if line.startswith("Running gRPC ModelServer at "))
            next(line for line in lines if line.startswith("Exporting HTTP/REST API at:"))
            yield Running(process, target, f"http://127.0.0.1:{rest_port}")
        finally:
            process.terminate()
            process.communicate()  # reads its last lines, so that it can end
    assert process.returncode in (0, -signal.SIGKILL), process.returncode


def free_port() -> int:
    """Return a free port; as --rest_api_port, 0 would open no REST."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
