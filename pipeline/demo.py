"""`tfrec demo`: raw data -> tables -> pipeline -> server -> answers, by the commands a person would type.

Each step is a process of its own, so that its memory goes back. Every step leaves its results whole or not at
all: whatever interrupts the demo, running it again goes on.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pipeline.runs import Run
from pipeline.steps import Steps, alone, quoted
from tfrec.errors import DataError, ModelError
from tfrec.examples import boundaries
from tfrec.push import latest_version, push
from tfrec.report import render_table
from tfrec.schema import read_table_set
from tfrec.scores import Evaluation

USER = "900"
QUERY = "gluten free pasta"
BIN = Path(sys.executable).parent


def demonstrate(run: Run, user_id: str = USER, query: str = QUERY) -> None:
    """Runs whatever is not done yet and shows what came of it; TfrecError when a step fails."""
    out = Path(run.out)
    with alone(out) as lock:
        steps = Steps(out / "logs", lock, {"TFREC_RUN": run.name})
        if not (Path(run.tables) / "manifest.json").exists():
            steps.begin("ingest", "a year of raw transactions -> checked tables, partitioned by user")
            steps.run("ingest", BIN / "tfrec", "ingest", "complete-journey", "--out", run.tables)
        steps.begin("pipeline", "examples -> features -> two towers with BERT -> evaluation -> push")
        # What `tfx run create` starts too, once it has imported TFX to find it.
        steps.run("pipeline", sys.executable, Path(__file__).with_name("local_runner.py"))
        verdict = read_evaluation(run).verdict
        if latest_version(run.serving) is None and not verdict.blessed:
            reasons = "; ".join(verdict.reasons)
            raise ModelError(f"no model was good enough to be pushed: {reasons}; change the run in pipeline/runs.py")
        if latest_version(run.serving) is None:
            _push_again(run)
        if not verdict.blessed:
            print("         the new model was refused; an earlier version stays in service")
        steps.begin("serve", "the pushed model, over TensorFlow Serving's protocol")
        server = ("serve", "--model", run.serving, "--port", "0", "--rest-port", "0")
        with steps.serve(BIN / "tfrec", *server) as address:
            _show(steps, run, address, user_id, query)


def read_evaluation(run: Run) -> Evaluation:
    """The run's latest evaluation; DataError when there is none yet."""
    found = sorted(Path(run.pipeline_root).glob("*/*/*/evaluation.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise DataError(f"run {run.name} has no evaluation yet; make one: `tfrec train --run {run.name}`")
    return Evaluation.from_json(found[-1].read_text(encoding="utf-8"))


def _push_again(run: Run) -> None:
    """The last pushed model, where somebody emptied the serving folder, which TFX's cache does not know."""
    pushed = sorted(Path(run.pipeline_root).glob("Pusher/pushed_model/*"), key=lambda path: int(path.name))
    models = [path for path in pushed if (path / "saved_model.pb").exists()]
    if not models:
        raise ModelError(f"{run.serving} is empty and no copy of a pushed model is left; delete {run.pipeline_root}")
    push(str(models[-1]), run.serving)


def _show(steps: Steps, run: Run, address: str, user_id: str, query: str) -> None:
    steps.begin("results", f"run {run.name}, answers from {address}")
    print(f"\n{render_table(read_evaluation(run))}")
    ask = ["--tables", run.tables, "--server", address]
    test_start = boundaries(read_table_set(run.tables).manifest, run.config.examples.split).test_start
    until = ["--until", f"{datetime.fromtimestamp(test_start, UTC):%Y-%m-%d}"] if test_start else []
    steps.show(BIN / "tfrec", "recommend", "--user", user_id, *until, *ask)
    steps.show(BIN / "tfrec", "search", query, *ask)
    print(
        f"\npushed: {latest_version(run.serving)}\n"
        "\nTo go on:\n"
        f"  .venv/bin/tfrec serve --model {os.path.relpath(run.serving)}     and in another window:\n"
        f"  .venv/bin/tfrec recommend --user {user_id}\n"
        f"  .venv/bin/tfrec search {quoted(query)} --user {user_id}\n"
        f"  .venv/bin/tfrec evaluate --run {run.name}\n"
        "  .venv/bin/tfrec ingest --help     your own shop's data\n"
        "  make test",
        flush=True,
    )
