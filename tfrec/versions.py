"""Puts a SavedModel where a server looks for versions: beside first, then one rename, never half a version."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tfrec.errors import MachineError

STAGING = ".staging-"


def push(model: str, base: str) -> Path:
    """The folder of the new version below `base`: the time in seconds, or one more than the latest version.

    A model that already is the latest version is not pushed twice: a run killed just after its push ends well.
    MachineError where the disk has no room or may not be written to; then nothing is left there of the model.
    """
    root = Path(base)
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(f"{STAGING}*"):
        shutil.rmtree(leftover)
    latest = latest_version(base)
    if latest is not None and is_same_model(latest, Path(model)):
        return latest
    version = max(int(time.time()), int(latest.name) + 1 if latest else 0)
    staging, final = root / f"{STAGING}{version}", root / str(version)
    with _whole_or_nothing(Path(model), staging):
        _copy(Path(model), staging)
        _flush(staging)
        staging.rename(final)
    return final


def latest_version(base: str) -> Path | None:
    """The folder of the highest version, or None."""
    return max(versions(base), key=lambda path: int(path.name), default=None)


def versions(base: str) -> list[Path]:
    """The folders of all versions, in no order."""
    return [path for path in Path(base).glob("*") if path.name.isdigit() and path.is_dir()]


def is_same_model(one: Path, other: Path) -> bool:
    """TensorFlow's fingerprint tells one export from every other."""
    left, right = one / "fingerprint.pb", other / "fingerprint.pb"
    return left.is_file() and right.is_file() and filecmp.cmp(left, right, shallow=False)


@contextlib.contextmanager
def _whole_or_nothing(model: Path, staging: Path) -> Iterator[None]:
    """Gives the room of a copy that failed back, and says in a sentence what happened."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        base, latest = staging.parent, latest_version(str(staging.parent))
        needed = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
        raise MachineError(
            f"model {model} of {_megabytes(needed)} can't be copied to {base}, where "
            f"{_megabytes(shutil.disk_usage(base).free)} are free: {error.strerror}; nothing was pushed and "
            f"{f'version {latest.name} stays' if latest else 'nothing is'} in service; make room, or let this user "
            "write there, and run the same command again"
        ) from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _copy(model: Path, staging: Path) -> None:
    """As shutil.copytree, which would go on after a file that does not fit."""
    for source in (model, *sorted(model.rglob("*"))):
        target = staging / source.relative_to(model)
        if source.is_dir():
            target.mkdir()
        else:
            shutil.copy2(source, target)


def _flush(folder: Path) -> None:
    """On disk before the rename says that it is: a power cut must not leave empty files behind the name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
