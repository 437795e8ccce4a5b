"""`tfrec demo`: raw data -> tables -> pipeline -> server -> answers, by the commands a person would type.

Each step is a process of its own, so that its memory goes back. Every step leaves its results whole or not at
all: whatever interrupts the demo, running it again goes on.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.demo.steps import Steps, alone, quoted
from pipeline.outcome import Outcome, read_outcome
from pipeline.runs import COMPLETE_JOURNEY, Run
from tfrec.errors import ModelError
from tfrec.examples.split import boundaries
from tfrec.reports.terminal import render_table
from tfrec.schema import TableSet, read_table_set
from tfrec.versions import latest_version

USER = "900"
QUERY = "gluten free pasta"
BIN = Path(sys.executable).parent


def demonstrate(run: Run, query: str = QUERY) -> None:
    """Runs whatever is not done yet and shows what came of it; TfrecError when a step fails."""
    out = Path(run.out)
    with alone(out) as lock:
        steps = Steps(out / "logs", lock, {"TFREC_RUN": run.name})
        if run.tables == COMPLETE_JOURNEY and not (Path(run.tables) / "manifest.json").exists():
            steps.begin("ingest", "a year of raw transactions -> checked tables, partitioned by user")
            steps.run("ingest", BIN / "tfrec", "ingest", "complete-journey", "--out", run.tables)
        tables = read_table_set(run.tables)
        steps.begin("pipeline", "examples -> features -> two towers with BERT -> evaluation -> push")
        print(f"         run {run.name}: {run.expects}", flush=True)
        # What `tfx run create` starts too, once it has imported TFX to find it.
        steps.run("pipeline", sys.executable, Path(__file__).parents[1] / "local_runner.py")
        outcome = read_outcome(run)
        _check(outcome, run)
        steps.begin("serve", "the pushed model, over TensorFlow Serving's protocol")
        server = ("serve", "--model", run.serving, "--port", "0", "--rest-port", "0")
        with steps.serve(BIN / "tfrec", *server) as address:
            steps.begin("results", f"run {run.name}, answers from {address}")
            print(f"\n{render_table(outcome.evaluation)}")
            _ask(steps, run, tables, address, query)


def _check(outcome: Outcome, run: Run) -> None:
    """ModelError when nothing can be served; says so when what is served is an earlier model."""
    if outcome.refusal and latest_version(run.serving) is None:
        raise ModelError(f"{outcome.sentence(run)}; change the run in pipeline/runs.py")
    if outcome.refusal:
        print(f"         {outcome.sentence(run)}")


def _ask(steps: Steps, run: Run, tables: TableSet, address: str, query: str) -> None:
    user_id = USER if run.tables == COMPLETE_JOURNEY else _first_user(tables)
    ask = ["--tables", run.tables, "--server", address]
    test_start = boundaries(tables.manifest, run.config.examples.split).test_start
    until = ["--until", f"{datetime.fromtimestamp(test_start, UTC):%Y-%m-%d}"] if test_start else []
    steps.show(BIN / "tfrec", "recommend", "--user", user_id, *until, *ask)
    steps.show(BIN / "tfrec", "search", query, *ask)
    print(
        f"\nin service: {latest_version(run.serving)}\n"
        "\nTo go on:\n"
        f"  .venv/bin/tfrec serve --model {os.path.relpath(run.serving)}  # and in another window:\n"
        f"  .venv/bin/tfrec recommend --user {user_id}\n"
        f"  .venv/bin/tfrec search {quoted(query)} --user {user_id}\n"
        f"  .venv/bin/tfrec evaluate --run {run.name}\n"
        f"  .venv/bin/tfrec report {run.name}  # the same and more, as a page for a browser\n"
        "  .venv/bin/tfrec ingest --help  # your own shop's data\n"
        "  make test",
        flush=True,
    )


def _first_user(tables: TableSet) -> str:
    """Some user with events."""
    users = (pq.read_table(path, columns=["user_id"])["user_id"] for path in tables.parts("interactions"))
    return next(str(column[0]) for column in users if len(column))
