"""What the doctor says of machines that lack one thing or another, and of this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec.cli import doctor, machine
from tfrec.cli.machine import Package

GB = 10**9


def test_another_python_is_a_blocker_with_its_cure():
    finding = doctor.check_python((3, 12))
    assert not finding.is_ok
    assert "3.12 at" in finding.text
    assert "tfrec needs 3.11" in finding.text
    assert "make PYTHON=/path/to/python3.11" in finding.cure


def test_the_wheel_that_needs_a_newer_glibc_is_named():
    packages = {
        "ml-metadata": Package("1.21.0", ("cp311-cp311-manylinux_2_39_x86_64",)),
        "numpy": Package("2.4.6", ("cp311-cp311-manylinux_2_27_x86_64", "cp311-cp311-manylinux_2_28_x86_64")),
        "tfx": Package("1.21.0", ("py3-none-any",)),
    }
    finding = doctor.check_glibc((2, 36), packages)
    assert not finding.is_ok
    assert finding.text == "2.36, but ml-metadata needs 2.39"
    assert doctor.check_glibc((2, 39), packages).text.endswith("the most that a wheel needs is 2.39 (ml-metadata)")


def test_a_wheel_of_several_tags_asks_for_the_least_of_them():
    packages = {"numpy": Package("2.4.6", ("cp311-cp311-manylinux_2_27_x86_64", "cp311-cp311-manylinux_2_28_x86_64"))}
    assert doctor.check_glibc((2, 27), packages).is_ok
    assert not doctor.check_glibc((2, 26), packages).is_ok


def test_a_system_without_glibc_is_told_so():
    assert "not glibc" in doctor.check_glibc(None, {}).text


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"pandas": "<3,>=2", "torch": ""}, "torch is not installed"),
        ({"pandas": "<2"}, "pandas is 2.3.3, but tfrec needs <2"),
        ({"pandas": ">=2.3.4"}, "pandas is 2.3.3, but tfrec needs >=2.3.4"),
        ({"pandas": "==2.3"}, "pandas is 2.3.3, but tfrec needs ==2.3"),
        ({"gutted": ""}, "gutted 1.0 is installed, but its module no_such_module is gone"),
    ],
)
def test_a_package_that_will_not_do_is_named_with_the_reason(asked, text):
    packages = {"pandas": Package("2.3.3"), "gutted": Package("1.0")}
    modules = {name: {"gutted": "no_such_module"}.get(name, "json") for name in asked}
    findings = doctor.check_packages(asked, packages, modules)
    assert [(finding.is_ok, finding.text) for finding in findings] == [(False, text)]
    assert findings[0].cure == doctor.RESYNC


@pytest.mark.parametrize("limits", ["", "<3,>=2", "==2.3.3", ">=2.3.3", "<2.10", "==2.3.3.0"])
def test_a_version_within_its_limits_is_well(limits):
    packages = {"pandas": Package("2.3.3"), "tfx": Package("1.21.0"), "tensorflow": Package("2.21.0")}
    (finding,) = doctor.check_packages({"pandas": limits}, packages, {})
    assert finding.is_ok


def test_little_memory_and_a_full_disk_are_blockers():
    assert not doctor.check_memory(5 * GB).is_ok
    assert doctor.check_memory(8 * GB).is_ok
    assert not doctor.check_disk(Path("/data"), GB).is_ok
    assert doctor.check_disk(Path("/data"), 3 * GB).is_ok


def test_a_processor_without_avx_is_a_blocker():
    assert not doctor.check_cpu(frozenset({"sse4_2"}), 4).is_ok
    assert doctor.check_cpu(frozenset({"avx", "avx2"}), 4).text == "4 cores, avx2"
    assert doctor.check_cpu(None, 4).is_ok  # /proc does not say: no reason to refuse


def test_an_environment_without_pip_can_not_run_the_tfx_command(tmp_path):
    command = tmp_path / "tfx"
    assert f"there is no {command}" in doctor.check_tfx_command({"pip": Package("26.3")}, command).text
    command.touch()
    assert "pip is not in this environment" in doctor.check_tfx_command({}, command).text
    assert doctor.check_tfx_command({"pip": Package("26.3")}, command).is_ok


@pytest.mark.parametrize(
    ("cards", "has_libcuda", "is_ok", "said"),
    [
        (["NVIDIA H100, 81559 MiB, 570.1"], True, True, "NVIDIA H100"),
        (["NVIDIA H100, 81559 MiB, 570.1"], False, False, "libcuda.so.1 is not found"),
        ([], True, False, "nvidia-smi shows no card"),
        (None, True, False, "nvidia-smi shows no card"),
        (None, False, False, "no NVIDIA driver"),
    ],
)
def test_a_gpu_is_well_when_driver_and_card_are_there(cards, has_libcuda, is_ok, said):
    finding = doctor.check_gpu(cards, has_libcuda)
    assert finding.is_ok == is_ok
    assert said in finding.text
    assert not finding.is_needed


def test_missing_cuda_libraries_are_counted_and_cured_by_one_command():
    packages = {"tensorflow": Package("2.21.0"), "nvidia-cublas-cu12": Package("12.9")}
    finding = doctor.check_cuda({"nvidia-cublas-cu12": "<13.0", "nvidia-cudnn-cu12": "<10.0"}, packages)
    assert finding.text == "1 of the 2 libraries of tensorflow[and-cuda] are missing: nvidia-cudnn-cu12"
    assert finding.cure.endswith("-m pip install 'tensorflow[and-cuda]==2.21.0'")


def test_only_what_is_needed_makes_a_machine_unfit():
    no_gpu, no_memory = doctor.check_gpu(None, False), doctor.check_memory(GB)
    assert doctor.is_fit([no_gpu])
    assert doctor.render([no_gpu]).endswith("This machine runs `make demo` and `make test`, on the CPU.")
    assert not doctor.is_fit([no_gpu, no_memory])
    assert doctor.render([no_gpu, no_memory]).endswith("This machine can't run tfrec yet: memory.")


def test_requirements_are_those_of_the_named_extra_alone():
    assert machine.requirements_of("tfrec")["tensorflow"] == "<2.22,>=2.21"
    assert "pytest" not in machine.requirements_of("tfrec")
    assert machine.requirements_of("tfrec", extra="dev")["pytest"] == ">=8"
    assert "nvidia-cudnn-cu12" in machine.requirements_of("tensorflow", extra="and-cuda")
    assert machine.requirements_of("no-such-package") == {}


def test_this_machine_is_fit_and_tensorflow_is_not_imported_to_know_it():
    code = (
        "import sys; from tfrec.cli.main import main; code = main(['doctor', '--json']); "
        "heavy = {'tensorflow', 'pandas', 'numpy', 'tfx'} & set(sys.modules); sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert [name for name, finding in findings.items() if finding["is_needed"] and not finding["is_ok"]] == []
    assert done.returncode == 0, done.stderr
    assert {"python", "glibc", "memory", "disk", "packages", "tfx", "gpu"} <= set(findings)
