"""`make`'s first minute: what it says where the environment can't be made, and that each verb is there."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WELL = {
    "--python": "3.11.2",
    "--system": "Linux x86_64",
    "--pip": "yes",
    "--memory-gb": "8",
    "--disk-gb": "20",
    "--environment": "does-not-exist",
}


def test_a_machine_that_will_do_is_not_talked_to():
    done = preflight()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--python", "3.9.2", "The Python found here is 3.9.2"),
        ("--python", "3.12.1", "meet on Python 3.11 alone"),
        ("--pip", "no", "has no pip, which fetches uv; install it"),
        ("--memory-gb", "3.9", "This machine has 3.9 GB of memory, but the pipeline needs 7 GB"),
        ("--disk-gb", "7.5", "7.5 GB of disk are free at"),
        ("--system", "Darwin arm64", "This is Darwin arm64, but TFX has wheels for Linux x86_64 only"),
    ],
)
def test_what_will_not_do_gets_one_sentence_and_exit_code_1(flag, value, said):
    done = preflight(**{flag: value})
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_blocker_is_named_at_once():
    done = preflight(**{"--python": "3.8.1", "--memory-gb": "2", "--disk-gb": "1"})
    assert len(done.stderr.splitlines()) == 3


def test_a_full_disk_does_not_stop_who_has_the_environment(tmp_path):
    assert preflight(**{"--disk-gb": "1", "--environment": str(tmp_path)}).returncode == 0


def test_an_old_python_can_read_the_preflight_that_turns_it_away():
    text = (ROOT / "tools" / "preflight.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))
    assert "annotations" not in text  # `from __future__ import annotations` stops Python 3.6


def test_without_any_python_make_says_so(tmp_path):
    for tool in ("make", "sh", "echo", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    done = make("test", "UV=" + str(tmp_path / "sh"), path=str(tmp_path), folder=bare_copy(tmp_path / "clone"))
    assert done.returncode != 0
    assert "There is no Python here; tfrec needs Python 3.11 with pip." in done.stdout


def test_a_python_that_is_too_old_is_told_so_by_make(tmp_path):
    # Named python3 and no 3.11, it runs the preflight, which here is told to be on 3.9.2.
    clone, tools = bare_copy(tmp_path / "clone"), tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "echo", "sed"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    old = tools / "python3"
    old.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 1\nexec {sys.executable} "$@" --python 3.9.2\n')
    old.chmod(0o755)
    done = make("test", path=str(tools), folder=clone)
    assert done.returncode == 2  # make's own code for a recipe that failed
    assert "The Python found here is 3.9.2" in done.stderr


@pytest.mark.parametrize("verb", ["demo", "test", "check", "bench", "serve", "flink", "clean", "help"])
def test_help_lists_every_verb(verb):
    assert f"make {verb}\t" in make("help").stdout


def test_a_ready_environment_is_not_made_again(tmp_path):
    clone = bare_copy(tmp_path / "clone")
    uv = clone / ".tools" / "uv"
    for path in (uv, clone / ".venv" / ".ready"):  # in this order: the stamp is the younger
        path.parent.mkdir()
        path.touch()
    plan = make("-n", "test", f"UV={uv}", folder=clone).stdout
    assert [line.split()[0] for line in plan.splitlines()] == [".venv/bin/pytest"]


def test_a_setup_that_was_killed_is_laid_anew(tmp_path):
    clone = bare_copy(tmp_path / "clone")
    (clone / ".tools").mkdir()
    (clone / ".tools" / "unfinished").touch()
    assert "--reinstall" in make("-n", "test", folder=clone).stdout
    (clone / ".tools" / "unfinished").unlink()
    assert "--reinstall" not in make("-n", "test", folder=clone).stdout


def test_without_maven_make_flink_says_what_it_needs(tmp_path):
    for tool in ("make", "sh", "echo", "java"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    done = make("flink", path=str(tmp_path), folder=bare_copy(tmp_path / "clone"))
    assert done.returncode == 2
    said = "there is no java or no mvn here; install Java 11 or newer and Maven, on Debian by: apt-get install"
    assert said in done.stderr
    assert "mvn --" not in done.stdout


def test_a_fetch_of_flink_that_breaks_off_leaves_nothing_that_looks_whole(tmp_path):
    clone, tools = bare_copy(tmp_path / "clone"), tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "echo", "java", "rm", "mv", "touch", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool) or "/bin/true")
    maven = tools / "mvn"  # writes one jar where it is told to, then does as a network that fails does
    maven.write_text(
        "#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) folder=${word#*=};; esac; done\n"
        'mkdir "$folder" && touch "$folder/one.jar" && exit 1\n'
    )
    maven.chmod(0o755)
    assert make("flink", path=str(tools), folder=clone).returncode == 2
    assert not (clone / ".tools" / "flink").exists()
    maven.write_text(maven.read_text().replace("exit 1", "exit 0"))
    assert make("flink", path=str(tools), folder=clone).returncode == 0
    assert [jar.name for jar in (clone / ".tools" / "flink").iterdir()] == ["one.jar"]


def preflight(**changes: str) -> subprocess.CompletedProcess[str]:
    """Runs the preflight as if on a machine that will do but for `changes`."""
    options = [word for pair in {**WELL, **changes}.items() for word in pair]
    command = [sys.executable, str(ROOT / "tools" / "preflight.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make(*words: str, path: str | None = None, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs make, without what a make above this test has put into the environment."""
    environment = {"PATH": path or "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    command = [shutil.which("make") or "make", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def bare_copy(folder: Path) -> Path:
    """What make reads of a fresh clone."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder
