"""Versions under a base path: which names are versions, and which versions a policy selects."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from serving.lifecycle.storage import find_versions, select_versions
from serving.wire.protos import VersionPolicy

VERSIONS = {9: Path("9"), 10: Path("10"), -1: Path("-1")}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("5", 5),
        ("00005", 5),
        ("-3", -3),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        (".tmp-5", None),
        ("tmp_5", None),
        ("5.staging", None),
        ("5_1", None),
        ("v5", None),
        ("5 ", None),
        ("٥", None),
    ],
)
def test_only_an_int64_names_a_version(tmp_path: Path, name: str, version: int | None) -> None:
    (tmp_path / name).mkdir()
    assert find_versions(tmp_path) == ({} if version is None else {version: tmp_path / name})


def test_the_latest_version_is_the_highest_number_not_the_last_name() -> None:
    assert select_versions(VERSIONS) == {10: Path("10")}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", [10]),
        ("latest {}", [10]),  # 0 counts as 1
        ("latest { num_versions: 2 }", [9, 10]),
        ("latest { num_versions: 9 }", [-1, 9, 10]),
        ("all {}", [-1, 9, 10]),
        ("specific { versions: 10 versions: -1 versions: 7 }", [-1, 10]),  # there is no 7
        ("specific {}", []),
    ],
)
def test_a_policy_selects_versions(policy: str, expected: list[int]) -> None:
    assert sorted(select_versions(VERSIONS, text_format.Parse(policy, VersionPolicy()))) == expected
