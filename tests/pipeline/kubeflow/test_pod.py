"""Single nodes launched as by a pod: resolvers, caching, metadata and failures."""

# No `from __future__ import annotations`: TFX reads the annotations of its function components.

from pathlib import Path

import pytest
from google.protobuf import json_format
from ml_metadata.errors import UnavailableError
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing, String

from pipeline.kubeflow.pod import launch
from pipeline.outcome import connection
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.errors import DataError, TfrecError


@component
def train(model: OutputArtifact[Model], weight: Parameter[int]) -> None:
    """Write a model of one number."""
    Path(model.uri).mkdir(parents=True, exist_ok=True)
    (Path(model.uri) / "weight").write_text(str(weight))


@component
def bless(model: InputArtifact[Model], blessing: OutputArtifact[ModelBlessing]) -> None:
    """Bless the model as TFX's Evaluator does, if its number is odd."""
    blessing.set_int_custom_property("blessed", int((Path(model.uri) / "weight").read_text()) % 2)
    blessing.set_string_custom_property("current_model", model.uri)
    blessing.set_int_custom_property("current_model_id", model.id)


@component
def compare(latest: InputArtifact[Model], result: OutputArtifact[String], log: Parameter[str]) -> None:
    """Log the model that was blessed last."""
    with Path(log).open("a") as file:
        file.write((Path(latest.uri) / "weight").read_text())


@pytest.fixture
def planned(tmp_path: Path):
    """Plan a run that trains a model of a given number."""
    (tmp_path / "pipelines" / "toy").mkdir(parents=True)

    def plan(weight: int, run_id: str, server: str = "") -> Path:
        trained = train(weight=weight)
        latest = Resolver(
            strategy_class=LatestBlessedModelStrategy,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("latest_blessed")
        blessed = bless(model=trained.outputs["model"])
        latest.add_upstream_node(blessed)
        compared = compare(latest=latest.outputs["model"], log=str(tmp_path / "log"))
        compiled = Compiler().compile(
            Pipeline(
                "toy",
                str(tmp_path),
                components=[trained, blessed, latest, compared],
                enable_cache=True,
                metadata_connection_config=connection(
                    Run("toy", config=Config(), out=str(tmp_path), metadata_server=server)
                ),
            )
        )
        runtime_parameter_utils.substitute_runtime_parameter(compiled, {"pipeline-run-id": run_id})
        path = tmp_path / f"{run_id}.json"
        path.write_text(json_format.MessageToJson(compiled), encoding="utf-8")
        return path

    return plan


def test_a_resolver_finds_the_last_blessed_model_of_any_run(planned, tmp_path: Path) -> None:
    for weight in (1, 2):  # the second is not blessed
        plan = planned(weight, f"run{weight}")
        for node in ("train", "bless", "latest_blessed"):
            assert launch(plan, node) == "complete"
    assert launch(plan, "compare") == "complete"
    assert (tmp_path / "log").read_text() == "1"


def test_a_node_with_the_same_inputs_is_cached(planned) -> None:
    assert launch(planned(1, "first"), "train") == "complete"
    assert launch(planned(1, "second"), "train") == "cached"
    assert launch(planned(3, "third"), "train") == "complete"


def test_a_pod_started_again_after_its_node_completed_does_nothing(planned, tmp_path: Path) -> None:
    plan = planned(1, "first")
    assert launch(plan, "train") == launch(plan, "train") == "complete"
    assert len(list((tmp_path / "train" / "model").iterdir())) == 1


def test_a_node_without_its_inputs_fails(planned, tmp_path: Path) -> None:
    with pytest.raises(
        TfrecError, match="node compare ended as failed, for its inputs are missing; run its upstream nodes"
    ):
        launch(planned(1, "first"), "compare")
    assert not (tmp_path / "log").exists()


def test_an_unknown_node_is_refused(planned) -> None:
    with pytest.raises(DataError, match="node 'Tuner' is not one of train, bless, latest_blessed, compare; compile"):
        launch(planned(1, "first"), "Tuner")


def test_a_missing_plan_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no plan .*/nosuch.json; the pod `plan` writes it to a volume"):
        launch(tmp_path / "nosuch.json", "train")


def test_metadata_may_be_on_a_server(planned) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):  # nothing listens there
        launch(planned(1, "first", "127.0.0.1:1"), "train")
