"""The memory of this machine or container."""

from __future__ import annotations

import os
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Bytes of memory of the machine or of its container, whichever is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in filter(os.path.exists, LIMITS):
        text = Path(path).read_text().strip()
        limits += [int(text)] if text.isdigit() else []  # "max" means no limit
    return min(limits)
