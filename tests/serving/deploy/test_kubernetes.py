"""The manifests are valid by Kubernetes' schemas, fit each other, and start the stock server."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

ROOT = Path(__file__).parents[3]
SERVING = ROOT / "serving"
CANARY = SERVING / "deploy" / "canary"
FILES = sorted((SERVING / "deploy" / "kubernetes").glob("*.yaml"))
KUSTOMIZATION = yaml.safe_load((SERVING / "kustomization.yaml").read_text(encoding="utf-8"))

# tensorflow/serving, tensorflow_serving/model_servers/main.cc; the server ends on any other flag.
STOCK_FLAGS = """
    port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support
    enable_batching allow_version_labels_for_unavailable_models batching_parameters_file
    enable_per_model_batching_parameters model_config_file model_config_file_poll_wait_seconds model_name
    model_base_path num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros
    file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism
    tensorflow_session_config_file tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism
    use_alts_credentials ssl_config_file platform_config_file per_process_gpu_memory_fraction saved_model_tags
    grpc_channel_arguments grpc_max_threads enable_model_warmup num_request_iterations_for_warmup version
    monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model num_tflite_pools
    num_tflite_interpreters_per_pool enable_signature_method_name_check xla_cpu_compilation_enabled
    xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision skip_initialize_tpu
    enable_grpc_healthcheck_service enable_serialization_as_tensor_content
""".split()

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    """Manifests by kind."""
    read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES]
    return {manifest["kind"]: manifest for manifest in read}


@pytest.fixture(scope="module")
def pod(manifests) -> dict[str, Any]:
    """The specification of the Deployment's pods."""
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def server(pod) -> dict[str, Any]:
    """The only container of a pod."""
    (container,) = pod["containers"]
    return container


@pytest.fixture(scope="module")
def flags(server) -> dict[str, str]:
    """Values of the Deployment's flags by name."""
    return dict(argument.removeprefix("--").split("=", maxsplit=1) for argument in server["args"])


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_manifest_is_valid_by_kubernetes_own_schema(path, version):
    kubernetes_validate.validate(yaml.safe_load(path.read_text(encoding="utf-8")), version, strict=True)


def test_the_schema_refuses_an_unknown_field(manifests):
    wrong = manifests["Service"] | {"spec": manifests["Service"]["spec"] | {"port": 8500}}
    with pytest.raises(kubernetes_validate.ValidationError, match="'port' was unexpected"):
        kubernetes_validate.validate(wrong, "1.30", strict=True)


def test_every_manifest_is_applied_and_every_configuration_file_is_generated_and_mounted(manifests):
    assert [SERVING / name for name in KUSTOMIZATION["resources"]] == FILES
    generators = KUSTOMIZATION["configMapGenerator"]
    files = [name for generator in generators for name in generator["files"]]
    assert sorted(files) == sorted(path.name for path in SERVING.glob("*.config"))
    assert sources(manifests["Deployment"]) == [generator["name"] for generator in generators]


def test_kustomize_renders_valid_manifests_whose_pods_mount_our_files():
    rendered = kustomize(SERVING)
    for manifest in rendered:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    maps = {manifest["metadata"]["name"]: manifest["data"] for manifest in rendered if manifest["kind"] == "ConfigMap"}
    (deployment,) = (manifest for manifest in rendered if manifest["kind"] == "Deployment")
    mounted = {name: text for source in sources(deployment) for name, text in maps[source].items()}
    assert mounted == {path.name: path.read_text(encoding="utf-8") for path in SERVING.glob("*.config")}


def test_the_canary_generates_the_watched_configmap_under_the_same_name():
    (laid,) = yaml.safe_load((CANARY / "kustomization.yaml").read_text(encoding="utf-8"))["configMapGenerator"]
    assert laid == KUSTOMIZATION["configMapGenerator"][0]
    assert laid["options"] == {"disableNameSuffixHash": True}  # a new name would reach new pods alone


def test_kustomize_replaces_the_models_configuration_by_the_canarys():
    (laid,) = kustomize(CANARY)
    (watched,) = (manifest for manifest in kustomize(SERVING) if "models.config" in manifest.get("data", {}))
    assert laid["metadata"] == watched["metadata"]
    assert laid["data"] == {"models.config": (CANARY / "models.config").read_text(encoding="utf-8")}


def test_the_canarys_labels_name_loaded_versions_of_the_served_model():
    canary, served = model_of(CANARY / "models.config"), model_of(SERVING / "models.config")
    assert canary.version_labels.keys() == {"stable", "canary"}
    assert set(canary.version_labels.values()) == set(canary.model_version_policy.specific.versions)
    for field in ("name", "base_path", "model_platform"):
        assert getattr(canary, field) == getattr(served, field)


