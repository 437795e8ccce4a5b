"""Named runs: their configuration, paths and expected results. Nothing here reads the environment.

`TFREC_RUN` selects a run only in local_runner.py, since TFX runs a pipeline's file without
arguments.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.engines import Engine, Step, engines_from
from tfrec.config import (
    Config,
    EvaluationConfig,
    ExamplesConfig,
    RankingConfig,
    SplitConfig,
    TowerConfig,
    TrainConfig,
    config_from_json,
)
from tfrec.errors import ConfigError

COMPLETE_JOURNEY = "data/complete-journey"
"""The demo's tables, written by `tfrec ingest complete-journey`."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One configuration of the pipeline over one shop's tables."""

    name: str  # also the TFX pipeline's: lower-case letters, digits, hyphens
    config: Config
    tables: str = COMPLETE_JOURNEY  # folder of an ingested table set
    out: str = "out"
    expects: str = "time and scores are unknown"  # on the demo's data, for the terminal
    metadata_server: str = ""  # host:port of ML Metadata's gRPC server; "": a file
    beam: Mapping[Step, Engine] = dataclasses.field(default_factory=dict)  # Beam step, or "default" -> engine

    @property
    def pipeline_root(self) -> str:
        """Folder of TFX's artifacts."""
        return str(Path(self.out).absolute() / "pipelines" / self.name)

    @property
    def metadata(self) -> str:
        """ML Metadata's sqlite file, used when there is no server."""
        return str(Path(self.pipeline_root) / "metadata.sqlite")

    @property
    def work(self) -> str:
        """Folder of checkpoints of unfinished training."""
        return str(Path(self.pipeline_root) / "work")

    @property
    def serving(self) -> str:
        """TensorFlow Serving's model_base_path, a folder for each version."""
        return str(Path(self.out).absolute() / "serving" / self.name)

    def to_json(self) -> str:
        """One line of JSON, by which the pods of a cluster get the run."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


GROCER = TrainConfig(
    batch_size=16,
    learning_rate=5e-3,
    mask_positives="repeat",
    recency_half_life_days=60.0,
    repeat_weight=0.3,
    trend_half_life_days=7.0,
)
"""For users who buy the same items again; selected on the validation window of Complete Journey."""

LAPTOP = Config(
    examples=ExamplesConfig(max_events=128, stride=64, window_history=1024),
    towers=TowerConfig(dropout=0.4, text_mode="top", text_layers=1),
    train=dataclasses.replace(GROCER, epochs=2, text_steps=20, text_batch_size=1),
    ranking=RankingConfig(epochs=2),
)

FULL = Config(
    examples=ExamplesConfig(max_events=256, stride=128, window_history=2048),
    towers=TowerConfig(dim=128, heads=2, blocks=2, dropout=0.4, text_mode="top", text_layers=2),
    train=dataclasses.replace(GROCER, epochs=12, text_steps=500, text_batch_size=2),
    ranking=RankingConfig(epochs=4),
    evaluation=EvaluationConfig(ranking_users=500),  # takes a minute, so `laptop` skips it
)

GPU = dataclasses.replace(
    FULL,
    towers=dataclasses.replace(FULL.towers, text_mode="full"),
    train=dataclasses.replace(
        FULL.train, epochs=30, batch_size=64, uniform_negatives=8192, text_steps=5000, text_batch_size=16
    ),
)

RETAIL = dataclasses.replace(
    LAPTOP,
    towers=TowerConfig(dropout=0.4),
    train=dataclasses.replace(GROCER, epochs=8, catch_up_rate=1e-3),
    ranking=RankingConfig(epochs=3),
)
"""For few items and occasional users; selected on the validation window of Online Retail."""

DISCOVERY = Config(
    examples=ExamplesConfig(max_events=50, stride=25),
    towers=TowerConfig(dim=128, dropout=0.5, id_dropout=0.3),
    train=TrainConfig(
        batch_size=128,
        epochs=6,
        learning_rate=3e-3,
        query_from_title=0.02,
        validation_slice="novel",
        catch_up_rate=1e-3,
    ),
    ranking=RankingConfig(epochs=2, n_towers=100, n_copurchase=100, n_repeat=50, n_popular=50, n_cold=0, users=30_000),
)
"""For short histories without repeats; selected on the validation events of Amazon Beauty."""

RUNS = {
    run.name: run
    for run in (
        Run(
            "tiny",
            Config(
                examples=ExamplesConfig(max_events=16, stride=8, window_history=32, split=SplitConfig(7, 7)),
                towers=TowerConfig(dim=8, random_bert=True, text_mode="full"),
                train=TrainConfig(epochs=3, batch_size=16, learning_rate=0.02, uniform_negatives=8, text_steps=2),
                ranking=RankingConfig(
                    epochs=10,
                    n_towers=10,
                    n_copurchase=10,
                    n_repeat=20,
                    n_popular=10,
                    n_cold=5,
                    copurchase_rank=4,
                    batch_size=64,
                    learning_rate=0.01,
                    cross_layers=1,
                    cross_rank=4,
                    hidden=(16,),
                ),
            ),
            tables="data/tiny",
        ),
        Run(
            "laptop",
            LAPTOP,
            expects="12 minutes on 2 cores, NDCG@20 about 0.36 on all items, 0.045 on items new to the user",
        ),
        Run("retail", RETAIL),
        Run("discovery", DISCOVERY),
        Run("full", FULL),
        Run("gpu", GPU),
    )
}


def run_from_json(text: str) -> Run:
    """Parse the JSON of `Run.to_json`."""
    values = json.loads(text)
    config, beam = config_from_json(json.dumps(values["config"])), engines_from(values["beam"])
    return Run(**values | {"config": config, "beam": beam})


def named_run(name: str) -> Run:
    """The run of that name; raises ConfigError when there is none."""
    if name not in RUNS:
        raise ConfigError(f"run {name!r} is not one of {', '.join(RUNS)}; add it to pipeline/runs.py")
    return RUNS[name]
