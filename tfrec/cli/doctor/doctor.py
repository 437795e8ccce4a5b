"""`tfrec doctor`: check whether this machine can run tfrec, and name each blocker with its cure.

It uses only the standard library, so that it runs where TensorFlow does not, and it changes
nothing. How much memory and disk a shop's own data needs is not checked.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path

from tfrec.cli.doctor import machine
from tfrec.cli.doctor.finding import Finding, is_fit, render, render_json
from tfrec.cli.doctor.machine_checks import (
    check_cpu,
    check_disk,
    check_gpu,
    check_memory,
    check_python,
    check_system,
)
from tfrec.cli.doctor.package_checks import (
    MODULES,
    RESYNC,
    check_cuda,
    check_glibc,
    check_kubeflow,
    check_packages,
    check_tfx_command,
)
from tfrec.memory import memory_bytes


def doctor(options: argparse.Namespace) -> int:
    """check whether this machine can run tfrec, and show how to cure what it lacks"""
    findings = diagnose(deep=options.deep)
    print(render_json(findings) if options.json else render(findings))
    return 0 if is_fit(findings) else 1


def diagnose(deep: bool = False) -> list[Finding]:
    """Run all checks, needed ones first; `deep` also imports TensorFlow and lists its GPUs."""
    packages = machine.installed_packages()
    findings = [
        check_system(platform.system(), platform.machine()),
        check_python(sys.version_info[:2]),
        check_glibc(machine.glibc_version(), packages),
        check_cpu(machine.cpu_flags(), os.cpu_count() or 1),
        check_memory(memory_bytes()),
        check_disk(Path.cwd(), shutil.disk_usage(".").free),
        *check_packages(machine.requirements_of("tfrec"), packages, MODULES),
        check_tfx_command(packages, Path(sys.executable).parent / "tfx"),
        check_gpu(machine.graphics_cards(), machine.has_library("libcuda.so.1")),
        check_cuda(machine.requirements_of("tensorflow", extra="and-cuda"), packages),
        check_kubeflow(packages),
    ]
    return [*findings, _check_tensorflow()] if deep else findings


def _check_tensorflow() -> Finding:
    """Check TensorFlow itself by importing it, which takes seconds."""
    try:
        import tensorflow as tf
    except Exception as error:  # of the loader, protobuf or NumPy: the text is the finding
        return Finding("deep", False, f"`import tensorflow` fails: {error}", RESYNC)
    cards = [device.name for device in tf.config.list_physical_devices("GPU")]
    return Finding("deep", True, f"TensorFlow {tf.__version__} sees {', '.join(cards) or 'no GPU'}")
