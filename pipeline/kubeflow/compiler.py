"""A run as the YAML that open-source Kubeflow Pipelines takes: a pod a node, in kfp's container components.

Which pods there are and what each is given, not what they do: that is pod.py's.
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
"""The last pod, which fails where the model was refused."""


def write_pipeline(run: Run, cluster: Cluster, graph: Mapping[str, Sequence[str]], path: str) -> None:
    """Writes the file of a run as its pods see it; `graph`: TFX node -> those before it, in an order that may run."""

    @dsl.pipeline(name=run.name, description=f"tfrec's run {run.name}: a pod a TFX node")
    def whole() -> None:
        _tasks(run, cluster, graph)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp's, of its own future
        compiler.Compiler().compile(whole, path)


def _tasks(run: Run, cluster: Cluster, graph: Mapping[str, Sequence[str]]) -> None:
    """Declares the pods: ingest, plan, the nodes of the graph, outcome."""
    first = []
    if cluster.ingest:
        first = [_pod("ingest", ["tfrec", "ingest"], [*cluster.ingest, "--out", run.tables], cluster)]
    plan = _planner(run, cluster)(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER).after(*first)
    _furnish(plan, "plan", cluster)
    done: dict[str, dsl.PipelineTask] = {}
    for name, before in graph.items():
        task = _launcher(name, cluster)(plan=plan.outputs["plan"])
        # A file of metadata has one writer at a time; a server has no such limit.
        task.after(*([done[node] for node in before] if cluster.metadata else list(done.values())[-1:]))
        done[name] = _furnish(task, name, cluster)
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
    return _furnish(dsl.container_component(pod)(), name, cluster)


def _furnish(task: dsl.PipelineTask, name: str, cluster: Cluster) -> dsl.PipelineTask:
    """The task with what its pod is given."""
    node = cluster.node(name)
    task.set_display_name(name)
    task.set_caching_options(enable_caching=False)  # TFX's driver decides, who looks at the data too
    task.set_cpu_request(node.cpu).set_cpu_limit(node.cpu)
    task.set_memory_request(node.memory).set_memory_limit(node.memory)
    if node.gpus:
        task.set_accelerator_type(node.gpu_resource).set_accelerator_limit(node.gpus)
    if node.retries and name != OUTCOME:  # a refusal stays one
        task.set_retry(node.retries, backoff_duration="30s", backoff_factor=2)
    for label, value in node.selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in node.tolerations:
        kubernetes.add_toleration(task, **dataclasses.asdict(toleration))
    _share(task, cluster)
    return task


def _share(task: dsl.PipelineTask, cluster: Cluster) -> None:
    """Mounts and sets what all pods have alike."""
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
