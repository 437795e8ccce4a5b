"""A compiled pipeline run without a cluster, a process for each pod, on the shop of two tastes.

The cluster's volume is the shop's own folder. The first pod ingests the raw files, as on a cluster
each day.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.kubeflow.spec import read_compiled
from tests.pipeline.shop_of_two_tastes import BIN, NODES, Shop

pytestmark = pytest.mark.slow

RUNNER = Path(__file__).parents[3] / "pipeline" / "kubeflow" / "runner.py"
CLUSTER = """\
image: registry.example.com/shop/tfrec:1
volume: {{claim: shop, path: {home}}}
ingest: [{home}/shop.yaml]
nodes: {{default: {{cpu: 1, memory: 2Gi}}, Trainer: {{gpus: 1}}}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose pipeline is compiled; its tables were ingested once, for the compiler."""
    # A run is a dozen processes, each of which imports TFX.
    shop = Shop(tmp_path_factory.mktemp("kubeflow"), timeout_seconds=3600)
    shop.write_raw_files()
    (shop.home / "cluster.yaml").write_text(CLUSTER.format(home=shop.home), encoding="utf-8")
    shop.ingest()
    shop.call(BIN / "tfrec", "kubeflow", "compile", "shop.yaml")
    return shop


@pytest.fixture(scope="module")
def first_output(shop: Shop) -> str:
    """What the first run prints."""
    return run(shop)


def run(shop: Shop, *flags: str) -> str:
    return shop.call(BIN / "tfrec", "kubeflow", "run-local", "shop.pipeline.yaml", *flags)


def node_states(output: str) -> dict[str, str]:
    """TFX node -> the state that its pod prints at its end."""
    lines = [line.split() for line in output.splitlines() if line.startswith("node ")]
    return {node.rstrip(":"): state for _, node, state in lines}


def compiled_nodes(shop: Shop) -> list[str]:
    """The TFX nodes in the order of the file."""
    tasks = read_compiled(shop.home / "shop.pipeline.yaml")
    return [task.container.args[-1] for task in tasks if task.container.args[0] == "node"]


def test_every_node_of_the_pipeline_is_a_pod(shop: Shop) -> None:
    tasks = read_compiled(shop.home / "shop.pipeline.yaml")
    assert [task.spec.task_info.name for task in tasks] == ["ingest", "plan", *compiled_nodes(shop), "outcome"]
    assert sorted(compiled_nodes(shop)) == sorted(NODES)
    assert not (shop.home / "out").exists()  # compiling writes nothing but the file


def test_a_run_leads_from_raw_files_to_a_pushed_model_and_a_verdict(shop: Shop, first_output: str) -> None:
    assert node_states(first_output) == dict.fromkeys(NODES, "complete")
    (version,) = shop.pushed()
    assert f"\npushed: {shop.home}/out/serving/shop/{version}\n" in first_output
    assert (shop.home / "out" / "serving" / "shop" / version / "saved_model.pb").is_file()
    assert "Verdict: BLESSED" in first_output


@pytest.mark.usefixtures("first_output")
def test_a_second_run_is_cached_until_there_are_new_events(shop: Shop) -> None:
    before = shop.pushed()
    assert node_states(run(shop)) == dict.fromkeys(NODES, "cached")
    assert shop.pushed() == before

    shop.add_event()
    states = node_states(run(shop, "--until", "TableSetExampleGen"))
    assert states == {"ImportSchemaGen": "cached", "TableSetExampleGen": "complete"}


def test_tfxs_own_command_line_compiles_the_same_pipeline_for_vertex(shop: Shop) -> None:
    path = f"PATH={BIN}:{os.environ['PATH']}"  # tfx looks for kfp with the first pip on the PATH
    shop.call("env", path, "tfx", "pipeline", "compile", "--engine", "vertex", "--pipeline-path", RUNNER)
    job = json.loads((shop.home / "shop-vertex.json").read_text(encoding="utf-8"))
    assert set(NODES) <= set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    containers = [each["container"] for each in job["pipelineSpec"]["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {"tfrec"}
