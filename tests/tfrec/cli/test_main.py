"""Help, errors, wrong flags and interruption of the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfrec.cli.main import VERBS, main

BIN = Path(sys.executable).parent


def test_help_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom tfrec.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'yaml', 'grpc', 'tensorflow', 'tfx'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    for command, _ in VERBS:
        assert f"\n    {command.__name__}" in done.stdout


def test_an_error_is_one_line_without_a_traceback_and_exit_code_2(capsys, tmp_path):
    assert main(["recommend", "--user", "ann", "--tables", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"tfrec: error: {tmp_path} holds no ingested tables")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["similar", "caf\udce9"],
        ["search", "caf\udce9"],
        ["recommend", "--user", "caf\udce9"],
        ["rank", "1", "caf\udce9", "--user", "900"],
        ["embed", "--item", "caf\udce9"],
        ["status", "--server", "caf\udce9"],
        ["serve", "--model", "caf\udce9"],
        ["ingest", "caf\udce9"],
        ["train", "--run", "caf\udce9"],
    ],
    ids=lambda words: words[0],
)
def test_an_argument_of_bytes_that_are_not_utf8_is_refused(capsys, words):
    # The shell's $'caf\xe9', café in Latin-1; Python decodes the arguments with surrogateescape.
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "tfrec: error: an argument is b'caf\\xe9' but must be UTF-8; set the terminal to UTF-8, "
        "or convert the text or rename the file\n",
    )


def test_a_terminal_without_a_character_shows_its_number(tmp_path):
    # status prints the folder 茶 as a table set.
    folder = tmp_path / "data" / "茶"
    folder.mkdir(parents=True)
    manifest = dict(snapshot="", source="", clock="utc", partitions=1, rows={"items": 3}, first_timestamp=0)
    manifest |= dict(last_timestamp=0, profile_columns=(), item_columns=(), rules=[])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run(
        [sys.executable, "-m", "tfrec.cli", "status", "--server", "127.0.0.1:1"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.stdout.splitlines()[0] == rb"tables   data/\u8336: 3 items", done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["recommend"], "the following arguments are required: --user"),
        (["recommend", "--user", "ann", "--k", "0"], "'0' is not a whole number from 1 on"),
        (["recommend", "--user", "ann", "--until", "soon"], "'soon' is not a date such as 2017-12-04"),
        (["recommend", "--user", "ann", "--diversity", "1.1"], "'1.1' is not a number from 0 to 1"),
        (["recommend", "--user", "ann", "--list-calibration", "-0.5"], "'-0.5' is not a number from 0 to 1"),
        (["search", "tea", "--diversity", "much"], "'much' is not a number from 0 to 1"),
        (["search", "tea", "--diversity", "nan"], "'nan' is not a number from 0 to 1"),
        (["rank", "--user", "ann"], "the following arguments are required: item_id"),
        (["similar", "tea", "--version", "1", "--label", "stable"], "not allowed with argument --version"),
        (["status", "--timeout", "soon"], "'soon' is not a number from 0 to 86400"),
        (["canary", "7", "--share", "101", "--model_config_file", "x"], "'101' is not a number from 0 to 100"),
        (["promote", "7"], "the following arguments are required: --model_config_file"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
    ],
)
def test_a_wrong_flag_is_named(capsys, words, text):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert text in capsys.readouterr().err


def test_an_interrupted_command_prints_how_to_resume_and_exits_with_130(tmp_path):
    mapping = tmp_path / "mapping of a shop.yaml"
    os.mkfifo(mapping)  # a reader waits until there is a writer
    child = subprocess.Popen(
        [BIN / "tfrec", "ingest", mapping],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, as CI may be, ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    writer = _open_when_read(mapping)
    for _ in range(10):  # a signal just before the read begins is lost
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)
            break
    os.close(writer)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err.splitlines()[-1] == f"tfrec: interrupted; to resume: tfrec ingest '{mapping}'"


def _open_when_read(fifo: Path) -> int:
    """Wait until a reader has opened the pipe, and return its writing end."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "no reader opened the pipe within 60 seconds"
            time.sleep(0.05)


def test_warnings_of_libraries_are_not_shown_but_their_errors_are():
    code = (
        "import logging\nfrom tfrec.cli.main import _configure_logging\n_configure_logging()\n"
        "import absl.logging\nabsl.logging.set_verbosity(absl.logging.WARNING)  # as TFX does\n"
        "absl.logging.warning('of a node')\nabsl.logging.error('of absl')\n"
        "logging.getLogger('tensorflow').warning('of a layer')\nlogging.getLogger('tfrec.data').info('read')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["tfrec: of absl", "tfrec: read"]


def test_the_help_of_a_request_says_where_a_shops_file_stands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["similar", "--help"])
    assert "right after the verb: tfrec similar shop.yaml" in " ".join(capsys.readouterr().out.split())
