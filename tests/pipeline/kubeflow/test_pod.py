"""One node a process, as a pod launches it: resolvers, caching, metadata, and what must not pass for success."""

# No `from __future__ import annotations`: TFX reads the annotations of its function components.

from pathlib import Path

import pytest
from google.protobuf import json_format
from ml_metadata.errors import UnavailableError
from tfx import v1 as tfx
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.types.standard_artifacts import Model, ModelBlessing, String

from pipeline.kubeflow.pod import launch
from pipeline.outcome import connection
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.errors import DataError, TfrecError


@component
def train(model: OutputArtifact[Model], weight: Parameter[int]) -> None:
    """A model of one number."""
    Path(model.uri).mkdir(parents=True, exist_ok=True)
    (Path(model.uri) / "weight").write_text(str(weight))


@component
def bless(model: InputArtifact[Model], blessing: OutputArtifact[ModelBlessing]) -> None:
    """As TFX's Evaluator says it, good where the number is odd."""
    blessing.set_int_custom_property("blessed", int((Path(model.uri) / "weight").read_text()) % 2)
    blessing.set_string_custom_property("current_model", model.uri)
    blessing.set_int_custom_property("current_model_id", model.id)


@component
def compare(latest: InputArtifact[Model], told: OutputArtifact[String], log: Parameter[str]) -> None:
    """Writes down which model was blessed last."""
    with Path(log).open("a") as file:
        file.write((Path(latest.uri) / "weight").read_text())


@pytest.fixture
def planned(tmp_path: Path):
    """Plans a run of a model of that number."""
    (tmp_path / "pipelines" / "toy").mkdir(parents=True)

    def plan(weight: int, run_id: str, server: str = "") -> Path:
        trained = train(weight=weight)
        latest = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
            model=tfx.dsl.Channel(type=Model),
            model_blessing=tfx.dsl.Channel(type=ModelBlessing),
        ).with_id("latest_blessed")
        blessed = bless(model=trained.outputs["model"])
        latest.add_upstream_node(blessed)
        compared = compare(latest=latest.outputs["model"], log=str(tmp_path / "log"))
        whole = Compiler().compile(
            Pipeline(
                "toy",
                str(tmp_path),
                components=[trained, blessed, latest, compared],
                enable_cache=True,
                metadata_connection_config=connection(Run("toy", Config(), out=str(tmp_path), metadata_server=server)),
            )
        )
        runtime_parameter_utils.substitute_runtime_parameter(whole, {"pipeline-run-id": run_id})
        path = tmp_path / f"{run_id}.json"
        path.write_text(json_format.MessageToJson(whole), encoding="utf-8")
        return path

    return plan


def test_a_resolver_finds_the_model_that_was_blessed_last_in_any_run(planned, tmp_path: Path) -> None:
    for weight in (1, 2):  # the second is not blessed
        plan = planned(weight, f"run{weight}")
        for node in ("train", "bless", "latest_blessed"):
            assert launch(plan, node) == "complete"
    assert launch(plan, "compare") == "complete"
    assert (tmp_path / "log").read_text() == "1"


def test_what_was_done_before_is_not_done_again(planned) -> None:
    assert launch(planned(1, "first"), "train") == "complete"
    assert launch(planned(1, "second"), "train") == "cached"
    assert launch(planned(3, "third"), "train") == "complete"


def test_a_pod_that_is_started_again_after_its_node_was_done_leaves_it_at_that(planned, tmp_path: Path) -> None:
    plan = planned(1, "first")
    assert launch(plan, "train") == launch(plan, "train") == "complete"
    assert len(list((tmp_path / "train" / "model").iterdir())) == 1


def test_a_node_whose_inputs_are_not_there_fails(planned, tmp_path: Path) -> None:
    with pytest.raises(TfrecError, match="node compare ended failed, for its inputs were not there; run the nodes bef"):
        launch(planned(1, "first"), "compare")
    assert not (tmp_path / "log").exists()


def test_a_node_that_the_plan_does_not_have_is_told(planned) -> None:
    with pytest.raises(DataError, match="node 'Tuner' is not one of train, bless, latest_blessed, compare; compile"):
        launch(planned(1, "first"), "Tuner")


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no plan .*/nosuch.json; the pod `plan` writes it to a volume"):
        launch(tmp_path / "nosuch.json", "train")


def test_metadata_may_be_a_servers(planned) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):  # where nobody listens
        launch(planned(1, "first", "127.0.0.1:1"), "train")
