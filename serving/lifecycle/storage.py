"""Versions under a model's base path, by TensorFlow Serving's rules; local folders only.

A version is any child whose name is an int64. Everything else is ignored, so a version that is
still being written is safe as `.tmp-5` or `tmp_5` until a rename to `5`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from serving.wire.protos import VersionPolicy

LATEST = VersionPolicy()
_INT64 = re.compile(r"[+-]?[0-9]+")

log = logging.getLogger(__name__)


def find_versions(base_path: Path) -> dict[int, Path]:
    """Return the version folders under `base_path`; OSError when it can't be listed."""
    versions: dict[int, Path] = {}
    for name in sorted(os.listdir(base_path)):
        version = _parse_version(name)
        if version is None:
            continue
        if version in versions:
            log.warning(
                "Duplicate version directories detected. Version %d will be loaded from %s, %s will be ignored.",
                version,
                name,
                versions[version].name,
            )
        versions[version] = base_path / name
    return versions


def select_versions(versions: Mapping[int, Path], policy: VersionPolicy = LATEST) -> dict[int, Path]:
    """Return the versions that a policy serves; the default policy serves the highest one."""
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(versions)
    if kind == "specific":
        return {version: versions[version] for version in sorted(policy.specific.versions) if version in versions}
    count = max(policy.latest.num_versions, 1)
    return {version: versions[version] for version in sorted(versions)[-count:]}


def fingerprint(path: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, size and time of each file of a version; they change during a copy."""
    files = set()
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            try:
                stat = os.stat(file)
            except OSError:  # deleted since it was listed: the next look notices
                continue
            files.add((file, stat.st_size, stat.st_mtime_ns))
    return frozenset(files)


def _parse_version(name: str) -> int | None:
    if not _INT64.fullmatch(name):
        return None
    version = int(name)
    return version if -(2**63) <= version < 2**63 else None
