"""The verdict, and the whole doctor on this machine."""

from __future__ import annotations

import json
import subprocess
import sys

from tfrec.cli.doctor import machine
from tfrec.cli.doctor.finding import Finding, is_fit, render


def test_only_needed_findings_make_a_machine_unfit():
    no_gpu = Finding("gpu", False, "no NVIDIA driver", is_needed=False)
    no_memory = Finding("memory", False, "1.0 GB")
    assert is_fit([no_gpu])
    assert render([no_gpu]).endswith("This machine runs `make demo` and `make test`, on the CPU.")
    assert not is_fit([no_gpu, no_memory])
    assert render([no_gpu, no_memory]).endswith("This machine can't run tfrec yet: memory.")


def test_requirements_belong_to_the_named_extra_only():
    assert machine.requirements_of("tfrec")["tensorflow"] == "<2.22,>=2.21"
    assert "pytest" not in machine.requirements_of("tfrec")
    assert machine.requirements_of("tfrec", extra="dev")["pytest"] == ">=8"
    assert "nvidia-cudnn-cu12" in machine.requirements_of("tensorflow", extra="and-cuda")
    assert machine.requirements_of("no-such-package") == {}


def test_this_machine_is_fit_and_nothing_heavy_is_imported_to_check_it():
    code = (
        "import sys; from tfrec.cli.main import main; code = main(['doctor', '--json']); "
        "heavy = {'tensorflow', 'pandas', 'numpy', 'tfx'} & set(sys.modules); sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert [name for name, finding in findings.items() if finding["is_needed"] and not finding["is_ok"]] == []
    assert done.returncode == 0, done.stderr
    assert {"python", "glibc", "memory", "disk", "packages", "tfx", "gpu"} <= set(findings)
