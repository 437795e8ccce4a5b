"""What `tfx ... --engine local` is pointed at: runs the pipeline named by TFREC_RUN (default: laptop) here."""

from __future__ import annotations

import os

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.orchestration import pipeline_pb2

from pipeline.dag import create_pipeline
from pipeline.outcome import put_in_service
from pipeline.runs import Run, named_run


def run(chosen: Run, until: str = "") -> None:
    """Executes every node whose inputs changed since the last time; only what the node `until` needs, if given."""
    whole = create_pipeline(chosen)
    if until:
        run_part(whole, until)
        return
    LocalDagRunner().run(whole)
    put_in_service(chosen)


def run_part(whole: Pipeline, until: str) -> None:
    """Executes what the node `until` of a pipeline needs, and that node."""
    # A node beside those that run, such as an importer, is taken over from the run before, where there was one.
    before: dict[str, object] = {"latest_pipeline_run_strategy": {}}
    options = pipeline_pb2.RunOptions(partial_run={"to_nodes": [until], "snapshot_settings": before})
    LocalDagRunner().run_with_ir(Compiler().compile(whole), options)


if __name__ == "__main__":
    run(named_run(os.environ.get("TFREC_RUN", "laptop")))
