"""The TFJob of examples/: its fields as the training operator's schema has them, its pods as Kubernetes' own has."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tfrec.config import TrainConfig

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "examples" / "tfjob.yaml"


def strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


INTEGER, TEXT = {"type": "integer"}, {"type": "string"}

# manifests/base/crds/kubeflow.org_tfjobs.yaml of kubeflow/training-operator; the words are those of its Go types.
REPLICA = strict(
    ["template"],
    replicas=INTEGER,
    restartPolicy={"enum": ["Always", "OnFailure", "Never", "ExitCode"]},
    template=strict(["spec"], metadata={"type": "object"}, spec={"type": "object"}),
)
SCHEMA = strict(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "kubeflow.org/v1"},
    kind={"const": "TFJob"},
    metadata=strict(["name"], name=TEXT, namespace=TEXT, labels={"type": "object"}, annotations={"type": "object"}),
    spec=strict(
        ["tfReplicaSpecs"],
        runPolicy=strict(
            [],
            activeDeadlineSeconds=INTEGER,
            backoffLimit=INTEGER,
            cleanPodPolicy={"enum": ["All", "Running", "None"]},
            schedulingPolicy={"type": "object"},
            suspend={"type": "boolean"},
            ttlSecondsAfterFinished=INTEGER,
        ),
        successPolicy={"enum": ["", "AllWorkers"]},
        enableDynamicWorker={"type": "boolean"},
        tfReplicaSpecs=strict([], Chief=REPLICA, Worker=REPLICA),
    ),
)


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """What the operator makes of the templates, but for the names."""
    specs = job["spec"]["tfReplicaSpecs"].values()
    made = [{"apiVersion": "v1", "kind": "Pod"} | copy.deepcopy(spec["template"]) for spec in specs]
    for pod in made:
        pod["metadata"] = pod.get("metadata", {}) | {"name": "pod"}
    return made


def test_the_job_is_valid_by_the_operators_schema_and_its_pods_by_kubernetes_own(job):
    jsonschema.validate(job, SCHEMA)
    for pod in pods(job):
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_schemas_refuse_what_operator_and_kubernetes_do_not_know(job):
    wrong = copy.deepcopy(job)
    wrong["spec"]["tfReplicaSpecs"]["Workers"] = wrong["spec"]["tfReplicaSpecs"].pop("Worker")
    with pytest.raises(jsonschema.ValidationError, match="'Workers' was unexpected"):
        jsonschema.validate(wrong, SCHEMA)
    job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["volume"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="'volume' was unexpected"):
        kubernetes_validate.validate(pods(job)[0], kubernetes_validate.latest_version(), strict=True)


def test_the_pods_join_the_training_in_the_folder_that_they_mount_and_are_started_again(job):
    spec = job["spec"]["tfReplicaSpecs"]["Worker"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"  # by which the operator finds it
    assert container["command"][:2] == ["tfrec", "join"]
    assert container["workingDir"] in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert spec["restartPolicy"] == "OnFailure"
    assert spec["replicas"] > TrainConfig().workers
