"""What a pod of a Kubeflow run does: plan the run, or launch one TFX node of the plan.

TFX's portable launcher is what LocalDagRunner uses too: it runs the node's driver, resolves its inputs, asks ML
Metadata whether the same was done before, runs the executor and publishes what it made.
"""

from __future__ import annotations

from pathlib import Path

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses, before TFX imports it

from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from pipeline.outcome import DONE
from pipeline.runs import Run
from tfrec.errors import DataError, TfrecError


def plan(run: Run, run_id: str) -> Path:
    """The file of TFX's intermediate representation of this run, made over the tables that are in force now."""
    from tfx.dsl.compiler.compiler import Compiler

    from pipeline.dag import create_pipeline

    whole = Compiler().compile(create_pipeline(run))
    runtime_parameter_utils.substitute_runtime_parameter(whole, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    path = Path(run.pipeline_root) / "plans" / f"{run_id}.json"
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_text(json_format.MessageToJson(whole), encoding="utf-8")
    beside.replace(path)
    return path


def launch(planned: Path, node: str) -> str:
    """How the node of a plan ended: "complete", "cached", or "skipped"; TfrecError where its inputs are not there."""
    whole = _read(planned)
    nodes = {each.pipeline_node.node_info.id: each.pipeline_node for each in whole.nodes}
    if node not in nodes:
        raise DataError(f"node {node!r} is not one of {', '.join(nodes)}; compile the run again with this image's code")
    deployment = runner_utils.extract_local_deployment_config(whole)
    connection = deployment.metadata_connection_config
    store = metadata.Metadata(getattr(connection, connection.WhichOneof("connection_config")))
    launched = launcher.Launcher(
        pipeline_node=nodes[node],
        mlmd_connection=store,
        pipeline_info=whole.pipeline_info,
        pipeline_runtime_spec=whole.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node),
    ).launch()
    return _end(store, node, launched.execution_id if launched else None)


def _read(planned: Path) -> pipeline_pb2.Pipeline:
    if not planned.is_file():
        raise DataError(f"there is no plan {planned}; the pod `plan` writes it to a volume that all pods must mount")
    return json_format.Parse(planned.read_text(encoding="utf-8"), pipeline_pb2.Pipeline())


def _end(store: metadata.Metadata, node: str, execution_id: int | None) -> str:
    """The launcher returns quietly where inputs are missing; in a pod of its own that would pass for success."""
    if execution_id is None:
        return "skipped"
    with store as opened:
        (execution,) = opened.store.get_executions_by_id([execution_id])
    state = mlmd.Execution.State.Name(execution.last_known_state).lower()
    if execution.last_known_state not in DONE:
        raise TfrecError(f"node {node} ended {state}, for its inputs were not there; run the nodes before it first")
    return state
