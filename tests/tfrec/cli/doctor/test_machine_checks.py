"""Checks of machines that lack one thing or another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.cli.doctor.machine_checks import GB, check_cpu, check_disk, check_gpu, check_memory, check_python


def test_another_python_version_is_a_blocker_with_a_cure():
    finding = check_python((3, 12))
    assert not finding.is_ok
    assert "3.12 at" in finding.text
    assert "tfrec needs 3.11" in finding.text
    assert "make PYTHON=/path/to/python3.11" in finding.cure


def test_little_memory_and_a_full_disk_are_blockers():
    assert not check_memory(5 * GB).is_ok
    assert check_memory(8 * GB).is_ok
    assert not check_disk(Path("/data"), GB).is_ok
    assert check_disk(Path("/data"), 3 * GB).is_ok


def test_a_processor_without_avx_is_a_blocker():
    assert not check_cpu(frozenset({"sse4_2"}), 4).is_ok
    assert check_cpu(frozenset({"avx", "avx2"}), 4).text == "4 cores, avx2"
    assert check_cpu(None, 4).is_ok  # /proc/cpuinfo lists no features


@pytest.mark.parametrize(
    ("cards", "has_libcuda", "is_ok", "text"),
    [
        (["NVIDIA H100, 81559 MiB, 570.1"], True, True, "NVIDIA H100"),
        (["NVIDIA H100, 81559 MiB, 570.1"], False, False, "libcuda.so.1 is not found"),
        ([], True, False, "nvidia-smi shows no card"),
        (None, True, False, "nvidia-smi shows no card"),
        (None, False, False, "no NVIDIA driver"),
    ],
)
def test_a_gpu_needs_driver_and_card(cards, has_libcuda, is_ok, text):
    finding = check_gpu(cards, has_libcuda)
    assert finding.is_ok == is_ok
    assert text in finding.text
    assert not finding.is_needed
