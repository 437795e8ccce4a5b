"""Files that are replaced whole: an interruption or a power cut leaves the old or the new text."""

from __future__ import annotations

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8: beside it first, to the disk, then by one rename.

    A failure leaves the former file and nothing beside it.
    """
    staging = path.with_name(f".tmp-{path.name}")
    try:
        with staging.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Write a file or folder that exists to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
