"""Puts a SavedModel where a server looks for versions: beside first, then one rename, never half a version."""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from pathlib import Path

STAGING = ".staging-"


def push(model: str, base: str) -> Path:
    """The folder of the new version below `base`: the time in seconds, or one more than the latest version.

    A model that already is the latest version is not pushed twice: a run killed just after its push ends well.
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
    shutil.copytree(model, staging)
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


def _flush(folder: Path) -> None:
    """On disk before the rename says that it is: a power cut must not leave empty files behind the name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
