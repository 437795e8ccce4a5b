"""The tasks of a compiled pipeline, checked as open-source Kubeflow Pipelines checks it.

The error messages are those of kubeflow/pipelines: backend/src/apiserver/template/v2_template.go,
which reads the file, and backend/src/v2/compiler/argocompiler, which makes pods of it. Further
errors name what `run-local` can't do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import (
    ComponentSpec,
    PipelineDeploymentConfig,
    PipelineSpec,
    PipelineTaskSpec,
    PlatformSpec,
)

from tfrec.errors import ConfigError

SCHEMA_VERSION = "2.1.0"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclasses.dataclass(frozen=True)
class Task:
    """A pod: its task, its component's interface, its container and its Kubernetes settings."""

    name: str
    spec: PipelineTaskSpec
    component: ComponentSpec
    container: PipelineDeploymentConfig.PipelineContainerSpec
    kubernetes: KubernetesExecutorConfig


def read_compiled(path: Path) -> list[Task]:
    """Read the tasks of a compiled pipeline, each after those that it depends on.

    Raises ConfigError for what open-source Kubeflow Pipelines refuses, and for what only a cluster
    can run.
    """
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]
    except (OSError, yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{path} can't be read as YAML ({' '.join(str(error).split())}); compile one") from None
    pipeline, platform = _parsed(path, documents)
    reason = next(_refusals(pipeline), None)
    if reason:
        raise ConfigError(f"{path}: Kubeflow Pipelines refuses it: {reason}; compile it with `tfrec kubeflow compile`")
    config = PipelineDeploymentConfig()
    json_format.ParseDict(json_format.MessageToDict(pipeline.deployment_spec), config)
    tasks = {name: _task(path, pipeline, config, platform, name) for name in pipeline.root.dag.tasks}
    return [tasks[name] for name in _order(path, tasks)]


def _parsed(path: Path, documents: list[Any]) -> tuple[PipelineSpec, PlatformSpec]:
    """Parse both documents into kfp's protocol buffers, which have every known field."""
    pipeline, platform = PipelineSpec(), PlatformSpec()
    try:
        for document in documents:
            json_format.ParseDict(document, platform if "platforms" in document else pipeline)
    except (json_format.ParseError, TypeError) as error:
        reason = f"invalid v2 pipeline spec: {' '.join(str(error).split())}"
        raise ConfigError(f"{path}: Kubeflow Pipelines refuses it: {reason}") from None
    return pipeline, platform


def _refusals(pipeline: PipelineSpec) -> Iterator[str]:
    """Errors of the API server, in its words."""
    if pipeline.ByteSize() == 0:
        yield "no pipeline spec is provided"
    if pipeline.schema_version != SCHEMA_VERSION:
        version = pipeline.schema_version
        yield f"KFP only supports schema version {SCHEMA_VERSION}, but the pipeline spec has version {version}"
    if not NAME.fullmatch(pipeline.pipeline_info.name):  # the server accepts a partial match, which Kubernetes refuses
        yield f"invalid v2 pipeline spec: the name is {pipeline.pipeline_info.name!r}"
    config = PipelineDeploymentConfig()
    json_format.ParseDict(json_format.MessageToDict(pipeline.deployment_spec), config)
    for name, task in _all_tasks(pipeline):
        yield from (f"compiling task {name!r}: {reason}" for reason in _task_refusals(pipeline, config, task))
    if not pipeline.root.dag.tasks:
        yield "DAG root must contain one or more non-exit tasks"


def _all_tasks(pipeline: PipelineSpec) -> Iterator[tuple[str, PipelineTaskSpec]]:
    """The tasks of the root and of every component that is a graph itself."""
    for graph in (pipeline.root, *pipeline.components.values()):
        yield from graph.dag.tasks.items()


def _task_refusals(pipeline: PipelineSpec, config: PipelineDeploymentConfig, task: PipelineTaskSpec) -> Iterator[str]:
    component = task.component_ref.name
    if component not in pipeline.components:
        yield f"component spec for {component!r} not found"
        return
    label = pipeline.components[component].executor_label
    if task.HasField("artifact_iterator"):
        yield "artifact iterator not implemented yet"
    if not label:
        if not pipeline.components[component].HasField("dag"):
            yield "unsupported component implementation kind: <nil>"
        return
    if label not in config.executors:
        yield f"executor with label {label!r} not found"
        return
    executor = config.executors[label]
    kind = executor.WhichOneof("spec")
    if kind == "resolver":
        yield "resolver executors not implemented"
    elif kind == "custom_job":
        yield "custom job executors is Google Cloud only, it's not supported"
    elif kind is None:
        yield "unknown executor spec type: <nil>"
    elif kind == "container" and not executor.container.image:
        yield f"executor {label!r} names no image"
    elif kind == "container" and not [*executor.container.command, *executor.container.args]:
        yield "command and arguments are empty"


def _task(
    path: Path, pipeline: PipelineSpec, config: PipelineDeploymentConfig, platform: PlatformSpec, name: str
) -> Task:
    """The task of that name; raises ConfigError for one that only a cluster can run."""
    spec = pipeline.root.dag.tasks[name]
    component = pipeline.components[spec.component_ref.name]
    executor = config.executors[component.executor_label]
    interface = (component.input_definitions, component.output_definitions)
    special = {
        "a graph of its own": component.HasField("dag"),
        "an importer": executor.HasField("importer"),
        "a loop": spec.HasField("parameter_iterator"),
        "under a condition": bool(spec.trigger_policy.condition),
        "run after failures too": spec.trigger_policy.strategy == spec.trigger_policy.ALL_UPSTREAM_TASKS_COMPLETED,
        "given artifacts by Kubeflow": any(each.artifacts for each in interface),
    }
    for property_name, is_present in special.items():
        if is_present:
            raise ConfigError(
                f"task {name} of {path} is {property_name}, which only a cluster runs; submit the file to one"
            )
    kubernetes = KubernetesExecutorConfig()
    specs = platform.platforms["kubernetes"].deployment_spec.executors
    if component.executor_label in specs:
        json_format.ParseDict(json_format.MessageToDict(specs[component.executor_label]), kubernetes)
    return Task(name, spec, component, executor.container, kubernetes)


def _order(path: Path, tasks: dict[str, Task]) -> list[str]:
    graph = {name: [*task.spec.dependent_tasks] for name, task in tasks.items()}
    for name, upstream in graph.items():
        for missing in set(upstream) - set(tasks):
            raise ConfigError(f"task {name} of {path} depends on {missing}, which does not exist; compile it again")
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ConfigError(f"{path} has tasks that wait for each other: {', '.join(error.args[1])}") from None
