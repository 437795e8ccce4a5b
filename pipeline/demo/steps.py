"""Steps of the demo as processes, each with a headline, a log and a lock.

A step's output goes to its log; lines that start with "tfrec:" are also shown.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfrec.errors import TfrecError

LAST_LINES = 15  # of a failed step's log, which are shown
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class Steps:
    """Runs steps as processes, with a headline and a log each."""

    def __init__(self, logs: Path, lock: int, environment: Mapping[str, str]) -> None:
        """`lock` is the file descriptor of `locked`; `environment` is added to this process's."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._lock = lock
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._started = time.monotonic()

    def begin(self, name: str, text: str) -> None:
        """Print a headline with the seconds since the demo began."""
        print(f"\n[{time.monotonic() - self._started:4.0f} s] {name}: {text}", flush=True)

    def run(self, name: str, *command: str | Path) -> None:
        """Run a command to its end; raises TfrecError with its last lines when it fails."""
        log = self._logs / f"{name}.log"
        print(f"         log: {log}", flush=True)
        with log.open("a", encoding="utf-8", buffering=1) as file, self._start(*command) as child:
            start = file.tell()
            file.write(f"\n{time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(map(str, command))}\n\n")
            for line in child.stdout or ():
                file.write(line)
                if line.startswith("tfrec:"):
                    print(f"         {line.rstrip()}", flush=True)
        if child.returncode != 0:
            raise TfrecError(f"step {name} ended with code {child.returncode}; {_last_lines(log, start)}")

    def show(self, *command: str | Path) -> None:
        """Run a command and show its output."""
        print(f"\n$ {' '.join([Path(command[0]).name, *map(quoted, command[1:])])}", flush=True)
        done = subprocess.run([*map(str, command)], env=self._environment, check=False)
        if done.returncode != 0:
            raise TfrecError(f"`{Path(command[0]).name} {command[1]}` ended with code {done.returncode}; see above")

    @contextlib.contextmanager
    def serve(self, *command: str | Path) -> Iterator[str]:
        """Run a server until the block or this process ends; gives its gRPC address."""
        log = self._logs / "serve.log"
        with log.open("w", encoding="utf-8") as errors:
            child = subprocess.Popen(
                [*map(str, command)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self._environment,
                preexec_fn=_die_with_parent,
            )
        with child:
            try:
                yield _address(child, log)
            finally:
                child.terminate()

    def _start(self, *command: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self._environment,
            pass_fds=(self._lock,),  # the step holds it even if the demo is killed
        )


@contextlib.contextmanager
def locked(out: Path) -> Iterator[int]:
    """Hold the folder's lock, whose file descriptor steps inherit.

    A demo that was killed may have left a step that still writes to the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "demo.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"tfrec: another demo or a step of one is running in {out}; waiting for it",
                flush=True,
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _address(server: subprocess.Popen[str], log: Path) -> str:
    """Wait for the line that the server prints once its model is in service; it has the address."""
    for line in server.stdout or ():
        if line.startswith("Running gRPC ModelServer at "):
            return line.split()[4]
    raise TfrecError(f"the server ended before its model was in service; {_last_lines(log)}")


def _last_lines(log: Path, start: int = 0) -> str:
    """The last lines of a log from byte `start` on."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join([f"the end of {log}:", *(f"  {line}" for line in lines)])


def quoted(word: str | Path) -> str:
    return f'"{word}"' if " " in str(word) else str(word)
