"""Starts that the server refuses, with the stock server's error texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import processes
from tests.serving.conformance.changes import file_of, labeled, model

pytestmark = pytest.mark.slow  # the server is a process of TensorFlow

BATCHING = "max_batch_size { value: 4 } allowed_batch_sizes: 2"
STARTS: dict[str, tuple[str, list[str], str]] = {
    "a label of a version that is not in service yet": (
        "",
        ["--model_config_file={config}"],
        "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version 1 of model toy, "
        "which is not currently available for inference",
    ),
    "a file that is not a configuration": (
        "config { nonsense }",
        ["--model_config_file={text}"],
        "Invalid protobuf file: '{text}'",
    ),
    "allowed batch sizes that end before the largest": (
        BATCHING,
        ["--model_base_path={base_path}", "--enable_batching", "--batching_parameters_file={text}"],
        "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; expected 4",
    ),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_start_that_cannot_succeed_is_refused(
    own: None, folder: Path, tmp_path: Path, start: tuple[str, list[str], str]
) -> None:
    text, flags, error = start
    names = {"base_path": folder / "toy", "text": tmp_path / "text", "config": tmp_path / "models.config"}
    names["text"].write_text(text, encoding="utf-8")
    names["config"].write_text(file_of(model(folder / "toy", labeled(stable=1))), encoding="utf-8")
    command = [sys.executable, "-m", "serving.server", "--port=0", "--rest_api_port=0"]
    command += [flag.format(**names) for flag in flags]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=processes.ROOT, timeout=300)
    assert ended.returncode == 1
    assert error.format(**names) in ended.stderr
