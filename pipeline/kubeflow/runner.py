"""Compilation of a run for Kubeflow Pipelines, a pod for each TFX node; also for Vertex AI.

A pod runs `tfrec kubeflow node` in the project's image, with the path of the run's plan and the
node to launch. The first pod makes the plan from the tables at that time
(docs/decisions/0020-kubeflow-launcher.md). For Vertex AI `tfx ... --engine vertex` is pointed at
this file: TFX's own compiler compiles the run TFREC_RUN with the image TFREC_IMAGE.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from pipeline.configuration import named_run
from pipeline.dag import create_pipeline
from pipeline.kubeflow.cluster import Cluster, place_on_volume
from pipeline.kubeflow.compiler import write_pipeline
from pipeline.runs import Run


def compile_run(run: Run, cluster: Cluster, path: str) -> None:
    """Write the run as YAML for open-source Kubeflow Pipelines 2.x.

    TFX makes its graph from the run's tables, so these or a sample of them must be here. Pods read
    the cluster's.
    """
    placed = place_on_volume(run, cluster)
    with tempfile.TemporaryDirectory() as discarded:  # of files that the plan writes again
        nodes = create_pipeline(dataclasses.replace(run, out=discarded)).components
    graph = {node.id: sorted(upstream.id for upstream in node.upstream_nodes) for node in nodes}
    write_pipeline(placed, cluster, graph, path)


if __name__ == "__main__":
    run = named_run(os.environ.get("TFREC_RUN", "laptop"))
    image = os.environ.get("TFREC_IMAGE", "tfrec")
    KubeflowV2DagRunner(
        config=KubeflowV2DagRunnerConfig(default_image=image), output_filename=f"{run.name}-vertex.json"
    ).run(create_pipeline(run))
