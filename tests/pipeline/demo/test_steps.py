"""Steps of the demo as processes: output, logs, failures and the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from pipeline.demo.steps import Steps, locked, quoted
from tfrec.errors import TfrecError


def steps_in(folder: Path, lock: int) -> Steps:
    """Steps with logs below `folder`."""
    return Steps(folder / "logs", lock, {"COLOR": "red"})


def test_progress_lines_are_shown_and_all_lines_are_logged(capfd, tmp_path):
    code = "import os; print('noise'); print('tfrec: step 3, 120 examples/s'); print(os.environ['COLOR'])"
    with locked(tmp_path) as lock:
        steps_in(tmp_path, lock).run("train", sys.executable, "-c", code)
        steps_in(tmp_path, lock).run("train", sys.executable, "-c", "print('again')")
    shown = capfd.readouterr().out
    assert "tfrec: step 3, 120 examples/s" in shown
    assert "noise" not in shown
    log = (tmp_path / "logs" / "train.log").read_text()
    first, second = re.split(r"\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*\n\n", log)[1:]
    assert (first, second) == ("noise\ntfrec: step 3, 120 examples/s\nred\n", "again\n")  # nothing is overwritten


def test_a_failed_step_is_reported_with_its_last_lines(tmp_path):
    code = "import sys; [print('line', n) for n in range(20)]; sys.stderr.write('out of luck'); sys.exit(3)"
    with (
        locked(tmp_path) as lock,
        pytest.raises(
            TfrecError, match=r"(?s)step push ended with code 3; .*push.log:.*line 19.*out of luck"
        ) as raised,
    ):
        steps_in(tmp_path, lock).run("push", sys.executable, "-c", code)
    assert "line 3\n" not in str(raised.value)
    with locked(tmp_path) as lock, pytest.raises(TfrecError, match=r"(?s)ended with code 4; .*short") as raised:
        steps_in(tmp_path, lock).run("push", sys.executable, "-c", "print('short'); raise SystemExit(4)")
    assert "line 19" not in str(raised.value)  # that is the output of an earlier run


def test_a_server_that_ends_early_is_an_error(tmp_path):
    steps = steps_in(tmp_path, 0)
    with pytest.raises(TfrecError, match="ended before its model was in service"), steps.serve("true"):
        pass


def test_the_server_ends_with_the_block(tmp_path):
    code = "import time; print('Running gRPC ModelServer at 127.0.0.1:4711 ...', flush=True); time.sleep(600)"
    with steps_in(tmp_path, 0).serve(sys.executable, "-c", code) as address:
        assert address == "127.0.0.1:4711"


def test_a_second_demo_waits_for_the_step_of_a_killed_one(tmp_path):
    # The first demo is killed by kill -9. Its step runs until it gets a line of input.
    first = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.demo.steps import Steps, locked\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with locked(folder) as lock:\n"
        "    Steps(folder, lock, {}).run('long', sys.executable, '-c', 'print(\"tfrec: begun\"); input()')"
    )
    second = (
        "from pathlib import Path\nfrom pipeline.demo.steps import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('in')"
    )
    demo = subprocess.Popen([sys.executable, "-c", first], stdin=PIPE, stdout=PIPE, text=True)
    while "begun" not in demo.stdout.readline():
        assert demo.poll() is None
    demo.kill()
    assert demo.wait(timeout=60) == -9
    waiting = subprocess.Popen([sys.executable, "-c", second], stdout=PIPE, text=True)
    assert "waiting for it" in waiting.stdout.readline()
    demo.stdin.write("the end\n")
    demo.stdin.close()
    assert waiting.communicate(timeout=60)[0] == "in\n"


def test_a_word_with_a_space_is_quoted():
    assert quoted("gluten free pasta") == '"gluten free pasta"'
    assert quoted("900") == "900"
