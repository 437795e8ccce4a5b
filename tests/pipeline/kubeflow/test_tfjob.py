"""examples/tfjob.yaml, validated by the training operator's schema and Kubernetes' own."""

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

# manifests/base/crds/kubeflow.org_tfjobs.yaml of kubeflow/training-operator; the words are those of
# its Go types.
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
    """The pods that the operator makes of the templates, with names replaced."""
    specs = job["spec"]["tfReplicaSpecs"].values()
    manifests = [{"apiVersion": "v1", "kind": "Pod"} | copy.deepcopy(spec["template"]) for spec in specs]
    for pod in manifests:
        pod["metadata"] = pod.get("metadata", {}) | {"name": "pod"}
    return manifests


def test_the_job_and_its_pods_are_valid(job):
    jsonschema.validate(job, SCHEMA)
    for pod in pods(job):
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_schemas_refuse_unknown_fields(job):
    wrong = copy.deepcopy(job)
    wrong["spec"]["tfReplicaSpecs"]["Workers"] = wrong["spec"]["tfReplicaSpecs"].pop("Worker")
    with pytest.raises(jsonschema.ValidationError, match="'Workers' was unexpected"):
        jsonschema.validate(wrong, SCHEMA)
    job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["volume"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="'volume' was unexpected"):
        kubernetes_validate.validate(pods(job)[0], kubernetes_validate.latest_version(), strict=True)


def test_the_pods_join_the_training_on_their_volume_and_restart_on_failure(job):
    spec = job["spec"]["tfReplicaSpecs"]["Worker"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"  # the operator finds it by this name
    assert container["command"][:2] == ["tfrec", "join"]
    assert container["workingDir"] in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert spec["restartPolicy"] == "OnFailure"
    assert spec["replicas"] > TrainConfig().workers
