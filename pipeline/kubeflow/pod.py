"""The work of a pod: plan a run, or launch one TFX node of the plan.

The launcher is TFX's portable one, as in LocalDagRunner: it runs the node's driver, resolves its
inputs, looks for a cached result in ML Metadata, runs the executor and publishes its outputs.
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
from pipeline.run_checks import check_data, check_folders
from pipeline.runs import Run
from tfrec.atomic_file import write_text
from tfrec.errors import DataError, TfrecError


def write_plan(run: Run, run_id: str) -> Path:
    """Write the run over its present tables as TFX's intermediate representation, to a file."""
    from tfx.dsl.compiler.compiler import Compiler

    from pipeline.dag import create_pipeline

    check_folders(run)
    check_data(run)
    compiled = Compiler().compile(create_pipeline(run))
    runtime_parameter_utils.substitute_runtime_parameter(compiled, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    path = Path(run.pipeline_root) / "plans" / f"{run_id}.json"
    path.parent.mkdir(exist_ok=True)
    write_text(path, json_format.MessageToJson(compiled))
    return path


def launch(plan: Path, node: str) -> str:
    """Launch a node of a plan; returns its state, "complete", "cached" or "skipped".

    Raises DataError without such a plan or node, and TfrecError when inputs of the node are
    missing.
    """
    compiled = _read_plan(plan)
    nodes = {each.pipeline_node.node_info.id: each.pipeline_node for each in compiled.nodes}
    if node not in nodes:
        raise DataError(f"node {node!r} is not one of {', '.join(nodes)}; compile the run again with this image's code")
    deployment = runner_utils.extract_local_deployment_config(compiled)
    connection = deployment.metadata_connection_config
    store = metadata.Metadata(getattr(connection, connection.WhichOneof("connection_config")))
    launched = launcher.Launcher(
        pipeline_node=nodes[node],
        mlmd_connection=store,
        pipeline_info=compiled.pipeline_info,
        pipeline_runtime_spec=compiled.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node),
    ).launch()
    return _state(store, node, launched.execution_id if launched else None)


def _read_plan(plan: Path) -> pipeline_pb2.Pipeline:
    if not plan.is_file():
        raise DataError(f"there is no plan {plan}; the pod `plan` writes it to a volume that all pods must mount")
    return json_format.Parse(plan.read_text(encoding="utf-8"), pipeline_pb2.Pipeline())


def _state(store: metadata.Metadata, node: str, execution_id: int | None) -> str:
    """The state of an execution; raises TfrecError for a failed one.

    The launcher returns without an error when inputs are missing, so the pod would succeed.
    """
    if execution_id is None:
        return "skipped"
    with store as opened:
        (execution,) = opened.store.get_executions_by_id([execution_id])
    state = mlmd.Execution.State.Name(execution.last_known_state).lower()
    if execution.last_known_state not in DONE:
        raise TfrecError(f"node {node} ended as {state}, for its inputs are missing; run its upstream nodes first")
    return state
