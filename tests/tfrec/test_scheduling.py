"""The command line of Kubeflow's verbs, as far as it needs neither TFX nor a cluster."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tfrec.cli import main
from tfrec.scheduling import VERBS


def test_help_names_every_verb_and_says_which_are_for_pods(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["kubeflow", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert [name for name, _, _ in VERBS] == ["compile", "submit", "run-local", "plan", "node", "outcome"]
    for name, command, _ in VERBS:
        assert f"{name} {command.__doc__}" in told
        assert str(command.__doc__).startswith("for a pod: ") == (name in ("plan", "node", "outcome"))


def test_a_run_that_there_is_not_and_a_cluster_that_there_is_not_are_told_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["kubeflow", "compile", "--run", "nosuch"]) == 2
    assert "run 'nosuch' is not one of tiny, " in capsys.readouterr().err
    assert main(["kubeflow", "compile", "--run", "tiny", "--cluster", "nosuch.yaml"]) == 2
    assert "cluster nosuch.yaml can't be read" in capsys.readouterr().err


def test_without_kubeflows_library_its_cure_is_told() -> None:
    code = "import sys; sys.modules['kfp'] = None\nfrom tfrec.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "kubeflow", "run-local", "shop.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    told = "tfrec: error: Kubeflow's library kfp is not installed; install the extra: pip install '.[kubeflow]'\n"
    assert (done.returncode, done.stderr) == (2, told)
