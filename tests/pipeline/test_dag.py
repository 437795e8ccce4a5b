"""The graph of nodes: which nodes there are, what feeds which, and what a changed setting runs
again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration import named_run
from pipeline.dag import create_pipeline
from pipeline.nodes.configs import evaluation_config
from pipeline.runs import Run
from tfrec.config import (
    Config,
    EvaluationConfig,
    ExamplesConfig,
    RankingConfig,
    SplitConfig,
    TuneConfig,
    config_from_json,
)
from tfrec.errors import ConfigError
from tfrec.schema import TableSet

SEARCH = TuneConfig(max_trials=2, space=(("train.learning_rate", (0.01, 0.02)),))


@pytest.fixture
def run(shop: TableSet, tmp_path: Path) -> Run:
    """The tiny run over the shop of tests/conftest.py, whose windows are 28 days."""
    tiny = named_run("tiny")
    examples = dataclasses.replace(tiny.config.examples, split=Config().examples.split)
    return dataclasses.replace(
        tiny, config=dataclasses.replace(tiny.config, examples=examples), tables=str(shop.root), out=str(tmp_path)
    )


def changed(run: Run, **sections: Any) -> Run:
    return dataclasses.replace(run, config=dataclasses.replace(run.config, **sections))


def nodes_of(run: Run) -> dict[str, Any]:
    return {node.id: node for node in create_pipeline(run).components}


def producer(node: Any, name: str) -> str:
    """The node whose output is that input of `node`."""
    return str(node.inputs[name].producer_component_id)


def properties(run: Run) -> dict[str, str]:
    """Node -> its execution properties, which TFX's cache compares beside the inputs."""
    return {name: repr(sorted(node.exec_properties.items())) for name, node in nodes_of(run).items()}


def custom_config(run: Run, node: str) -> dict[str, Any]:
    return json.loads(nodes_of(run)[node].exec_properties["custom_config"])


def nodes_that_differ(run: Run, other: Run) -> set[str]:
    """The nodes whose properties differ; both runs have the same nodes."""
    before, after = properties(run), properties(other)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_the_second_stage_is_trained_on_the_towers_evaluated_and_pushed(run: Run) -> None:
    nodes = nodes_of(run)
    assert producer(nodes["RankingTrainer"], "base_model") == "Trainer"
    for name in ("check_model", "evaluate_model", "Pusher"):
        assert producer(nodes[name], "model") == "RankingTrainer"


def test_without_a_ranker_the_towers_are_evaluated_and_pushed(run: Run) -> None:
    without_ranker = changed(run, ranking=dataclasses.replace(run.config.ranking, epochs=0))
    nodes = nodes_of(without_ranker)
    assert "RankingTrainer" not in nodes
    for name in ("check_model", "evaluate_model", "Pusher"):
        assert producer(nodes[name], "model") == "Trainer"
    assert custom_config(without_ranker, "Trainer")["is_last"]
    assert not custom_config(run, "Trainer")["is_last"]


def test_no_training_starts_before_the_examples_are_checked(run: Run) -> None:
    nodes = nodes_of(changed(run, tune=SEARCH))
    for name in ("Tuner", "Trainer"):
        assert "check_examples" in {node.id for node in nodes[name].upstream_nodes}


@pytest.mark.slow
def test_a_warm_start_gets_the_serving_folder_as_a_path_so_that_a_push_trains_nothing_again(run: Run) -> None:
    warm = changed(run, train=dataclasses.replace(run.config.train, warm_start=True))
    assert nodes_that_differ(run, warm) == {"Trainer", "RankingTrainer"}
    assert custom_config(run, "Trainer")["serving"] == ""
    assert custom_config(warm, "Trainer")["serving"] == warm.serving
    assert set(nodes_of(warm)["Trainer"].inputs) == set(nodes_of(run)["Trainer"].inputs)  # no model among them
    before = properties(warm)
    (Path(warm.serving) / "1700000000").mkdir(parents=True)
    assert properties(warm) == before


@pytest.mark.slow
def test_a_warm_start_does_not_repeat_the_search(run: Run) -> None:
    searching = changed(run, tune=SEARCH)
    train = dataclasses.replace(run.config.train, warm_start=True, warm_epochs=9, warm_learning_rate=0.1)
    assert nodes_that_differ(searching, changed(searching, train=train)) == {"Trainer", "RankingTrainer"}


def test_settings_of_the_ranker_do_not_train_the_towers_again(run: Run) -> None:
    other = changed(run, ranking=dataclasses.replace(run.config.ranking, learning_rate=0.5))
    assert nodes_that_differ(run, other) == {"RankingTrainer"}


def test_settings_of_serving_do_not_train_the_towers_again(run: Run) -> None:
    other = changed(run, serving=dataclasses.replace(run.config.serving, top_k=7))
    assert nodes_that_differ(run, other) == {"RankingTrainer"}


def test_settings_of_the_verdict_train_nothing_again(run: Run) -> None:
    other = changed(run, verdict=dataclasses.replace(run.config.verdict, floor=("popularity",)))
    assert nodes_that_differ(run, other) == {"evaluate_model"}


