"""The pipeline on one page: tables -> examples -> model -> verdict -> push. OPEN THIS FIRST."""

from __future__ import annotations

from collections.abc import Mapping

import tfx.components  # not tfx.v1: importing Google Cloud too is a quarter of a run's start-up
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2, transform_pb2

from pipeline.engines import Engine, Step, engine_of
from pipeline.nodes import fingerprint
from pipeline.nodes.components import AtomicPusher, check_examples, check_model, evaluate_model
from pipeline.nodes.configs import evaluation_config, ranker_config, towers_config, transform_config, tuner_config
from pipeline.nodes.curated_schema import write_schema
from pipeline.nodes.example_gen import example_gen
from pipeline.nodes.ranking_evaluator import EVAL_CONFIG, RankingEvaluator, rank_candidates
from pipeline.nodes.trainer_inputs import TRAINING, VALIDATION
from pipeline.outcome import connection
from pipeline.resolved_run import resolve
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.examples.build import SPLITS

NO_TIMESTAMP = -1
"""A boundary of data that is split without windows: TFX has no optional integer."""


def create_pipeline(run: Run) -> Pipeline:
    """Build the TFX pipeline of a run over its ingested tables."""
    resolved = resolve(run)
    config = resolved.config

    # Examples: sequences of events and items of the catalog, checked before any node trains.
    examples = example_gen(run.tables, config)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = ImportSchemaGen(write_schema(config, run.work))
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    validation_start, test_start = resolved.boundaries.validation_start, resolved.boundaries.test_start
    examples_check = check_examples(
        anomalies=validator.outputs["anomalies"],
        examples=examples.outputs["examples"],
        validation_start=NO_TIMESTAMP if validation_start is None else validation_start,
        test_start=NO_TIMESTAMP if test_start is None else test_start,
        code=fingerprint.code("tfrec.examples.leakage"),
    )

    # Features: analyzed on training split and catalog alone, which hold no event of later windows.
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfrec.examples.preprocessing.preprocessing_fn",
        custom_config=_custom_config(transform_config(config), "tfrec.examples.preprocessing"),
        disable_statistics=True,  # Transform's cost as much as its work; StatisticsGen's are enough
        splits_config=transform_pb2.SplitsConfig(analyze=["train", "catalog"], transform=list(SPLITS)),
    )
    nodes = [examples, statistics, schema, validator, examples_check, transform]

    # Training: the two towers, with the settings that a search found, if the run has one.
    training_inputs = {
        "examples": transform.outputs["transformed_examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "schema": schema.outputs["schema"],
        "train_args": trainer_pb2.TrainArgs(splits=TRAINING),
        "eval_args": trainer_pb2.EvalArgs(splits=VALIDATION),
    }
    towers_inputs = {"work": run.work, "weights": resolved.bert_weights, "snapshot": resolved.snapshot}
    hyperparameters = None
    if config.tune.max_trials:
        tuner = tfx.components.Tuner(
            tuner_fn="pipeline.nodes.tuner.tuner_fn",
            custom_config=_custom_config(tuner_config(config), "pipeline.nodes.tuner") | towers_inputs,
            **training_inputs,
        )
        tuner.add_upstream_node(examples_check)
        hyperparameters = tuner.outputs["best_hyperparameters"]
        nodes += [tuner]
    trainer = tfx.components.Trainer(
        run_fn="pipeline.nodes.trainer.run_fn",
        hyperparameters=hyperparameters,
        custom_config={
            **_custom_config(towers_config(config), "pipeline.nodes.trainer"),
            **towers_inputs,
            "is_last": not config.ranking.epochs,
            # A path, as `production` below: with an input artifact each push would train again.
            "serving": run.serving if config.train.warm_start else "",
        },
        **training_inputs,
    )
    trainer.add_upstream_node(examples_check)
    nodes += [trainer]
    model = trainer.outputs["model"]

    # Ranking: the second stage, exported together with the towers.
    if config.ranking.epochs:
        ranker = tfx.components.Trainer(
            run_fn="pipeline.nodes.ranking_trainer.run_fn",
            base_model=model,
            hyperparameters=hyperparameters,
            custom_config=_custom_config(ranker_config(config), "pipeline.nodes.ranking_trainer") | towers_inputs,
            **training_inputs,
        ).with_id("RankingTrainer")
        nodes += [ranker]
        model = ranker.outputs["model"]
    if config.ranking.epochs and config.evaluation.ranking_users:
        candidates = rank_candidates(
            examples=examples.outputs["examples"],
            model=model,
            users=config.evaluation.ranking_users,
            clock=config.clock,
            split=config.examples.split.method,
            code=fingerprint.code("tfrec.evaluation.analysis.candidate_log", "pipeline.nodes.ranking_evaluator"),
        )
        nodes += [candidates, RankingEvaluator(examples=candidates.outputs["candidates"], eval_config=EVAL_CONFIG)]

    # Evaluation: two blessings, one of the exported files and one of the model's quality.
    model_check = check_model(model=model, code=fingerprint.code("tfrec.export.verify"))
    evaluation = evaluate_model(
        examples=examples.outputs["examples"],
        model=model,
        config=evaluation_config(config).to_json(),
        production=run.serving,
        code=fingerprint.code("tfrec.evaluation.blessing"),
    )

    # Push: a new version in the serving folder, where both blessings are given.
    pusher = tfx.components.Pusher(
        model=model,
        model_blessing=evaluation.outputs["blessing"],
        infra_blessing=model_check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=run.serving)
        ),
        custom_executor_spec=ExecutorClassSpec(AtomicPusher),
    )
    nodes += [model_check, evaluation, pusher]

    return Pipeline(
        pipeline_name=run.name,
        pipeline_root=run.pipeline_root,
        components=_with_engines(nodes, resolved.engines),
        metadata_connection_config=connection(run),
        enable_cache=True,
    )


def _custom_config(config: Config, module: str) -> dict[str, str]:
    """A module's configuration, and the fingerprint of its code for TFX's cache."""
    return {"config": config.to_json(), "code": fingerprint.code(module)}


def _with_engines(nodes: list[BaseNode], engines: Mapping[Step, Engine]) -> list[BaseNode]:
    """The nodes, with Beam's flags set on those that run on Beam."""
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(engine_of(engines, node.id).beam_flags())
    return nodes
