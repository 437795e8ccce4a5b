"""The compiled file: pods, their order, and the settings of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.configuration import named_run
from pipeline.kubeflow.cluster import Cluster, PodSettings, Secret, Toleration, Volume, place_on_volume
from pipeline.kubeflow.compiler import write_pipeline
from pipeline.kubeflow.spec import Task, read_compiled
from pipeline.runs import run_from_json

GRAPH = {"Schema": [], "ExampleGen": [], "Trainer": ["ExampleGen", "Schema"], "check_model": ["Trainer"]}
CLUSTER = Cluster(
    image="shop:1",
    gpu_image="shop:1-gpu",
    volume=Volume("shop", "/v"),
    further_volumes=(Volume("raw", "/raw"),),
    secrets=(Secret("bucket", {"key": "BUCKET_KEY"}), Secret("ca", path="/ca")),
    pull_secrets=("registry",),
    env={"THREADS": "2"},
    nodes={
        "default": PodSettings("1", "4Gi", retries=1),
        "Trainer": PodSettings(
            "8", "32Gi", 2, "amd.com/gpu", {"pool": "gpu"}, (Toleration("gpu", effect="NoExecute"),), 3
        ),
    },
)


def compiled(folder: Path, **settings: Any) -> dict[str, Task]:
    """Compile the tiny run for a cluster with other settings: display name -> task."""
    cluster = Cluster(**{**CLUSTER.__dict__, **settings})
    write_pipeline(place_on_volume(named_run("tiny"), cluster), cluster, GRAPH, str(folder / "tiny.yaml"))
    return {task.spec.task_info.name: task for task in read_compiled(folder / "tiny.yaml")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the compiled file of `tasks`."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def tasks(folder: Path) -> dict[str, Task]:
    return compiled(folder)


def upstream(task: Task) -> set[str]:
    return set(task.spec.dependent_tasks)


def test_every_pod_has_image_command_and_resources_but_no_kubeflow_cache(tasks: dict[str, Task]) -> None:
    assert list(tasks) == ["plan", "Schema", "ExampleGen", "Trainer", "check_model", "outcome"]
    for title, task in tasks.items():
        assert task.container.image == ("shop:1-gpu" if title == "Trainer" else "shop:1")
        assert list(task.container.command) == ["tfrec", "kubeflow"]
        assert task.container.resources.resource_memory_limit == ("32Gi" if title == "Trainer" else "4Gi")
        assert task.container.resources.resource_cpu_request == ("8" if title == "Trainer" else "1")
        assert not task.spec.caching_options.enable_cache


@pytest.mark.usefixtures("tasks")
def test_kfps_own_loader_reads_the_file(folder: Path) -> None:
    from kfp.components import load_component_from_file

    assert load_component_from_file(str(folder / "tiny.yaml")).name == "tiny"


@pytest.mark.usefixtures("tasks")
def test_the_file_has_the_servers_schema_version(folder: Path) -> None:
    pipeline, platform = yaml.safe_load_all((folder / "tiny.yaml").read_text(encoding="utf-8"))
    assert pipeline["schemaVersion"] == "2.1.0"
    assert list(platform["platforms"]) == ["kubernetes"]


def test_a_pod_gets_the_plan_and_its_node(tasks: dict[str, Task]) -> None:
    arguments = ["node", "--plan", "{{$.inputs.parameters['plan']}}", "--node", "check_model"]
    assert list(tasks["check_model"].container.args) == arguments
    source = tasks["check_model"].spec.inputs.parameters["plan"].task_output_parameter
    assert (source.producer_task, source.output_parameter_key) == ("plan", "plan")


def test_the_plan_gets_the_run_and_its_id(tasks: dict[str, Task]) -> None:
    arguments = list(tasks["plan"].container.args)
    assert run_from_json(arguments[arguments.index("--run-json") + 1]) == place_on_volume(named_run("tiny"), CLUSTER)
    # The driver replaces the placeholder only if it is a whole input, and not in a command line.
    run_id = tasks["plan"].spec.inputs.parameters["run_id"].runtime_value.constant.string_value
    assert run_id == "{{$.pipeline_job_uuid}}"
    assert run_id not in json.dumps(arguments)


def test_with_a_metadata_file_nodes_run_one_after_another(tasks: dict[str, Task]) -> None:
    assert upstream(tasks["Schema"]) == {"plan"}
    assert upstream(tasks["ExampleGen"]) == {"plan", "schema"}
    assert upstream(tasks["Trainer"]) == {"plan", "examplegen"}
    assert upstream(tasks["outcome"]) == {"schema", "examplegen", "trainer", "check-model"}


def test_with_a_metadata_server_a_node_waits_for_its_upstream_nodes(tmp_path: Path) -> None:
    tasks = compiled(tmp_path, metadata="mlmd:8080")
    assert upstream(tasks["ExampleGen"]) == {"plan"}
    assert upstream(tasks["Trainer"]) == {"plan", "examplegen", "schema"}


def test_ingest_is_the_first_pod_if_the_cluster_has_its_arguments(tmp_path: Path) -> None:
    tasks = compiled(tmp_path, ingest=("/raw/shop.yaml", "--partitions", "4"))
    ingest = tasks["ingest"].container
    arguments = ["tfrec", "ingest", "/raw/shop.yaml", "--partitions", "4", "--out", "/v/data/tiny"]
    assert [*ingest.command, *ingest.args] == arguments
    assert upstream(tasks["plan"]) == {"ingest"}


def test_the_trainer_gets_its_gpus_on_machines_of_its_own(tasks: dict[str, Task]) -> None:
    trainer = tasks["Trainer"]
    accelerator = trainer.container.resources.accelerator
    assert (accelerator.resource_type, accelerator.resource_count) == ("amd.com/gpu", "2")
    assert dict(trainer.kubernetes.node_selector.labels) == {"pool": "gpu"}
    (toleration,) = trainer.kubernetes.tolerations
    assert (toleration.key, toleration.operator, toleration.effect) == ("gpu", "Exists", "NoExecute")
    other = tasks["Schema"]
    assert not other.container.resources.HasField("accelerator")
    assert not other.kubernetes.node_selector.labels
    assert not other.kubernetes.tolerations


def test_a_pod_is_tried_again_but_no_refusal_of_a_model(tasks: dict[str, Task]) -> None:
    tries = {title: task.spec.retry_policy.max_retry_count for title, task in tasks.items()}
    assert tries == {"plan": 1, "Schema": 1, "ExampleGen": 1, "Trainer": 3, "check_model": 1, "outcome": 0}


def test_all_pods_share_volumes_secrets_and_variables(tasks: dict[str, Task]) -> None:
    for task in tasks.values():
        mounts = {mount.constant: mount.mount_path for mount in task.kubernetes.pvc_mount}
        assert mounts == {"shop": "/v", "raw": "/raw"}
        (of_bucket,) = task.kubernetes.secret_as_env
        (pair,) = of_bucket.key_to_env
        assert (of_bucket.secret_name, pair.secret_key, pair.env_var) == ("bucket", "key", "BUCKET_KEY")
        assert [secret.mount_path for secret in task.kubernetes.secret_as_volume] == ["/ca"]
        assert [secret.secret_name for secret in task.kubernetes.image_pull_secret] == ["registry"]
        assert {each.name: each.value for each in task.container.env} == {"THREADS": "2"}
