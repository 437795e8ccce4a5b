"""Versions are complete, ordered and unique, even after a killed or failed push."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tfrec.versions import latest_version, push


def model(folder: Path, weights: str = "weights") -> str:
    """Write files in the layout of a SavedModel."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "fingerprint.pb").write_text(f"fingerprint of {weights}")
    (folder / "variables" / "variables.data-00000-of-00001").write_text(weights)
    return str(folder)


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_version_holds_every_file_of_the_model_and_no_temporary_folder_remains(tmp_path):
    pushed = push(model(tmp_path / "model"), str(tmp_path / "new" / "folder"))
    assert files(pushed) == {
        "saved_model.pb": "graph",
        "fingerprint.pb": "fingerprint of weights",
        "variables/variables.data-00000-of-00001": "weights",
    }
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [pushed.name]
    assert abs(int(pushed.name) - time.time()) < 60


def test_the_same_model_pushed_twice_gives_one_version(tmp_path):
    source = model(tmp_path / "model")
    first = push(source, str(tmp_path / "base"))
    assert push(source, str(tmp_path / "base")) == first
    assert list((tmp_path / "base").iterdir()) == [first]


def test_versions_increase_within_a_second_and_after_the_clock_is_set_back(tmp_path):
    base = tmp_path / "base"
    numbers = [int(push(model(tmp_path / weights, weights), str(base)).name) for weights in ("a", "b", "c")]
    assert numbers == sorted(set(numbers))
    (base / "9999999999").mkdir()  # pushed by a machine whose clock is in 2286
    assert push(model(tmp_path / "d", "d"), str(base)) == base / "10000000000"


def test_an_earlier_model_pushed_again_becomes_the_latest_version(tmp_path):
    base = str(tmp_path / "base")
    for name in ("a", "b", "a again"):
        latest = push(model(tmp_path / name, name[0]), base)
        assert latest_version(base) == latest
    assert len(list((tmp_path / "base").iterdir())) == 3


def test_a_model_without_a_fingerprint_is_pushed_each_time(tmp_path):
    source = model(tmp_path / "model")
    (tmp_path / "model" / "fingerprint.pb").unlink()
    assert push(source, str(tmp_path / "base")) != push(source, str(tmp_path / "base"))


def test_only_folders_named_by_a_number_are_versions(tmp_path):
    assert latest_version(str(tmp_path / "nowhere")) is None
    for name in (".staging-99", "12.tmp", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "100").write_text("a file")
    assert latest_version(str(tmp_path)) is None
    for name in ("9", "10"):
        (tmp_path / name).mkdir()
    assert latest_version(str(tmp_path)) == tmp_path / "10"


def test_a_killed_push_leaves_no_version_and_the_next_push_deletes_its_files(tmp_path):
    source, base = model(tmp_path / "model", weights="w" * 10_000), tmp_path / "base"
    # The kernel kills the process at a file's byte 5,000: sudden as kill -9, at a fixed byte.
    code = f"""
import resource, signal
from tfrec.versions import push
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
push({source!r}, {str(base)!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGXFSZ
    (staging,) = base.iterdir()
    assert staging.name.startswith(".staging-")
    assert (staging / "fingerprint.pb").stat().st_size == 5000
    assert latest_version(str(base)) is None

    version = push(source, str(base))
    assert list(base.iterdir()) == [version]
    assert files(version)["variables/variables.data-00000-of-00001"] == "w" * 10_000


def test_a_push_to_a_full_disk_fails_with_one_sentence_and_leaves_no_files(tmp_path):
    source, base = model(tmp_path / "model", weights="w" * 10_000), tmp_path / "base"
    before = push(model(tmp_path / "before", "before"), str(base))
    # The kernel refuses to write beyond byte 5,000 of a file, like a full disk.
    code = f"""
import resource
from tfrec.errors import MachineError
from tfrec.versions import push
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    push({source!r}, {str(base)!r})
except MachineError as error:
    print(error)
"""
    message = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(
        rf"model {source} of 0\.0 MB can't be copied to {base}, where [\d,.]+ MB are free: File too large; nothing was "
        rf"pushed and version {before.name} stays in service; free disk space, or let this user write there, and "
        r"run the same command again\n",
        message,
    )
    assert list(base.iterdir()) == [before]

    version = push(source, str(base))
    assert int(version.name) > int(before.name)
    assert files(version)["variables/variables.data-00000-of-00001"] == "w" * 10_000
