"""The graph of nodes as TFX would run it: which there are, what feeds which, and what another setting runs again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.dag import create_pipeline
from pipeline.runs import Run, named_run
from tfrec.config import Config, EvaluationConfig, RankingConfig, TuneConfig, config_from_json
from tfrec.errors import ConfigError
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


def test_the_version_of_a_warm_start_is_found_by_its_path_so_a_push_trains_nothing_again(run: Run) -> None:
    warm = changed(run, train=dataclasses.replace(run.config.train, warm_start=True))
    assert differing(run, warm) == {"Trainer", "RankingTrainer"}
    before, trainer = told(warm), nodes(warm)["Trainer"]
    assert json.loads(trainer.exec_properties["custom_config"])["serving"] == warm.serving
    assert set(trainer.inputs) == set(nodes(run)["Trainer"].inputs)  # no model among them
    (Path(warm.serving) / "1700000000").mkdir(parents=True)
    assert told(warm) == before
    # Without it a run is told of no folder, and needs none.
    assert json.loads(nodes(run)["Trainer"].exec_properties["custom_config"])["serving"] == ""


def test_a_warm_start_searches_nothing_again(run: Run) -> None:
    searching = changed(run, tune=TuneConfig(max_trials=2, space=(("train.learning_rate", (0.01, 0.02)),)))
    train = dataclasses.replace(run.config.train, warm_start=True, warm_epochs=9, warm_learning_rate=0.1)
    assert differing(searching, changed(searching, train=train)) == {"Trainer", "RankingTrainer"}


def test_settings_of_the_ranker_train_no_towers_again(run: Run) -> None:
    other = changed(run, ranking=dataclasses.replace(run.config.ranking, learning_rate=0.5))
    assert differing(run, other) == {"RankingTrainer"}


def test_settings_of_serving_train_no_towers_again(run: Run) -> None:
    other = changed(run, serving=dataclasses.replace(run.config.serving, top_k=7))
    assert differing(run, other) == {"RankingTrainer"}


def test_another_verdict_trains_nothing_again(run: Run) -> None:
    other = changed(run, verdict=dataclasses.replace(run.config.verdict, floor=("popularity",)))
    assert differing(run, other) == {"evaluate_model"}


def test_settings_of_the_towers_train_both_again(run: Run) -> None:
    other = changed(run, train=dataclasses.replace(run.config.train, learning_rate=0.5))
    assert differing(run, other) == {"Trainer", "RankingTrainer"}


def test_what_counts_as_a_choice_reaches_the_ranker(run: Run) -> None:
    ranker = nodes(changed(run, evaluation=EvaluationConfig(label_kinds=("purchase",))))["RankingTrainer"]
    config = config_from_json(json.loads(ranker.exec_properties["custom_config"])["config"])
    assert config.evaluation.label_kinds == ("purchase",)


def test_the_evaluator_measures_the_ranker_where_users_are_given_for_it(run: Run) -> None:
    assert "RankingEvaluator" not in nodes(run)
    other = changed(run, evaluation=EvaluationConfig(ranking_users=5))
    found = nodes(other)
    assert fed_by(found["rank_candidates"], "model") == "RankingTrainer"
    assert fed_by(found["RankingEvaluator"], "examples") == "rank_candidates"
    assert found["rank_candidates"].exec_properties["users"] == 5
    # Nothing that is trained or judged hears of it.
    before, after = told(run), told(other)
    assert {name for name in before if before[name] != after[name]} == set()
    assert "RankingEvaluator" not in nodes(changed(other, ranking=dataclasses.replace(run.config.ranking, epochs=0)))


def test_a_search_feeds_both_trainings_and_is_told_no_more_than_it_needs(run: Run) -> None:
    assert "Tuner" not in nodes(run)
    searching = changed(run, tune=TuneConfig(max_trials=2, space=(("train.learning_rate", (0.01, 0.02)),)))
    found = nodes(searching)
    for name in ("Trainer", "RankingTrainer"):
        assert fed_by(found[name], "hyperparameters") == "Tuner"
    more = changed(searching, tune=dataclasses.replace(searching.config.tune, max_trials=3))
    assert differing(searching, more) == {"Tuner"}
    assert differing(searching, changed(searching, ranking=RankingConfig(epochs=9))) == {"RankingTrainer"}
    caught_up = changed(searching, train=dataclasses.replace(run.config.train, catch_up_rate=0.5))
    assert differing(searching, caught_up) == {"RankingTrainer"}
    longer = changed(searching, train=dataclasses.replace(run.config.train, epochs=99))
    assert differing(searching, longer) == {"Trainer", "RankingTrainer"}


@pytest.mark.parametrize(
    ("tune", "told"),
    [
        (TuneConfig(max_trials=2), r"tune.max_trials is 2 but tune.space names no setting"),
        (TuneConfig(2, (("train.speed", (1,)),)), r"'train.speed' can't be tuned; use one of train.batch_size, "),
        (TuneConfig(2, (("ranking.epochs", (1, 2)),)), r"'ranking.epochs' can't be tuned; use one of towers, train"),
        (TuneConfig(2, (("towers.dim", ()),)), r"choices of 'towers.dim' are \(\); give one or more"),
        (TuneConfig(2, (("train.learning_rate", (1, 0.5)),)), r"'train.learning_rate' are .* booleans of one type"),
        (TuneConfig(2, (("towers.dim", (8.5,)),)), r"towers.dim can't be 8.5; give a value of type int"),
        (TuneConfig(2, (("train.logq", ("yes",)),)), r"train.logq can't be 'yes'; give a value of type bool"),
        (TuneConfig(2, (("towers.dim", ((8, 16),)),)), r"choices of 'towers.dim' are \(\(8, 16\),\); give one or more"),
    ],
)
def test_a_search_of_nothing_is_refused_before_anything_runs(run: Run, tune: TuneConfig, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create_pipeline(changed(run, tune=tune))