def test_the_evaluation_knows_the_method_of_the_split_and_not_its_days(run: Run) -> None:
    split = SplitConfig(7, 7, method="leave_last_out")
    config = evaluation_config(dataclasses.replace(run.config, examples=ExamplesConfig(split=split)))
    assert config.examples == ExamplesConfig(split=SplitConfig(method="leave_last_out"))


def test_settings_of_the_towers_train_both_stages_again(run: Run) -> None:
    other = changed(run, train=dataclasses.replace(run.config.train, learning_rate=0.5))
    assert nodes_that_differ(run, other) == {"Trainer", "RankingTrainer"}


@pytest.mark.parametrize("node", ["Trainer", "RankingTrainer"])
def test_both_trainers_get_the_kinds_of_events_that_are_labels(run: Run, node: str) -> None:
    other = changed(run, evaluation=EvaluationConfig(label_kinds=("purchase",), candidates="catalog"))
    config = config_from_json(custom_config(other, node)["config"])
    assert config.evaluation == EvaluationConfig(label_kinds=("purchase",))


@pytest.mark.slow
def test_the_ranker_is_evaluated_only_where_ranking_users_is_set(run: Run) -> None:
    other = changed(run, evaluation=EvaluationConfig(ranking_users=5))
    nodes = nodes_of(other)
    assert producer(nodes["rank_candidates"], "model") == "RankingTrainer"
    assert producer(nodes["RankingEvaluator"], "examples") == "rank_candidates"
    assert nodes["rank_candidates"].exec_properties["users"] == 5
    before, after = properties(run), properties(other)
    assert {name: after[name] for name in before} == before  # nothing that is trained or judged runs again
    assert after.keys() - before.keys() == {"rank_candidates", "RankingEvaluator"}
    without_ranker = changed(other, ranking=dataclasses.replace(run.config.ranking, epochs=0))
    assert not {"rank_candidates", "RankingEvaluator"} & nodes_of(without_ranker).keys()


def test_a_search_feeds_both_trainers(run: Run) -> None:
    assert "Tuner" not in nodes_of(run)
    nodes = nodes_of(changed(run, tune=SEARCH))
    for name in ("Trainer", "RankingTrainer"):
        assert producer(nodes[name], "hyperparameters") == "Tuner"


@pytest.mark.slow
def test_a_search_runs_again_only_for_settings_that_change_its_result(run: Run) -> None:
    searching = changed(run, tune=SEARCH)
    more = changed(searching, tune=dataclasses.replace(SEARCH, max_trials=3))
    assert nodes_that_differ(searching, more) == {"Tuner"}
    assert nodes_that_differ(searching, changed(searching, ranking=RankingConfig(epochs=9))) == {"RankingTrainer"}
    with_catch_up = changed(searching, train=dataclasses.replace(run.config.train, catch_up_rate=0.5))
    assert nodes_that_differ(searching, with_catch_up) == {"RankingTrainer"}
    longer = changed(searching, train=dataclasses.replace(run.config.train, epochs=99))
    assert nodes_that_differ(searching, longer) == {"Trainer", "RankingTrainer"}


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        (TuneConfig(max_trials=2), r"tune.max_trials is 2 but tune.space names no setting"),
        (TuneConfig(2, (("train.speed", (1,)),)), r"'train.speed' can't be tuned; use one of train.batch_size, "),
        (TuneConfig(2, (("ranking.epochs", (1, 2)),)), r"'ranking.epochs' can't be tuned; use one of towers, train"),
        (TuneConfig(2, (("towers.dim", ()),)), r"values of 'towers.dim' are \(\); give one or more"),
        (TuneConfig(2, (("train.learning_rate", (1, 0.5)),)), r"'train.learning_rate' are .* booleans of one type"),
        (TuneConfig(2, (("towers.dim", (8.5,)),)), r"towers.dim can't be 8.5; give a value of type int"),
        (TuneConfig(2, (("train.logq", ("yes",)),)), r"train.logq can't be 'yes'; give a value of type bool"),
        (TuneConfig(2, (("towers.dim", ((8, 16),)),)), r"values of 'towers.dim' are \(\(8, 16\),\); give one or more"),
    ],
)
def test_an_invalid_search_is_refused_before_anything_runs(run: Run, tune: TuneConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_pipeline(changed(run, tune=tune))


def test_states_of_items_are_refused_with_more_earlier_windows_than_they_are_kept_for(run: Run) -> None:
    examples = dataclasses.replace(run.config.examples, item_states=True)
    ranking = dataclasses.replace(run.config.ranking, earlier_windows=2)
    with pytest.raises(ConfigError, match=r"`ranking.earlier_windows` is 2, but the states of items .* set it to 1 or"):
        create_pipeline(changed(run, examples=examples, ranking=ranking))


def test_a_long_text_is_cut_where_nearly_all_others_end(run: Run) -> None:
    # The longest text of the shop, that of the pasta, has 16 pieces and two ends or fewer.
    longer = changed(run, features=dataclasses.replace(run.config.features, text_tokens=500))
    config = config_from_json(custom_config(longer, "Transform")["config"])
    assert config.features.text_tokens in (16, 24)
    assert config.examples.context_columns == ()
