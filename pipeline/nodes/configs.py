"""The part of the configuration that each node gets: all that it needs and no more.

TFX's cache compares configurations. A setting that a node does not get never runs the node again.
"""

from __future__ import annotations

import dataclasses

from tfrec.config import (
    Config,
    EvaluationConfig,
    ExamplesConfig,
    FeaturesConfig,
    RankingConfig,
    ServingConfig,
    SplitConfig,
    TrainConfig,
    TuneConfig,
    VerdictConfig,
)


def transform_config(config: Config) -> Config:
    """The features, and the names of the examples' context and states."""
    names = ("context_columns", "item_states", "promotions")
    examples = ExamplesConfig(**{name: getattr(config.examples, name) for name in names})
    return dataclasses.replace(Config(), features=config.features, examples=examples)


def tuner_config(config: Config) -> Config:
    """The towers' configuration and the search.

    A search has its own number of epochs, and nothing follows a trial.
    """
    train = dataclasses.replace(config.train, epochs=TrainConfig().epochs, catch_up_rate=0.0, workers=1)
    train = dataclasses.replace(train, warm_start=False, warm_epochs=1, warm_learning_rate=0.0)
    return dataclasses.replace(towers_config(config), train=train, serving=ServingConfig(), tune=config.tune)


def towers_config(config: Config) -> Config:
    """Everything but ranker, evaluation, verdict and search.

    Of the evaluation the label kinds are included: they weigh targets and select the best epoch.
    Settings of serving and of the catch-up are included only where no ranker follows.
    """
    serving, train = config.serving, config.train
    if config.ranking.epochs:
        serving, train = ServingConfig(), dataclasses.replace(train, catch_up_rate=0.0)
    return dataclasses.replace(
        config,
        train=train,
        ranking=RankingConfig(),
        serving=serving,
        evaluation=_labels(config),
        verdict=VerdictConfig(),
        tune=TuneConfig(),
    )


def ranker_config(config: Config) -> Config:
    """Everything but evaluation, verdict and search; of the evaluation the label kinds."""
    return dataclasses.replace(config, evaluation=_labels(config), verdict=VerdictConfig(), tune=TuneConfig())


def evaluation_config(config: Config) -> Config:
    """Clock, method of the split, columns of the items, evaluation and verdict."""
    evaluation = dataclasses.replace(config.evaluation, ranking_users=0)
    examples = ExamplesConfig(split=SplitConfig(method=config.examples.split.method))
    features = FeaturesConfig(item_columns=config.features.item_columns)
    return Config(config.clock, examples, features, evaluation=evaluation, verdict=config.verdict)


def _labels(config: Config) -> EvaluationConfig:
    """The kinds of events that count as labels, and no other setting of the evaluation."""
    return EvaluationConfig(label_kinds=config.evaluation.label_kinds)
