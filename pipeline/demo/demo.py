"""`tfrec demo`: raw data -> tables -> pipeline -> server -> recommendations, by commands of a user.

Each step is a process, so its memory is freed. Each writes its results completely or not at all, so
the demo can be interrupted at any time; run it again to resume.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.configuration import run_of
from pipeline.demo.steps import Steps, locked, quoted
from pipeline.outcome import Outcome, read_outcome
from pipeline.run_checks import check_folders
from pipeline.run_file import RunFile
from pipeline.runs import COMPLETE_JOURNEY, Run
from pipeline.tables import why_ingest
from tfrec.errors import ModelError
from tfrec.examples.split import boundaries
from tfrec.reports.first_clicks import render_first_clicks
from tfrec.reports.score_tables import render_table
from tfrec.schema import TableSet, read_table_set
from tfrec.versions import latest_version

USER = "900"
QUERY = "gluten free pasta"
EXPECTED = {"laptop": ": 13 minutes on 2 cores, NDCG@20 about 0.36 on all items, 0.045 on items new to the user"}
BIN = Path(sys.executable).parent


def demonstrate(file: RunFile, query: str = QUERY) -> None:
    """Run the steps that are not done and show recommendations; raises TfrecError for a failure."""
    check_folders(file)
    out = Path(file.out)
    with locked(out) as lock:
        steps = Steps(out / "logs", lock, {"TFREC_RUN": file.file or file.name})
        if why_ingest(file):
            steps.begin("ingest", "raw files -> clean tables, partitioned by user")
            steps.run("ingest", BIN / "tfrec", "ingest", "--run", file.file or file.name)
        run = run_of(file)
        tables = read_table_set(run.tables)
        steps.begin("pipeline", "examples -> features -> two towers with BERT -> evaluation -> push")
        print(f"         run {run.name}{EXPECTED.get(run.name, '')}", flush=True)
        # `tfx run create` runs the same file, but imports TFX twice.
        steps.run("pipeline", sys.executable, Path(__file__).parents[1] / "local_runner.py")
        outcome = read_outcome(run)
        _report_refusal(outcome, run)
        steps.begin("serve", "the pushed model, by TensorFlow Serving's protocol")
        server = ("serve", "--model", run.serving, "--port", "0", "--rest-port", "0")
        with steps.serve(BIN / "tfrec", *server) as address:
            steps.begin("results", f"run {run.name}, recommendations from {address}")
            print(f"\n{render_table(outcome.evaluation)}")
            _recommend(steps, run, tables, address, query)
            print(f"\n{render_first_clicks(outcome.evaluation)}", flush=True)


def _report_refusal(outcome: Outcome, run: Run) -> None:
    """Print that an earlier model is served instead; raises ModelError when there is none."""
    if outcome.refusal and latest_version(run.serving) is None:
        raise ModelError(f"{outcome.sentence(run)}; change its settings")
    if outcome.refusal:
        print(f"         {outcome.sentence(run)}")


def _recommend(steps: Steps, run: Run, tables: TableSet, address: str, query: str) -> None:
    user_id = USER if run.tables == COMPLETE_JOURNEY else _first_user(tables)
    flags = ["--tables", run.tables, "--server", address]
    test_start = boundaries(tables.manifest, run.config.examples.split).test_start
    until = ["--until", f"{datetime.fromtimestamp(test_start, UTC):%Y-%m-%d}"] if test_start else []
    steps.show(BIN / "tfrec", "recommend", "--user", user_id, *until, *flags)
    steps.show(BIN / "tfrec", "search", query, *flags)
    print(
        f"\nin service: {latest_version(run.serving)}\n"
        "\nNext steps:\n"
        f"  .venv/bin/tfrec serve {run.argument}  # and in another terminal:\n"
        f"  .venv/bin/tfrec recommend {run.argument} --user {user_id}\n"
        f"  .venv/bin/tfrec search {run.argument} {quoted(query)} --user {user_id}\n"
        f"  .venv/bin/tfrec evaluate {run.argument}\n"
        f"  .venv/bin/tfrec report {run.file or run.name}  # the same and more, as a page for a browser\n"
        "  .venv/bin/tfrec ingest --help  # your own shop's data\n"
        "  make test",
        flush=True,
    )


def _first_user(tables: TableSet) -> str:
    """The first user with events."""
    users = (pq.read_table(path, columns=["user_id"])["user_id"] for path in tables.parts("interactions"))
    return next(str(column[0]) for column in users if len(column))
