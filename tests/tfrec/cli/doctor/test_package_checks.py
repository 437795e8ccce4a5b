"""Checks of packages against requirements, on hand-written environments."""

from __future__ import annotations

import pytest

from tfrec.cli.doctor.machine import Package
from tfrec.cli.doctor.package_checks import RESYNC, check_cuda, check_glibc, check_packages, check_tfx_command


def test_the_wheel_that_needs_a_newer_glibc_is_named():
    packages = {
        "ml-metadata": Package("1.21.0", ("cp311-cp311-manylinux_2_39_x86_64",)),
        "numpy": Package("2.4.6", ("cp311-cp311-manylinux_2_27_x86_64", "cp311-cp311-manylinux_2_28_x86_64")),
        "tfx": Package("1.21.0", ("py3-none-any",)),
    }
    finding = check_glibc((2, 36), packages)
    assert not finding.is_ok
    assert finding.text == "2.36, but ml-metadata needs 2.39"
    assert check_glibc((2, 39), packages).text.endswith("the most that a wheel needs is 2.39 (ml-metadata)")


def test_a_wheel_with_several_tags_needs_the_lowest_of_them():
    packages = {"numpy": Package("2.4.6", ("cp311-cp311-manylinux_2_27_x86_64", "cp311-cp311-manylinux_2_28_x86_64"))}
    assert check_glibc((2, 27), packages).is_ok
    assert not check_glibc((2, 26), packages).is_ok


def test_a_system_without_glibc_is_a_blocker():
    finding = check_glibc(None, {})
    assert not finding.is_ok
    assert "not glibc" in finding.text


@pytest.mark.parametrize(
    ("requirements", "text"),
    [
        ({"pandas": "<3,>=2", "torch": ""}, "torch is not installed"),
        ({"pandas": "<2"}, "pandas is 2.3.3, but tfrec needs <2"),
        ({"pandas": ">=2.3.4"}, "pandas is 2.3.3, but tfrec needs >=2.3.4"),
        ({"pandas": "==2.3"}, "pandas is 2.3.3, but tfrec needs ==2.3"),
        ({"broken": ""}, "broken 1.0 is installed, but its module no_such_module is gone"),
    ],
)
def test_an_unusable_package_is_named_with_the_reason(requirements, text):
    packages = {"pandas": Package("2.3.3"), "broken": Package("1.0")}
    modules = {name: {"broken": "no_such_module"}.get(name, "json") for name in requirements}
    findings = check_packages(requirements, packages, modules)
    assert [(finding.is_ok, finding.text) for finding in findings] == [(False, text)]
    assert findings[0].cure == RESYNC


@pytest.mark.parametrize("limits", ["", "<3,>=2", "==2.3.3", ">=2.3.3", "<2.10", "==2.3.3.0"])
def test_a_version_within_its_limits_is_ok(limits):
    packages = {"pandas": Package("2.3.3"), "tfx": Package("1.21.0"), "tensorflow": Package("2.21.0")}
    (finding,) = check_packages({"pandas": limits}, packages, {})
    assert finding.is_ok


def test_an_environment_without_pip_can_not_run_the_tfx_command(tmp_path):
    command = tmp_path / "tfx"
    assert f"there is no {command}" in check_tfx_command({"pip": Package("26.3")}, command).text
    command.touch()
    assert "pip is not in this environment" in check_tfx_command({}, command).text
    assert check_tfx_command({"pip": Package("26.3")}, command).is_ok


def test_missing_cuda_libraries_are_counted_and_cured_by_one_command():
    packages = {"tensorflow": Package("2.21.0"), "nvidia-cublas-cu12": Package("12.9")}
    finding = check_cuda({"nvidia-cublas-cu12": "<13.0", "nvidia-cudnn-cu12": "<10.0"}, packages)
    assert finding.text == "1 of the 2 libraries of tensorflow[and-cuda] are missing: nvidia-cudnn-cu12"
    assert finding.cure.endswith("-m pip install 'tensorflow[and-cuda]==2.21.0'")
