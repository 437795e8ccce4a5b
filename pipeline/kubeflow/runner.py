"""The pipeline as Kubeflow Pipelines takes it, a pod a TFX node; what `tfx ... --engine vertex` is pointed at too.

A pod is `tfrec kubeflow node` in our image, told where the plan of this run lies and which node of it to launch. The
plan is made by the first pod, over the tables that are in force by then (docs/decisions/0020-kubeflow-launcher.md).
For Vertex AI it is TFX's own compiler that takes the same pipeline, of the run TFREC_RUN and the image TFREC_IMAGE.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from pipeline.dag import create_pipeline
from pipeline.kubeflow.cluster import Cluster, placed
from pipeline.kubeflow.compiler import write_pipeline
from pipeline.runs import Run, named_run


def compile_run(run: Run, cluster: Cluster, path: str) -> None:
    """Writes the run as the YAML that open-source Kubeflow Pipelines 2.x takes.

    The run's tables, or a sample of them, must lie here too: TFX's graph is made from them. Pods look at the cluster's.
    """
    with tempfile.TemporaryDirectory() as nowhere:  # what create_pipeline writes is the plan's business
        nodes = create_pipeline(dataclasses.replace(run, out=nowhere)).components
    graph = {node.id: sorted(before.id for before in node.upstream_nodes) for node in nodes}
    write_pipeline(placed(run, cluster), cluster, graph, path)


if __name__ == "__main__":
    chosen = named_run(os.environ.get("TFREC_RUN", "laptop"))
    image = os.environ.get("TFREC_IMAGE", "tfrec")
    KubeflowV2DagRunner(
        config=KubeflowV2DagRunnerConfig(default_image=image), output_filename=f"{chosen.name}-vertex.json"
    ).run(create_pipeline(chosen))
