"""Numbered versions of a SavedModel below a base path, each published by one atomic rename."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfrec.errors import MachineError

STAGING = ".staging-"
EXTRA = "assets.extra"
"""Folder of a version for files that TensorFlow Serving does not read."""


def push(model: str, base: str, extra: Sequence[Path] = ()) -> Path:
    """Copy a model to a new version below `base`, and return the version's folder.

    Files of `extra` are put into its folder EXTRA. The version is the time in seconds, or one more
    than the latest version. A model that equals the latest version is not copied again, so a run
    killed just after its push can be repeated.
    MachineError if the disk is full or not writable; no partial copy stays there.
    """
    root = Path(base)
    root.mkdir(parents=True, exist_ok=True)
    for partial in root.glob(f"{STAGING}*"):
        shutil.rmtree(partial)
    latest = latest_version(base)
    if latest is not None and is_same_model(latest, Path(model)):
        return latest
    version = max(int(time.time()), int(latest.name) + 1 if latest else 0)
    staging, final = root / f"{STAGING}{version}", root / str(version)
    with _delete_on_failure(Path(model), staging):
        _copy(Path(model), staging)
        add_files(staging, extra)
        _flush(staging)
        staging.rename(final)
    return final


def add_files(model: Path, files: Sequence[Path]) -> None:
    """Copy files into the folder EXTRA of a model."""
    for file in files:
        (model / EXTRA).mkdir(exist_ok=True)
        shutil.copy2(file, model / EXTRA)


def latest_version(base: str) -> Path | None:
    """Folder of the highest version, or None."""
    return max(versions(base), key=lambda path: int(path.name), default=None)


def versions(base: str) -> list[Path]:
    """Folders of all versions, unordered."""
    return [path for path in Path(base).glob("*") if path.name.isdigit() and path.is_dir()]


def is_same_model(one: Path, other: Path) -> bool:
    """True if the fingerprints are equal: TensorFlow gives each export its own."""
    left, right = one / "fingerprint.pb", other / "fingerprint.pb"
    return left.is_file() and right.is_file() and filecmp.cmp(left, right, shallow=False)


@contextlib.contextmanager
def _delete_on_failure(model: Path, staging: Path) -> Iterator[None]:
    """Delete a failed copy, and turn its OSError into a MachineError."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        base, latest = staging.parent, latest_version(str(staging.parent))
        needed = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
        raise MachineError(
            f"model {model} of {_megabytes(needed)} can't be copied to {base}, where "
            f"{_megabytes(shutil.disk_usage(base).free)} are free: {error.strerror}; nothing was pushed and "
            f"{f'version {latest.name} stays' if latest else 'no model is'} in service; free disk space, or let "
            "this user write there, and run the same command again"
        ) from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _copy(model: Path, staging: Path) -> None:
    """Copy a folder; unlike shutil.copytree, stop at the first file that fails."""
    for source in (model, *sorted(model.rglob("*"))):
        target = staging / source.relative_to(model)
        if source.is_dir():
            target.mkdir()
        else:
            shutil.copy2(source, target)


def _flush(folder: Path) -> None:
    """Flush files to disk before the rename, so that a power cut leaves no empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
