"""`serve` runs the embedded model server until a signal; so does `python -m serving.server`.

TensorFlow Serving's gRPC and REST in one Python process, for one machine: who outgrows it moves to
TensorFlow Serving itself (Dockerfile.serving) and changes no client.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from serving.embedded import Server, Stopped, start
from serving.servable import DEFAULT_THREADS, Threads
from tfrec.errors import TfrecError

__all__ = ["Server", "main", "serve", "start"]

_SLICE_SECONDS = 0.2  # a signal is noticed within it


def serve(
    model_name: str,
    model_base_path: str | Path,
    port: int = 8500,
    rest_api_port: int | None = 8501,
    host: str = "127.0.0.1",
    *,
    poll_seconds: float = 1.0,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is in flight; `start` says what it raises."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        server = start(
            model_name,
            model_base_path,
            port=port,
            rest_api_port=rest_api_port,
            host=host,
            timeout_seconds=None,
            poll_seconds=poll_seconds,
            threads=threads,
            stopping=stopping,
        )
    except Stopped:
        return
    with server:
        print(f"Running gRPC ModelServer at {host}:{server.port} ...", flush=True)
        if server.rest_api_port is not None:
            print(f"Exporting HTTP/REST API at:{host}:{server.rest_api_port} ...", flush=True)
        while not stopping.wait(_SLICE_SECONDS):
            pass
        print("Stopping: answering the requests in flight ...", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line, with TensorFlow Serving's own flag names; the exit status."""
    flags = _flags().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    intra = flags.tensorflow_intra_op_parallelism or flags.tensorflow_session_parallelism
    inter = flags.tensorflow_inter_op_parallelism or flags.tensorflow_session_parallelism
    try:
        serve(
            flags.model_name,
            flags.model_base_path,
            flags.port,
            flags.rest_api_port or None,
            flags.host,
            poll_seconds=flags.file_system_poll_wait_seconds,
            threads=Threads(intra, inter),
        )
    except TfrecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m serving.server", description=__doc__)
    parser.add_argument("--model_name", default="default")
    parser.add_argument("--model_base_path", required=True, help="folder of version folders: 1, 2 ...")
    parser.add_argument("--port", type=int, default=8500, help="of gRPC")
    parser.add_argument("--rest_api_port", type=int, default=8501, help="of REST; 0 opens none")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 answers every machine that can reach this one")
    parser.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0)
    for pool in ("session", "intra_op", "inter_op"):
        parser.add_argument(f"--tensorflow_{pool}_parallelism", type=int, default=0, help="threads; 0: one a core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
