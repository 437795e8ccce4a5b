"""A compiled pipeline run without a cluster, a process for each pod, on the shop of two tastes.

The cluster's volume is the shop's own folder. The first pod ingests the raw files, as on a cluster
each day. The shop's file has `split: leave_last_out`; tests/pipeline/test_end_to_end.py runs the
pipeline with windows of days. Both runs are long, so no third one is made: the verbs beside a run,
`tfrec baselines` and `tfrec tune`, are tested on this one.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.spec import read_compiled
from tests.pipeline.shop_of_two_tastes import BIN, NODES, Shop
from tfrec.evaluation.result import Evaluation

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
    file = shop.home / "shop.yaml"
    text, found = re.subn(r"verdict\.floor: \[.*\]", "verdict.floor: []", file.read_text(encoding="utf-8"))
    assert found
    file.write_text(text + "split: leave_last_out\n", encoding="utf-8")
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


def plans(shop: Shop) -> list[Any]:
    """The plan of each run without the run's id, oldest first."""
    files = sorted((shop.pipeline / "plans").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    return [json.loads(file.read_text(encoding="utf-8").replace(file.stem, "")) for file in files]


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


def test_a_shop_is_trained_and_evaluated_under_leave_last_out(shop: Shop, first_output: str) -> None:
    assert "second stage epoch 10 of 10" in first_output
    assert "of earlier windows" not in first_output  # there is no window before another
    evaluation = Evaluation.read(shop.artifact("evaluate_model", "evaluation") / "evaluation.json")
    assert evaluation.protocol.split == "leave_last_out"
    # Each of the 60 customers came on several days: the last one is held out, none is new.
    assert (evaluation.protocol.users, evaluation.protocol.new_users) == (60, 0)
    assert evaluation.model.slices["all"].users == 60
    # A user of one taste has about 20 of the 40 items to choose from: the model knows the taste.
    recall = {name: scores.slices["all"].metrics["recall@20"] for name, scores in evaluation.scores.items()}
    assert recall[evaluation.model.name] > recall["random"]


@pytest.mark.usefixtures("first_output")
def test_baselines_are_measured_beside_the_runs_model(shop: Shop) -> None:
    output = shop.call(BIN / "tfrec", "baselines", "shop.yaml", "--only", "EASE", "--only", "popularity")
    rows = output[output.index("\nall: 60 users") :].splitlines()[3:7]
    assert [row[:24].strip() for row in rows] == ["popularity", "EASE", "two-tower", "two stages"]


@pytest.mark.usefixtures("first_output")
def test_a_search_ends_with_its_budget_and_its_trials_are_stored(shop: Shop) -> None:
    # The budget is used up by the first trial of each part, which is that of the file's settings.
    output = shop.call(BIN / "tfrec", "tune", "shop.yaml", "--minutes", "0.01")
    assert "towers trial 1: the own settings of the run" in output
    assert "ranker trial 1: the own settings of the run" in output
    tuned = (shop.pipeline / "tuned.yaml").read_text(encoding="utf-8")
    assert "No trial was better than the settings of shop.yaml" in tuned
    again = shop.call(BIN / "tfrec", "tune", "shop.yaml", "--minutes", "0.01")
    assert "towers: 1 trials were made before" in again
    assert "ranker: 1 trials were made before" in again
    assert "trial 1:" not in again


@pytest.mark.usefixtures("first_output")
def test_a_second_run_is_cached_until_there_are_new_events(shop: Shop) -> None:
    states = node_states(run(shop, "--until", "TableSetExampleGen"))
    assert states == {"ImportSchemaGen": "cached", "TableSetExampleGen": "cached"}
    # TFX's cache compares a node's properties and inputs. In equal plans all properties are equal,
    # and all inputs lead back to these two nodes.
    first, second = plans(shop)
    assert first == second

    shop.add_event()
    states = node_states(run(shop, "--until", "TableSetExampleGen"))
    assert states == {"ImportSchemaGen": "cached", "TableSetExampleGen": "complete"}
    assert plans(shop)[2] != first


def test_tfxs_own_command_line_compiles_the_same_pipeline_for_vertex(shop: Shop) -> None:
    path = f"PATH={BIN}:{os.environ['PATH']}"  # tfx looks for kfp with the first pip on the PATH
    shop.call("env", path, "tfx", "pipeline", "compile", "--engine", "vertex", "--pipeline-path", RUNNER)
    job = json.loads((shop.home / "shop-vertex.json").read_text(encoding="utf-8"))
    assert set(NODES) <= set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    containers = [each["container"] for each in job["pipelineSpec"]["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {"tfrec"}
