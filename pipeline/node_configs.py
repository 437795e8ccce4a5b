"""What each node is told of a configuration: no more than it needs, so that another setting runs nothing again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.runs import Run
from tfrec.config import (
    Config,
    EvaluationConfig,
    RankingConfig,
    ServingConfig,
    TrainConfig,
    TuneConfig,
    VerdictConfig,
    with_settings,
)
from tfrec.errors import ConfigError
from tfrec.examples.split import boundaries
from tfrec.language.text_encoder import vocabulary
from tfrec.schema import read_table_set


def complete(run: Run) -> Config:
    """The run's configuration with what its tables and its BERT decide."""
    manifest = read_table_set(run.tables).manifest
    boundaries(manifest, run.config.examples.split)  # refuses a split that leaves nothing to train on
    _check(run.config)
    word_pieces, lowercase = vocabulary(run.config.features.bert, str(Path(run.work) / "bert"))
    features = dataclasses.replace(
        run.config.features,
        profile_columns=manifest.profile_columns,
        item_columns=manifest.item_columns,
        vocabulary=word_pieces,
        lowercase=lowercase,
    )
    return dataclasses.replace(run.config, features=features, clock=manifest.clock)


def of_transform(config: Config) -> Config:
    """The features alone."""
    return dataclasses.replace(Config(), features=config.features)


def of_tuner(config: Config) -> Config:
    """What the towers are told, and where to search; `tune` has epochs of its own, and nothing comes after a trial."""
    train = dataclasses.replace(config.train, epochs=TrainConfig().epochs, catch_up_rate=0.0, workers=1)
    train = dataclasses.replace(train, warm_start=False, warm_epochs=1, warm_learning_rate=0.0)
    return dataclasses.replace(of_towers(config), train=train, serving=ServingConfig(), tune=config.tune)


def of_towers(config: Config) -> Config:
    """All but the ranker, evaluation, verdict and search.

    How the model is served and how it catches up matters where no ranker follows.
    """
    serving, train = config.serving, config.train
    if config.ranking.epochs:
        serving, train = ServingConfig(), dataclasses.replace(train, catch_up_rate=0.0)
    return dataclasses.replace(
        config,
        train=train,
        ranking=RankingConfig(),
        serving=serving,
        evaluation=EvaluationConfig(),
        verdict=VerdictConfig(),
        tune=TuneConfig(),
    )


def of_ranker(config: Config) -> Config:
    """All but evaluation, verdict and search; of the first, what counts as a choice."""
    counted = EvaluationConfig(label_kinds=config.evaluation.label_kinds)
    return dataclasses.replace(config, evaluation=counted, verdict=VerdictConfig(), tune=TuneConfig())


def of_evaluation(config: Config) -> Config:
    """What is judged, and how."""
    evaluation = dataclasses.replace(config.evaluation, ranking_users=0)
    return Config(clock=config.clock, evaluation=evaluation, verdict=config.verdict)


def _check(config: Config) -> None:
    """ConfigError for a search of nothing, or of what can't be searched."""
    if config.tune.max_trials and not config.tune.space:
        raise ConfigError(f"tune.max_trials is {config.tune.max_trials} but tune.space names no setting; name one")
    for name, choices in config.tune.space:
        is_plain = all(isinstance(choice, int | float | str) for choice in choices)
        if not choices or not is_plain or len({type(choice) for choice in choices}) > 1:
            raise ConfigError(
                f"the choices of {name!r} are {choices!r}; give one or more numbers, texts or booleans of one type"
            )
        for choice in choices:
            with_settings(config, {name: choice})
