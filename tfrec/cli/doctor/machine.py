"""Facts about this machine: processor, memory, graphics cards, installed packages.

It uses only the standard library and imports nothing heavy, so it takes milliseconds.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NVIDIA_SMI_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Package:
    """An installed distribution."""

    version: str
    tags: tuple[str, ...] = ()  # of its wheel: "cp311-cp311-manylinux_2_17_x86_64"


def installed_packages() -> dict[str, Package]:
    """All installed packages by normalized name.

    It reads folder names and one field: `importlib.metadata` parses every METADATA file, which
    takes half a second.
    """
    packages: dict[str, Package] = {}
    for folder in (info for entry in sys.path if entry for info in Path(entry).glob("*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        packages.setdefault(normalize(name), Package(version, _fields(folder / "WHEEL", "Tag")))
    return packages


def requirements_of(name: str, extra: str = "") -> dict[str, str]:
    """Requirements of an installed distribution or of one of its extras: {"pandas": "<3,>=2"}."""
    pattern = f"{re.sub('[-_.]+', '[-_.]', name)}-*.dist-info/METADATA"
    paths = [path for entry in sys.path if entry for path in Path(entry).glob(pattern)]
    requirements = {}
    for line in _fields(paths[0], "Requires-Dist") if paths else ():
        text, _, marker = line.partition(";")
        extras = re.findall(r"extra == ['\"](.+?)['\"]", marker)
        if extras == ([extra] if extra else []):
            match = re.match(r"([\w.-]+)(?:\[.*?\])?\s*\(?([^)]*)", text)
            requirements.update({normalize(match[1]): match[2].replace(" ", "")} if match else {})
    return requirements


def normalize(name: str) -> str:
    """The normalized name of a distribution by PEP 503: "tfx-bsl" for "tfx_bsl"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def glibc_version() -> tuple[int, ...] | None:
    """The version of glibc, such as (2, 36); None for another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return None
    return tuple(map(int, version.split("."))) if name == "glibc" else None


def cpu_flags() -> frozenset[str] | None:
    """Features of the processor by Linux's names; None if /proc/cpuinfo does not list them."""
    path = Path("/proc/cpuinfo")
    match = re.search(r"^flags\s*:(.*)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return frozenset(match[1].split()) if match else None


def graphics_cards() -> list[str] | None:
    """A line for each card (name, memory, driver).

    [] if nvidia-smi fails, None if it is missing.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def has_library(name: str) -> bool:
    """True if the loader finds a shared library, such as "libcuda.so.1"."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _fields(path: Path, name: str) -> tuple[str, ...]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return tuple(re.findall(rf"^{name}: (.+)$", text, re.MULTILINE))
