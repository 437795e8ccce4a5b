"""`make` on a fresh clone: its messages on unsuitable machines, and its list of verbs."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITABLE = {
    "--python": "3.11.2",
    "--system": "Linux x86_64",
    "--pip": "yes",
    "--memory-gb": "8",
    "--disk-gb": "20",
    "--environment": "does-not-exist",
}


def test_the_preflight_of_a_suitable_machine_prints_nothing():
    done = preflight()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--python", "3.9.2", "Python here is 3.9.2"),
        ("--python", "3.12.1", "support only Python 3.11"),
        ("--pip", "no", "has no pip, which installs uv; install pip"),
        ("--memory-gb", "3.9", "This machine has 3.9 GB of memory, but the pipeline needs 7 GB"),
        ("--disk-gb", "7.5", "7.5 GB of disk are free at"),
        ("--system", "Darwin arm64", "This is Darwin arm64, but TFX has wheels for Linux x86_64 only"),
    ],
)
def test_an_unmet_requirement_prints_one_sentence_and_exits_with_1(flag, value, message):
    done = preflight(**{flag: value})
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_all_unmet_requirements_are_printed_together():
    done = preflight(**{"--python": "3.8.1", "--memory-gb": "2", "--disk-gb": "1"})
    assert len(done.stderr.splitlines()) == 3


def test_disk_space_is_not_checked_if_the_environment_exists(tmp_path):
    assert preflight(**{"--disk-gb": "1", "--environment": str(tmp_path)}).returncode == 0


def test_python_3_6_can_parse_the_preflight():
    text = (ROOT / "tools" / "preflight.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))
    assert "annotations" not in text  # `from __future__ import annotations` stops Python 3.6


def test_make_without_python_names_the_python_it_needs(tmp_path):
    for tool in ("make", "sh", "echo", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    done = make("test", "UV=" + str(tmp_path / "sh"), path=str(tmp_path), folder=bare_copy(tmp_path / "clone"))
    assert done.returncode != 0
    assert "There is no Python here; tfrec needs Python 3.11 with pip." in done.stdout


def test_make_with_an_old_python_prints_its_version(tmp_path):
    # This python3 fails make's version check and runs the preflight with --python 3.9.2.
    clone, tools = bare_copy(tmp_path / "clone"), tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "echo", "sed"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    old = tools / "python3"
    old.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 1\nexec {sys.executable} "$@" --python 3.9.2\n')
    old.chmod(0o755)
    done = make("test", path=str(tools), folder=clone)
    assert done.returncode == 2  # make's own code for a recipe that failed
    assert "Python here is 3.9.2" in done.stderr


@pytest.mark.parametrize("verb", ["demo", "test", "check", "bench", "serve", "flink", "clean", "help"])
def test_help_lists_every_verb(verb):
    assert f"make {verb}\t" in make("help").stdout


def test_an_existing_environment_is_not_installed_again(tmp_path):
    clone = bare_copy(tmp_path / "clone")
    uv = clone / ".tools" / "uv"
    for path in (uv, clone / ".venv" / ".ready"):  # in this order: the stamp is newer
        path.parent.mkdir()
        path.touch()
    plan = make("-n", "test", f"UV={uv}", folder=clone).stdout
    assert [line.split()[0] for line in plan.splitlines()] == [".venv/bin/pytest"]


def test_a_verb_writes_bytecode_on_a_machine_that_turns_it_off(tmp_path):
    clone = bare_copy(tmp_path / "clone")
    shown = clone / ".venv" / "bin" / "tfrec"  # prints the setting that it gets
    uv = clone / ".tools" / "uv"
    for path in (shown, uv, clone / ".venv" / ".ready"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\necho "no bytecode: ${PYTHONDONTWRITEBYTECODE-not set}"\n')
    shown.chmod(0o755)
    done = make("demo", f"UV={uv}", folder=clone, PYTHONDONTWRITEBYTECODE="1")
    assert "no bytecode: not set" in done.stdout


def test_a_killed_setup_reinstalls_all_packages(tmp_path):
    clone = bare_copy(tmp_path / "clone")
    (clone / ".tools").mkdir()
    (clone / ".tools" / "unfinished").touch()
    assert "--reinstall" in make("-n", "test", folder=clone).stdout
    (clone / ".tools" / "unfinished").unlink()
    assert "--reinstall" not in make("-n", "test", folder=clone).stdout


def test_make_flink_without_maven_names_what_to_install(tmp_path):
    for tool in ("make", "sh", "echo", "java"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    done = make("flink", path=str(tmp_path), folder=bare_copy(tmp_path / "clone"))
    assert done.returncode == 2
    message = "there is no java or no mvn here; install Java 11 or newer and Maven, on Debian by: apt-get install"
    assert message in done.stderr
    assert "mvn --" not in done.stdout


def test_a_failed_download_of_flink_leaves_no_folder_and_can_be_repeated(tmp_path):
    clone, tools = bare_copy(tmp_path / "clone"), tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "echo", "java", "rm", "mv", "touch", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool) or "/bin/true")
    maven = tools / "mvn"  # writes one jar, then fails like a lost network
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
    """Run the preflight with the values of a suitable machine, except for `changes`."""
    options = [word for pair in {**SUITABLE, **changes}.items() for word in pair]
    command = [sys.executable, str(ROOT / "tools" / "preflight.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make(
    *words: str, path: str | None = None, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run make with `variables` in a clean environment, even if the tests run under make."""
    environment = {"PATH": path or "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **variables}
    command = [shutil.which("make") or "make", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def bare_copy(folder: Path) -> Path:
    """Copy the files of a clone that make reads."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder
