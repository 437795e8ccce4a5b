"""Compilation of a run to the YAML of Kubeflow Pipelines: a container component for each pod.

It decides which pods there are and their settings; pod.py runs in them.
"""

# No `from __future__ import annotations`: kfp reads the annotations of its components.

import dataclasses
import warnings
from collections.abc import Mapping, Sequence

from kfp import compiler, dsl, kubernetes

from pipeline.kubeflow.cluster import Cluster
from pipeline.runs import Run

COMMAND = ("tfrec", "kubeflow")
OUTCOME = "outcome"
"""The last pod, which fails if the model was refused."""


def write_pipeline(run: Run, cluster: Cluster, graph: Mapping[str, Sequence[str]], path: str) -> None:
    """Write the compiled file of a run that is placed on the cluster's volume.

    `graph` maps each TFX node to its upstream nodes, in topological order.
    """

    @dsl.pipeline(name=run.name, description=f"run {run.name} of tfrec, a pod for each TFX node")
    def pipeline() -> None:
        _add_tasks(run, cluster, graph)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp warns of its own future versions
        compiler.Compiler().compile(pipeline, path)


def _add_tasks(run: Run, cluster: Cluster, graph: Mapping[str, Sequence[str]]) -> None:
    """Declare the pods: ingest, plan, the nodes of the graph, outcome."""
    before_plan = []
    if cluster.ingest:
        before_plan = [_pod("ingest", ["tfrec", "ingest"], [*cluster.ingest, "--out", run.tables], cluster)]
    plan = _planner(run, cluster)(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER).after(*before_plan)
    _configure(plan, "plan", cluster)
    done: dict[str, dsl.PipelineTask] = {}
    for name, upstream in graph.items():
        task = _launcher(name, cluster)(plan=plan.outputs["plan"])
        # A metadata file has one writer at a time; a server has no such limit.
        task.after(*([done[node] for node in upstream] if cluster.metadata else list(done.values())[-1:]))
        done[name] = _configure(task, name, cluster)
    _pod(OUTCOME, COMMAND, ["outcome", "--run-json", run.to_json()], cluster).after(*done.values())


def _planner(run: Run, cluster: Cluster) -> dsl.base_component.BaseComponent:
    @dsl.container_component
    def plan(run_id: str, plan: dsl.OutputPath(str)):  # type: ignore
        arguments = ["plan", "--run-json", run.to_json(), "--run-id", run_id, "--told", plan]
        return dsl.ContainerSpec(image=cluster.image_of("plan"), command=[*COMMAND], args=arguments)

    return plan


def _launcher(name: str, cluster: Cluster) -> dsl.base_component.BaseComponent:
    def node(plan: str):  # type: ignore
        arguments = ["node", "--plan", plan, "--node", name]
        return dsl.ContainerSpec(image=cluster.image_of(name), command=[*COMMAND], args=arguments)

    node.__name__ = name
    return dsl.container_component(node)


def _pod(name: str, command: Sequence[str], arguments: list[str], cluster: Cluster) -> dsl.PipelineTask:
    def pod():  # type: ignore
        return dsl.ContainerSpec(image=cluster.image_of(name), command=[*command], args=arguments)

    pod.__name__ = name
    return _configure(dsl.container_component(pod)(), name, cluster)


def _configure(task: dsl.PipelineTask, name: str, cluster: Cluster) -> dsl.PipelineTask:
    """Set the pod's settings on its task."""
    pod = cluster.pod(name)
    task.set_display_name(name)
    task.set_caching_options(enable_caching=False)  # TFX's driver decides: it also sees changed data
    task.set_cpu_request(pod.cpu).set_cpu_limit(pod.cpu)
    task.set_memory_request(pod.memory).set_memory_limit(pod.memory)
    if pod.gpus:
        task.set_accelerator_type(pod.gpu_resource).set_accelerator_limit(pod.gpus)
    if pod.retries and name != OUTCOME:  # a retry would repeat the refusal
        task.set_retry(pod.retries, backoff_duration="30s", backoff_factor=2)
    for label, value in pod.selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in pod.tolerations:
        kubernetes.add_toleration(task, **dataclasses.asdict(toleration))
    _add_shared_settings(task, cluster)
    return task


def _add_shared_settings(task: dsl.PipelineTask, cluster: Cluster) -> None:
    """Add the volumes, secrets and variables that all pods have."""
    for volume in (cluster.volume, *cluster.further_volumes):
        kubernetes.mount_pvc(task, volume.claim, volume.path)
    for secret in cluster.secrets:
        if secret.env:
            kubernetes.use_secret_as_env(task, secret.name, secret.env)
        if secret.path:
            kubernetes.use_secret_as_volume(task, secret.name, secret.path)
    if cluster.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(cluster.pull_secrets))
    for variable, value in cluster.env.items():
        task.set_env_variable(variable, value)
