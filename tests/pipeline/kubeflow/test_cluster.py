"""The cluster's file, its defaults and errors, and a run's folders on the cluster's volume."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.configuration import named_run
from pipeline.engines import Flink, Local, LocalParallel
from pipeline.kubeflow.cluster import Cluster, PodSettings, Toleration, Volume, place_on_volume, read_cluster
from pipeline.runs import run_from_json
from tfrec.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "examples" / "cluster.yaml"
MINIMAL = "image: shop:1\nvolume: {claim: shop}\n"


@pytest.fixture
def read(tmp_path: Path):
    def _read(text: str) -> Cluster:
        path = tmp_path / "cluster.yaml"
        path.write_text(text, encoding="utf-8")
        return read_cluster(path)

    return _read


def test_only_image_and_volume_are_required(read):
    cluster = read(MINIMAL)
    assert cluster.volume == Volume("shop", "/mnt/tfrec")
    assert cluster.pod("Trainer") == PodSettings()
    assert cluster.image_of("Trainer") == "shop:1"


def test_the_default_entry_completes_a_node(read):
    cluster = read(MINIMAL + "nodes: {default: {cpu: 4, memory: 1Gi}, Trainer: {memory: 9Gi, gpus: 2}}")
    assert cluster.pod("Pusher") == PodSettings(cpu="4", memory="1Gi")
    assert cluster.pod("Trainer") == PodSettings(cpu="4", memory="9Gi", gpus=2)


def test_nodes_with_gpus_have_the_gpu_image(read):
    cluster = read(MINIMAL + "gpu_image: shop:1-gpu\nnodes: {Trainer: {gpus: 1}}")
    assert [cluster.image_of(name) for name in ("Trainer", "Pusher")] == ["shop:1-gpu", "shop:1"]


def test_the_example_is_valid_and_shows_every_setting():
    cluster = read_cluster(EXAMPLE)
    assert cluster.pod("Trainer").tolerations == (Toleration("nvidia.com/gpu", "Exists", None, "NoSchedule"),)
    text = EXAMPLE.read_text(encoding="utf-8")
    for kind in (Cluster, PodSettings, Toleration, Volume, Flink):
        for name in set(kind.__dataclass_fields__) - {"value"}:
            assert f"{name}:" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image: shop:1", r"volume of cluster .* is .*: Field required"),
        (MINIMAL + "nodes: {Trainer: {gpu: 1}}", r"nodes.Trainer.gpu of cluster .* is 1: Unexpected keyword argument"),
        (MINIMAL + "nodes: {Trainer: {memory: 8 GB}}", r"nodes.Trainer.memory of cluster .* is '8 GB': String should"),
        (MINIMAL + "nodes: {Trainer: {cpu: many}}", r"nodes.Trainer.cpu of cluster .* is 'many': String should"),
        (MINIMAL + "metadata: some.host", r"metadata of cluster .* is 'some.host': String should match"),
        ("image: shop:1\nvolume: {claim: shop, path: here}", r"volume.path of cluster .* is 'here': String should"),
        (MINIMAL + "beam: {default: {engine: flink}}", r"beam.default.flink.job_endpoint of .* is .*: Field required"),
        (
            MINIMAL + "beam: {default: {engine: local, workers: 2}}",
            r"beam.default.local.workers of .* is 2: Unexpected",
        ),
        (
            MINIMAL + "beam: {Trainer: {engine: local}}",
            r"beam.Trainer.* of cluster .* is 'Trainer': Input should be 'def",
        ),
        (
            MINIMAL + "beam: {default: {engine: samza}}",
            r"beam.default of .*: Input tag 'samza' found .* of the expected",
        ),
        (MINIMAL + "beam: local", r"beam of cluster .* is 'local': Input should be a valid dictionary"),
        ("- image", r"the content of cluster .* is \['image'\]: .*; see examples/cluster.yaml"),
        ("image: [", r"cluster .* is not YAML \(while parsing"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_path(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"nosuch.yaml can't be read \(No such file or directory\); see examples/"):
        read_cluster(tmp_path / "nosuch.yaml")


def test_a_run_on_the_volume_has_its_paths_and_metadata_server():
    run = place_on_volume(named_run("tiny"), Cluster("shop:1", Volume("shop", "/v"), metadata="mlmd:8080"))
    assert (run.tables, run.serving) == ("/v/data/tiny", "/v/out/serving/tiny")
    assert run.metadata_server == "mlmd:8080"


@pytest.mark.parametrize("folders", [{"tables": "/data"}, {"out": "../out"}, {"tables": "a/../b"}])
def test_a_folder_outside_the_working_directory_is_refused(folders):
    run = dataclasses.replace(named_run("tiny"), **folders)
    key, folder = next(iter(folders.items()))
    with pytest.raises(
        ConfigError, match=f"`{key}` is {folder}, expected a folder below the working directory, .* /v;"
    ):
        place_on_volume(run, Cluster("shop:1", Volume("shop", "/v")))


def test_the_default_entry_completes_a_beam_step_of_the_same_engine(read):
    flink = "default: {engine: flink, job_endpoint: 'jobs:8099', worker_pool: 'localhost:50000', workers: 4}"
    cluster = read(MINIMAL + f"beam: {{{flink}, Transform: {{workers: 9}}, StatisticsGen: {{engine: local}}}}")
    assert cluster.beam == {
        "default": Flink("jobs:8099", "localhost:50000", workers=4),
        "Transform": Flink("jobs:8099", "localhost:50000", workers=9),
        "StatisticsGen": Local(),
    }


def test_engines_of_the_cluster_replace_those_of_the_run(read):
    run = dataclasses.replace(named_run("tiny"), beam={"Transform": LocalParallel(2)})
    assert place_on_volume(run, read(MINIMAL)).beam == {"Transform": LocalParallel(2)}
    assert place_on_volume(run, read(MINIMAL + "beam: {default: {engine: local}}")).beam == {"default": Local()}


@pytest.mark.parametrize("name", ["tiny", "discovery", "gpu"])
def test_a_run_survives_json(name):
    assert run_from_json(named_run(name).to_json()) == named_run(name)
