"""Kubeflow without a cluster, the real thing: the shop of two tastes, compiled, then a process a pod, three times.

The volume is the shop's own folder. The raw files are ingested by the first pod, as on a cluster each day.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.spec import read_compiled

_spec = importlib.util.spec_from_file_location("end_to_end", Path(__file__).parents[1] / "test_end_to_end.py")
assert _spec is not None
assert _spec.loader is not None
end_to_end = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = end_to_end  # its dataclasses look themselves up
_spec.loader.exec_module(end_to_end)
end_to_end.PATIENCE_SECONDS = 3600  # a run is a dozen processes, each of which imports TFX

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
RUNNER = Path(__file__).parents[3] / "pipeline" / "kubeflow" / "runner.py"
NODES = end_to_end.NODES
CLUSTER = """\
image: registry.example.com/shop/tfrec:1
volume: {{claim: shop, path: {home}}}
ingest: [{home}/raw/shop.yaml, --partitions, "2"]
nodes: {{default: {{cpu: 1, memory: 2Gi}}, Trainer: {{gpus: 1}}}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shop whose tables were ingested once, for the compiler to look at, and whose pipeline is compiled."""
    shop = end_to_end.Shop(tmp_path_factory.mktemp("kubeflow"))
    end_to_end._write_shop(shop.home / "raw")
    (shop.home / "cluster.yaml").write_text(CLUSTER.format(home=shop.home), encoding="utf-8")
    shop.ingest()
    shop.call(BIN / "tfrec", "kubeflow", "compile", "--run", "tiny")
    return shop


@pytest.fixture(scope="module")
def ran(shop: Any) -> str:
    """What the first run said."""
    return run(shop)


def run(shop: Any, *flags: str) -> str:
    return shop.call(BIN / "tfrec", "kubeflow", "run-local", "tiny.pipeline.yaml", *flags)


def ends(said: str) -> dict[str, str]:
    """TFX node -> how its pod says that it ended."""
    lines = [line.split() for line in said.splitlines() if line.startswith("node ")]
    return {node.rstrip(":"): end for _, node, end in lines}


def test_every_node_of_the_pipeline_is_a_pod(shop: Any) -> None:
    tasks = read_compiled(shop.home / "tiny.pipeline.yaml")
    assert [task.spec.task_info.name for task in tasks] == ["ingest", "plan", *order(shop), "outcome"]
    assert sorted(order(shop)) == sorted(NODES)
    assert not (shop.home / "out").exists()  # to compile is to write one file


def order(shop: Any) -> list[str]:
    """The TFX nodes as the file orders them."""
    tasks = read_compiled(shop.home / "tiny.pipeline.yaml")
    return [task.container.args[-1] for task in tasks if task.container.args[0] == "node"]


def test_a_run_takes_raw_files_to_a_pushed_model_and_a_verdict(shop: Any, ran: str) -> None:
    assert ends(ran) == dict.fromkeys(NODES, "complete")
    (version,) = shop.pushed()
    assert f"\npushed: {shop.home}/out/serving/tiny/{version}\n" in ran
    assert (shop.home / "out" / "serving" / "tiny" / version / "saved_model.pb").is_file()
    assert "Verdict: BLESSED" in ran


def test_a_second_run_with_nothing_changed_is_cached_and_one_with_new_events_is_not(shop: Any, ran: str) -> None:
    before = shop.pushed()
    assert ends(run(shop)) == dict.fromkeys(NODES, "cached")
    assert shop.pushed() == before

    line = "c0,tools-1,buy,2024-02-25 20:00:00+00:00,1.5,\n"
    (shop.home / "raw" / "log2.csv").write_text("customer,sku,event,at,price,words\n" + line, encoding="utf-8")
    said = ends(run(shop, "--until", "TableSetExampleGen"))
    assert said == {"ImportSchemaGen": "cached", "TableSetExampleGen": "complete"}


def test_tfxs_own_command_line_compiles_the_same_pipeline_for_vertex(shop: Any) -> None:
    path = f"PATH={BIN}:{os.environ['PATH']}"  # it asks the first pip of PATH whether there is kfp
    shop.call("env", path, "tfx", "pipeline", "compile", "--engine", "vertex", "--pipeline-path", RUNNER)
    job = json.loads((shop.home / "tiny-vertex.json").read_text(encoding="utf-8"))
    assert set(NODES) <= set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    containers = [each["container"] for each in job["pipelineSpec"]["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {"tfrec"}
