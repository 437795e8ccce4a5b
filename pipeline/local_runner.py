"""What `tfx ... --engine local` is pointed at: runs the pipeline named by TFREC_RUN (default: laptop) here."""

from __future__ import annotations

import os

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from pipeline.dag import create_pipeline
from pipeline.outcome import put_in_service
from pipeline.runs import Run, named_run


def run(chosen: Run) -> None:
    """Executes every node whose inputs changed since the last time."""
    LocalDagRunner().run(create_pipeline(chosen))
    put_in_service(chosen)


if __name__ == "__main__":
    run(named_run(os.environ.get("TFREC_RUN", "laptop")))
