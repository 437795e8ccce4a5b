"""The whole flow on one page: tables -> examples -> features -> model -> verdict -> pushed model. OPEN THIS FIRST."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfx import v1 as tfx
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from pipeline import fingerprint
from pipeline.components import AtomicPusher, check_examples, check_model, evaluate_model
from pipeline.curated_schema import write_schema
from pipeline.example_gen import example_gen
from pipeline.runs import BEAM, Run
from tfrec.config import Config, EvaluationConfig, VerdictConfig
from tfrec.examples import SPLITS, boundaries
from tfrec.schema import read_table_set
from tfrec.text import vocabulary


def create_pipeline(run: Run) -> Pipeline:
    """The TFX pipeline of a named run over the tables that were ingested for it."""
    config = complete(run)

    examples = example_gen(run.tables, config)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.ImportSchemaGen(
        write_schema(config.features.profile_columns, config.features.item_columns, run.work)
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    bounds = boundaries(read_table_set(run.tables).manifest, config.examples.split)
    sound = check_examples(
        anomalies=validator.outputs["anomalies"],
        examples=examples.outputs["examples"],
        validation_start=-1 if bounds.validation_start is None else bounds.validation_start,
        test_start=-1 if bounds.test_start is None else bounds.test_start,
        code=fingerprint.code("tfrec.audit"),
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfrec.features.preprocessing_fn",
        custom_config={
            "config": dataclasses.replace(Config(), features=config.features).to_json(),
            "code": fingerprint.code("tfrec.features"),
        },
        disable_statistics=True,  # StatisticsGen's are enough; Transform's cost as much as all of its work
        # Counted and measured on the past alone; the catalogue holds no events.
        splits_config=tfx.proto.SplitsConfig(analyze=["train", "catalog"], transform=list(SPLITS)),
    )
    trainer = tfx.components.Trainer(
        run_fn="pipeline.trainer.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(splits=["train", "catalog"]),
        eval_args=tfx.proto.EvalArgs(splits=["validation"]),
        custom_config={
            "config": dataclasses.replace(
                config, evaluation=EvaluationConfig(), verdict=VerdictConfig()
            ).to_json(),  # another verdict trains nothing again
            "work": run.work,
            "code": fingerprint.code("pipeline.trainer"),
            "weights": fingerprint.weights(config.features.bert),
            "snapshot": read_table_set(run.tables).manifest.snapshot,
        },
    )
    trainer.add_upstream_node(sound)
    check = check_model(model=trainer.outputs["model"], code=fingerprint.code("tfrec.verify"))
    evaluation = evaluate_model(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        config=config.to_json(),
        production=run.serving,
        code=fingerprint.code("tfrec.judge"),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluation.outputs["blessing"],
        infra_blessing=check.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=run.serving)
        ),
        custom_executor_spec=ExecutorClassSpec(AtomicPusher),
    )
    return Pipeline(
        pipeline_name=run.name,
        pipeline_root=run.pipeline_root,
        components=[
            examples,
            statistics,
            schema,
            validator,
            sound,
            transform,
            trainer,
            check,
            evaluation,
            pusher,
        ],
        metadata_connection_config=sqlite_metadata_connection_config(run.metadata),
        enable_cache=True,
        beam_pipeline_args=list(BEAM),
    )


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
