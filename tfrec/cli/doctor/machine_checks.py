"""Checks of the machine itself: system, Python, processor, memory, disk and GPU."""

from __future__ import annotations

import sys
from pathlib import Path

from tfrec.cli.doctor.finding import Finding

GB = 10**9
MEMORY_GB = 7
DISK_GB = 2  # tables, pipeline artifacts and a few versions of the model


def check_system(system: str, processor: str) -> Finding:
    """Check the system: wheels of TFX's C++ parts exist for one system only."""
    if (system, processor) == ("Linux", "x86_64"):
        return Finding("system", True, "Linux on x86_64")
    text = f"{system} on {processor}, but tfx-bsl and ml-metadata have wheels for Linux on x86_64 only"
    return Finding("system", False, text, "use such a machine, virtual machine or container")


def check_python(version: tuple[int, ...]) -> Finding:
    """Check Python: TFX 1.21 and the older wheels for Debian 12 share one version only."""
    dotted = ".".join(map(str, version))
    if version == (3, 11):
        return Finding("python", True, f"{dotted} at {sys.executable}")
    cure = "`make clean`, then `make PYTHON=/path/to/python3.11 demo`"
    return Finding("python", False, f"{dotted} at {sys.executable}, but tfrec needs 3.11", cure)


def check_cpu(flags: frozenset[str] | None, cores: int) -> Finding:
    """Check the processor: without AVX TensorFlow's wheels end with `illegal instruction`."""
    if flags is not None and "avx" not in flags:
        cure = "use a processor from after 2011, or let the virtual machine pass the host's through"
        return Finding("cpu", False, f"{cores} cores without AVX, which TensorFlow's wheels need", cure)
    fast = [name for name in ("avx2", "avx512f", "amx_bf16") if name in (flags or ())]
    return Finding("cpu", True, ", ".join([f"{cores} cores", *fast]))


def check_memory(total: int) -> Finding:
    """Check the memory of the machine or its container: `total` bytes."""
    if total >= MEMORY_GB * GB:
        return Finding("memory", True, f"{total / GB:.1f} GB")
    cure = f"use a machine of {MEMORY_GB} GB or more, or raise the container's limit"
    return Finding("memory", False, f"{total / GB:.1f} GB, but the pipeline needs {MEMORY_GB} GB", cure)


def check_disk(folder: Path, free: int) -> Finding:
    """Check the disk: `free` bytes in `folder`, where data/ and out/ are written."""
    if free >= DISK_GB * GB:
        return Finding("disk", True, f"{free / GB:.1f} GB free at {folder}")
    text = f"{free / GB:.1f} GB free at {folder}, but data/ and out/ need {DISK_GB} GB"
    return Finding("disk", False, text, "free some: out/ holds the artifacts of earlier runs")


def check_gpu(cards: list[str] | None, has_libcuda: bool) -> Finding:
    """Check the GPU's driver; `cards` are the lines of nvidia-smi, None without nvidia-smi."""
    if cards and has_libcuda:
        return Finding("gpu", True, "; ".join(cards), is_needed=False)
    if cards:
        text = f"{cards[0]}, but libcuda.so.1 is not found"
        cure = "in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility; else install libcuda1"
    elif has_libcuda or cards is not None:
        text = "the NVIDIA driver is here, but nvidia-smi shows no card"
        cure = "in a container: start it with `--gpus all`; else see what `nvidia-smi` says"
    else:
        text = "no NVIDIA driver (no nvidia-smi, no libcuda.so.1); training uses the CPU"
        cure = "needed only for the run `gpu`: a machine with an NVIDIA GPU and its driver"
    return Finding("gpu", False, text, cure, is_needed=False)
