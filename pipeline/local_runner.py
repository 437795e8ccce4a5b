"""Run the pipeline in this process.

`tfx ... --engine local` is pointed at this file, with a shop's YAML file or the name of a run in
TFREC_RUN (default: laptop).
"""

from __future__ import annotations

import os
import sys

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.orchestration import pipeline_pb2

from pipeline.dag import create_pipeline
from pipeline.nodes.changes import explain_changes, record_run
from pipeline.nodes.moved_folder import cache_without_paths, move_records
from pipeline.outcome import put_in_service
from pipeline.run_checks import check_space
from pipeline.runs import Run
from pipeline.tables import ready_run
from tfrec.console import log
from tfrec.errors import TfrecError


def run_pipeline(run: Run, until: str = "") -> None:
    """Run every node whose inputs changed since the last run, up to the node `until` if given."""
    dag = create_pipeline(run)
    before = move_records(run)
    if before:
        log(f"the folder moved here from {before}; its finished steps are kept")
    if until:
        with cache_without_paths(run):
            run_part(dag, until)
        return
    changes = explain_changes(dag)
    if changes:
        log(f"since the last run: {changes}")
    try:
        with cache_without_paths(run):
            LocalDagRunner().run(dag)
    except Exception as error:
        check_space(run, error)
        raise
    record_run(dag)
    put_in_service(run)


def run_part(dag: Pipeline, until: str) -> None:
    """Run the node `until` of a pipeline, and before it what it needs."""
    # Other nodes, such as an importer, are taken over from the last run, if there was one.
    snapshot_settings: dict[str, object] = {"latest_pipeline_run_strategy": {}}
    options = pipeline_pb2.RunOptions(partial_run={"to_nodes": [until], "snapshot_settings": snapshot_settings})
    LocalDagRunner().run_with_ir(Compiler().compile(dag), options)


if __name__ == "__main__":
    try:
        run_pipeline(ready_run(os.environ.get("TFREC_RUN", "laptop")))
    except TfrecError as error:
        sys.exit(f"tfrec: error: {error}")
