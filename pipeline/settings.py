"""What each node is told of a configuration: no more than it needs, so that another setting runs nothing again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.runs import Run
from tfrec.config import Config, EvaluationConfig, RankingConfig, ServingConfig, VerdictConfig
from tfrec.examples import boundaries
from tfrec.schema import read_table_set
from tfrec.text import vocabulary


def complete(run: Run) -> Config:
    """The run's configuration with what its tables and its BERT decide."""
    manifest = read_table_set(run.tables).manifest
    boundaries(manifest, run.config.examples.split)  # refuses a split that leaves nothing to train on
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


def of_towers(config: Config) -> Config:
    """All but the ranker, evaluation and verdict; how the model is served matters where no ranker follows."""
    serving = ServingConfig() if config.ranking.epochs else config.serving
    return dataclasses.replace(
        config, ranking=RankingConfig(), serving=serving, evaluation=EvaluationConfig(), verdict=VerdictConfig()
    )


def of_ranker(config: Config) -> Config:
    """All but evaluation and verdict; of the former, what counts as a choice."""
    counted = EvaluationConfig(label_kinds=config.evaluation.label_kinds)
    return dataclasses.replace(config, evaluation=counted, verdict=VerdictConfig())