def test_the_pods_run_the_version_that_the_image_is_pinned_to(server):
    pinned = re.search(r"^ARG TF_SERVING_VERSION=(\S+)", dockerfile(), re.MULTILINE)
    assert pinned is not None
    assert server["image"] == f"tensorflow/serving:{pinned[1]}"
    assert "command" not in server  # the image's own entry point passes the ports


def test_the_server_knows_every_flag_and_gets_the_images_flags(server, flags):
    assert flags.keys() <= set(STOCK_FLAGS)
    assert len(flags) == len(server["args"])
    assert set(re.findall(r'"(--[^"]+)"', dockerfile())) <= set(server["args"])


def test_labels_are_allowed_at_the_start_and_the_file_is_polled(flags):
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    assert int(flags["model_config_file_poll_wait_seconds"]) > 0


def test_the_flags_name_paths_of_mounted_volumes(server, flags):
    mounted = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    for flag in ("model_config_file", "monitoring_config_file"):
        assert flags[flag].startswith(f"{mounted['config']}/")
        assert (SERVING / Path(flags[flag]).name).is_file()
    assert model_of(SERVING / "models.config").base_path == mounted["models"]


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_probe_uses_a_health_service_name_that_the_server_registers(server, flags, probe):
    assert flags["enable_grpc_healthcheck_service"] == "true"
    # Not fully qualified: tensorflow_serving/model_servers/server.cc.
    assert server[probe]["grpc"] == {"port": 8500, "service": "PredictionService"}


def test_a_pod_may_start_for_as_long_as_all_retries_of_a_load_take(server):
    retries, minute = 5, 60  # the server's defaults, after which it ends by itself
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] > 2 * retries * minute


def test_the_threads_match_the_cpu_limit(server, flags):
    assert server["resources"]["requests"] == server["resources"]["limits"]  # otherwise the pod is evicted first
    assert server["env"] == [{"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]
    assert flags["tensorflow_intra_op_parallelism"] == flags["tensorflow_inter_op_parallelism"] == "$(CPUS)"
    cpus = int(server["resources"]["limits"]["cpu"])
    assert int(flags["grpc_max_threads"]) == int(flags["rest_api_num_threads"]) == 4 * cpus


def test_every_connection_ends_before_the_server_is_killed(pod, server, flags):
    arguments = dict(pair.split("=") for pair in flags["grpc_channel_arguments"].split(","))
    age = int(arguments["grpc.max_connection_age_ms"]) / 1000 * 1.1  # gRPC adds up to a tenth at random
    grace = int(arguments["grpc.max_connection_age_grace_ms"]) / 1000
    _, wait = server["lifecycle"]["preStop"]["exec"]["command"]
    assert age < int(wait) < pod["terminationGracePeriodSeconds"]
    assert age + grace < pod["terminationGracePeriodSeconds"]


def test_the_server_is_not_root_and_can_write_only_to_tmp(pod, server):
    assert pod["securityContext"]["runAsNonRoot"]
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}" in dockerfile()
    assert server["securityContext"]["readOnlyRootFilesystem"]
    assert not server["securityContext"]["allowPrivilegeEscalation"]
    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in server["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp"}


def test_service_budget_and_autoscaler_select_the_deployments_pods(manifests, pod, server):
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", manifests["Deployment"]["metadata"]["name"])
    assert "replicas" not in manifests["Deployment"]["spec"]  # an apply would reset the autoscaler's number
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert {port["targetPort"]: port["port"] for port in manifests["Service"]["spec"]["ports"]} == ports
    (claim,) = (volume["persistentVolumeClaim"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume)
    assert claim["claimName"] == manifests["PersistentVolumeClaim"]["metadata"]["name"]


def test_prometheus_finds_the_metrics_by_the_pods_annotations(manifests):
    annotations = manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8501"
    path = annotations["prometheus.io/path"]
    assert f'path: "{path}"' in (SERVING / "monitoring.config").read_text(encoding="utf-8")


def test_the_guide_names_known_flags_and_existing_files():
    guide = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--([a-z]+_[a-z_]+)", guide))
    assert len(named) > 5
    assert named <= set(STOCK_FLAGS)
    paths = set(re.findall(r"serving/(?:deploy/)?[\w/-]+\.(?:ya?ml|config)", guide))
    assert len(paths) > 5
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []


def kustomize(folder: Path) -> list[Manifest]:
    """The manifests that `kubectl apply -k` would apply."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl renders the kustomization; see https://kubernetes.io/docs/tasks/tools")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def sources(deployment: Manifest) -> list[str]:
    """Names of the ConfigMaps that the pods mount."""
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    return [
        source["configMap"]["name"] for volume in volumes for source in volume.get("projected", {}).get("sources", [])
    ]


def model_of(path: Path) -> ModelConfig:
    """The only model of a models.config."""
    (model,) = text_format.Parse(path.read_text(encoding="utf-8"), ModelServerConfig()).model_config_list.config
    return model


def dockerfile() -> str:
    return (ROOT / "Dockerfile.serving").read_text(encoding="utf-8")
