"""What this machine is: processor, memory, graphics cards, installed packages; doctor.py judges it.

Standard library only, and nothing heavy is imported: a look costs milliseconds.
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
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclasses.dataclass(frozen=True)
class Package:
    """An installed distribution."""

    version: str
    tags: tuple[str, ...] = ()  # of its wheel: "cp311-cp311-manylinux_2_17_x86_64"


def installed_packages() -> dict[str, Package]:
    """Normalised name -> package, of everything in this environment.

    Reads folder names and one field: `importlib.metadata` parses every METADATA in full, half a second.
    """
    found: dict[str, Package] = {}
    for folder in (info for entry in sys.path if entry for info in Path(entry).glob("*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        found.setdefault(normalise(name), Package(version, _fields(folder / "WHEEL", "Tag")))
    return found


def requirements_of(name: str, extra: str = "") -> dict[str, str]:
    """What an installed distribution asks for, always or by one of its extras: name -> "<2.22,>=2.21"."""
    pattern = f"{re.sub('[-_.]+', '[-_.]', name)}-*.dist-info/METADATA"
    paths = [path for entry in sys.path if entry for path in Path(entry).glob(pattern)]
    asked = {}
    for line in _fields(paths[0], "Requires-Dist") if paths else ():
        text, _, marker = line.partition(";")
        extras = re.findall(r"extra == ['\"](.+?)['\"]", marker)
        if extras == ([extra] if extra else []):
            match = re.match(r"([\w.-]+)(?:\[.*?\])?\s*\(?([^)]*)", text)
            asked.update({normalise(match[1]): match[2].replace(" ", "")} if match else {})
    return asked


def normalise(name: str) -> str:
    """The name of a distribution as PEP 503 compares it: "tfx-bsl" of "tfx_bsl"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def glibc_version() -> tuple[int, ...] | None:
    """(2, 36); None when the C library is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return None
    return tuple(map(int, version.split("."))) if name == "glibc" else None


def cpu_flags() -> frozenset[str] | None:
    """What the processor can do, by Linux's names; None where /proc/cpuinfo does not say."""
    path = Path("/proc/cpuinfo")
    match = re.search(r"^flags\s*:(.*)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return frozenset(match[1].split()) if match else None


def memory_bytes() -> int:
    """Memory of the machine or of its container, whichever is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in filter(os.path.exists, MEMORY_LIMITS):
        text = Path(path).read_text().strip()
        limits += [int(text)] if text.isdigit() else []  # "max" is no limit
    return min(limits)


def graphics_cards() -> list[str] | None:
    """A line for each card: name, memory, driver; [] when nvidia-smi fails, None when there is none."""
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
    """Whether the loader finds a shared library: "libcuda.so.1"."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _fields(path: Path, name: str) -> tuple[str, ...]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return tuple(re.findall(rf"^{name}: (.+)$", text, re.MULTILINE))
