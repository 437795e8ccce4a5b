"""The graph of nodes as TFX would run it: which there are, what feeds which, and what another setting runs again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from pipeline.dag import create_pipeline
from pipeline.runs import Run, named_run
from tfrec.config import Config, EvaluationConfig, config_from_json
from tfrec.schema import TableSet


@pytest.fixture
def run(shop: TableSet, tmp_path: Any) -> Run:
    """The tiny run over the shop of tests/conftest.py, whose windows are 28 days."""
    tiny = named_run("tiny")
    examples = dataclasses.replace(tiny.config.examples, split=Config().examples.split)
    return dataclasses.replace(
        tiny, config=dataclasses.replace(tiny.config, examples=examples), tables=str(shop.root), out=str(tmp_path)
    )


def changed(run: Run, **settings: Any) -> Run:
    return dataclasses.replace(run, config=dataclasses.replace(run.config, **settings))


def nodes(run: Run) -> dict[str, Any]:
    return {node.id: node for node in create_pipeline(run).components}


def fed_by(node: Any, name: str) -> str:
    """The node whose output that input of the node is."""
    return str(node.inputs[name].producer_component_id)


def told(run: Run) -> dict[str, str]:
    """Node -> all of its execution properties: what TFX's cache looks at beside the inputs."""
    return {name: repr(sorted(node.exec_properties.items())) for name, node in nodes(run).items()}


def differing(run: Run, other: Run) -> set[str]:
    before, after = told(run), told(other)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_the_ranker_goes_on_with_the_towers_and_is_what_is_judged_and_pushed(run: Run) -> None:
    found = nodes(run)
    assert fed_by(found["RankingTrainer"], "base_model") == "Trainer"
    for name in ("check_model", "evaluate_model", "Pusher"):
        assert fed_by(found[name], "model") == "RankingTrainer"


def test_without_a_ranker_the_towers_are_judged_and_pushed(run: Run) -> None:
    found = nodes(changed(run, ranking=dataclasses.replace(run.config.ranking, epochs=0)))
    assert "RankingTrainer" not in found
    for name in ("check_model", "evaluate_model", "Pusher"):
        assert fed_by(found[name], "model") == "Trainer"
    assert json.loads(found["Trainer"].exec_properties["custom_config"])["is_last"]


def test_settings_of_the_ranker_train_no_towers_again(run: Run) -> None:
    other = changed(run, ranking=dataclasses.replace(run.config.ranking, learning_rate=0.5))
    # evaluate_model is told all settings, and runs again anyhow since the model is another.
    assert differing(run, other) == {"RankingTrainer", "evaluate_model"}


def test_settings_of_serving_train_no_towers_again(run: Run) -> None:
    other = changed(run, serving=dataclasses.replace(run.config.serving, top_k=7))
    assert differing(run, other) == {"RankingTrainer", "evaluate_model"}


def test_another_verdict_trains_nothing_again(run: Run) -> None:
    other = changed(run, verdict=dataclasses.replace(run.config.verdict, floor=("popularity",)))
    assert differing(run, other) == {"evaluate_model"}


def test_settings_of_the_towers_train_both_again(run: Run) -> None:
    other = changed(run, train=dataclasses.replace(run.config.train, learning_rate=0.5))
    assert differing(run, other) == {"Trainer", "RankingTrainer", "evaluate_model"}


def test_what_counts_as_a_choice_reaches_the_ranker(run: Run) -> None:
    ranker = nodes(changed(run, evaluation=EvaluationConfig(label_kinds=("purchase",))))["RankingTrainer"]
    config = config_from_json(json.loads(ranker.exec_properties["custom_config"])["config"])
    assert config.evaluation.label_kinds == ("purchase",)
