"""The cluster's file: what it may say, what it leaves out, where a run lies on the cluster's volume."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.engines import Flink, Local, LocalParallel
from pipeline.kubeflow.cluster import Cluster, Node, Toleration, Volume, placed, read_cluster
from pipeline.runs import named_run, run_from_json
from tfrec.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "examples" / "cluster.yaml"
LEAST = "image: shop:1\nvolume: {claim: shop}\n"


@pytest.fixture
def read(tmp_path: Path):
    def _read(text: str) -> Cluster:
        path = tmp_path / "cluster.yaml"
        path.write_text(text, encoding="utf-8")
        return read_cluster(path)

    return _read


def test_an_image_and_a_volume_are_enough(read):
    cluster = read(LEAST)
    assert cluster.volume == Volume("shop", "/mnt/tfrec")
    assert cluster.node("Trainer") == Node()
    assert cluster.image_of("Trainer") == "shop:1"


def test_a_node_takes_from_the_default_what_it_leaves_out(read):
    cluster = read(LEAST + "nodes: {default: {cpu: 4, memory: 1Gi}, Trainer: {memory: 9Gi, gpus: 2}}")
    assert cluster.node("Pusher") == Node(cpu="4", memory="1Gi")
    assert cluster.node("Trainer") == Node(cpu="4", memory="9Gi", gpus=2)


def test_nodes_with_gpus_have_an_image_of_their_own(read):
    cluster = read(LEAST + "gpu_image: shop:1-gpu\nnodes: {Trainer: {gpus: 1}}")
    assert [cluster.image_of(name) for name in ("Trainer", "Pusher")] == ["shop:1-gpu", "shop:1"]


def test_the_example_is_valid_and_shows_every_setting():
    cluster = read_cluster(EXAMPLE)
    assert cluster.node("Trainer").tolerations == (Toleration("nvidia.com/gpu", "Exists", None, "NoSchedule"),)
    text = EXAMPLE.read_text(encoding="utf-8")
    for kind in (Cluster, Node, Toleration, Volume, Flink):
        for name in set(kind.__dataclass_fields__) - {"value"}:
            assert f"{name}:" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image: shop:1", r"volume of cluster .* is .*: Field required"),
        (LEAST + "nodes: {Trainer: {gpu: 1}}", r"nodes.Trainer.gpu of cluster .* is 1: Unexpected keyword argument"),
        (LEAST + "nodes: {Trainer: {memory: 8 GB}}", r"nodes.Trainer.memory of cluster .* is '8 GB': String should"),
        (LEAST + "nodes: {Trainer: {cpu: many}}", r"nodes.Trainer.cpu of cluster .* is 'many': String should"),
        (LEAST + "metadata: some.host", r"metadata of cluster .* is 'some.host': String should match"),
        ("image: shop:1\nvolume: {claim: shop, path: here}", r"volume.path of cluster .* is 'here': String should"),
        (LEAST + "beam: {default: {engine: flink}}", r"beam.default.flink.job_endpoint of .* is .*: Field required"),
        (LEAST + "beam: {default: {engine: local, workers: 2}}", r"beam.default.local.workers of .* is 2: Unexpected"),
        (
            LEAST + "beam: {Trainer: {engine: local}}",
            r"beam.Trainer.* of cluster .* is 'Trainer': Input should be 'def",
        ),
        (LEAST + "beam: {default: {engine: samza}}", r"beam.default of .*: Input tag 'samza' found .* of the expected"),
        (LEAST + "beam: local", r"beam of cluster .* is 'local': Input should be a valid dictionary"),
        ("- image", r"the whole of cluster .* is \['image'\]: .*; see examples/cluster.yaml"),
        ("image: [", r"cluster .* is not YAML \(while parsing"),
    ],
)
def test_what_can_not_be_is_refused_with_its_place(read, text, told):
    with pytest.raises(ConfigError, match=told):
        read(text)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"nosuch.yaml can't be read \(No such file or directory\); see examples/"):
        read_cluster(tmp_path / "nosuch.yaml")


def test_a_run_lies_below_the_volume_and_knows_the_server_of_its_metadata():
    there = placed(named_run("tiny"), Cluster("shop:1", Volume("shop", "/v"), metadata="mlmd:8080"))
    assert (there.tables, there.serving) == ("/v/data/tiny", "/v/out/serving/tiny")
    assert there.metadata_server == "mlmd:8080"


def test_a_beam_step_takes_from_the_default_what_it_leaves_out_unless_it_runs_elsewhere(read):
    flink = "default: {engine: flink, job_endpoint: 'jobs:8099', worker_pool: 'localhost:50000', workers: 4}"
    cluster = read(LEAST + f"beam: {{{flink}, Transform: {{workers: 9}}, StatisticsGen: {{engine: local}}}}")
    assert cluster.beam == {
        "default": Flink("jobs:8099", "localhost:50000", workers=4),
        "Transform": Flink("jobs:8099", "localhost:50000", workers=9),
        "StatisticsGen": Local(),
    }


def test_the_clusters_engines_replace_the_runs_where_it_names_any(read):
    run = dataclasses.replace(named_run("tiny"), beam={"Transform": LocalParallel(2)})
    assert placed(run, read(LEAST)).beam == {"Transform": LocalParallel(2)}
    assert placed(run, read(LEAST + "beam: {default: {engine: local}}")).beam == {"default": Local()}


@pytest.mark.parametrize("name", ["tiny", "discovery", "gpu"])
def test_a_run_travels_as_text(name):
    assert run_from_json(named_run(name).to_json()) == named_run(name)
