"""A folder that one test process builds and the others of the same run read."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the run; the first process that needs it calls `build`."""
    base = factory.getbasetemp()
    # pytest-xdist gives each process a folder of its own within the run's.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, is_built = run / name, run / f"{name}.built"
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a build that failed
            folder.mkdir()
            build(folder)
            is_built.touch()
    return folder
