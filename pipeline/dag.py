"""The whole flow on one page: tables -> examples -> features -> model -> verdict -> pushed model. OPEN THIS FIRST."""

from __future__ import annotations

import dataclasses

import tfx.components  # not tfx.v1: it imports Google's cloud too, a quarter of the time that a run takes to start
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2, transform_pb2

from pipeline import node_configs
from pipeline.engines import engine_of, engines_from
from pipeline.nodes import fingerprint
from pipeline.nodes.components import AtomicPusher, check_examples, check_model, evaluate_model
from pipeline.nodes.curated_schema import write_schema
from pipeline.nodes.example_gen import example_gen
from pipeline.nodes.ranking_evaluator import EVAL_CONFIG, RankingEvaluator, rank_candidates
from pipeline.nodes.trainer_inputs import TRAINING, VALIDATION
from pipeline.outcome import connection
from pipeline.runs import Run
from tfrec.examples.build import SPLITS
from tfrec.examples.split import boundaries
from tfrec.schema import read_table_set


def create_pipeline(run: Run) -> Pipeline:
    """The TFX pipeline of a named run over the tables that were ingested for it."""
    config = node_configs.complete(run)

    examples = example_gen(run.tables, config)
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = ImportSchemaGen(write_schema(config.features.profile_columns, config.features.item_columns, run.work))
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    bounds = boundaries(read_table_set(run.tables).manifest, config.examples.split)
    sound = check_examples(
        anomalies=validator.outputs["anomalies"],
        examples=examples.outputs["examples"],
        validation_start=-1 if bounds.validation_start is None else bounds.validation_start,
        test_start=-1 if bounds.test_start is None else bounds.test_start,
        code=fingerprint.code("tfrec.examples.leakage"),
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfrec.examples.preprocessing.preprocessing_fn",
        custom_config={
            "config": node_configs.of_transform(config).to_json(),
            "code": fingerprint.code("tfrec.examples.preprocessing"),
        },
        disable_statistics=True,  # StatisticsGen's are enough; Transform's cost as much as all of its work
        # Counted and measured on the past alone; the catalogue holds no events.
        splits_config=transform_pb2.SplitsConfig(analyze=["train", "catalog"], transform=list(SPLITS)),
    )
    learnt_from = {
        "examples": transform.outputs["transformed_examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "schema": schema.outputs["schema"],
        "train_args": trainer_pb2.TrainArgs(splits=TRAINING),
        "eval_args": trainer_pb2.EvalArgs(splits=VALIDATION),
    }
    towers_from = {
        "work": run.work,
        "weights": fingerprint.weights(config.features.bert),
        "snapshot": read_table_set(run.tables).manifest.snapshot,
    }
    tuning, found = [], {}
    if config.tune.max_trials:
        tuner = tfx.components.Tuner(
            tuner_fn="pipeline.nodes.tuner.tuner_fn",
            custom_config={
                "config": node_configs.of_tuner(config).to_json(),
                "code": fingerprint.code("pipeline.nodes.tuner"),
                **towers_from,
            },
            **learnt_from,
        )
        tuner.add_upstream_node(sound)
        tuning, found = [tuner], {"hyperparameters": tuner.outputs["best_hyperparameters"]}
    trainer = tfx.components.Trainer(
        run_fn="pipeline.nodes.trainer.run_fn",
        custom_config={
            "config": node_configs.of_towers(config).to_json(),
            "is_last": not config.ranking.epochs,
            # A path, as evaluate_model's `production`: as an input artifact each push would train again.
            "serving": run.serving if config.train.warm_start else "",
            "code": fingerprint.code("pipeline.nodes.trainer"),
            **towers_from,
        },
        **learnt_from,
        **found,
    )
    trainer.add_upstream_node(sound)
    model = trainer.outputs["model"]
    ranking = []
    if config.ranking.epochs:
        ranker = tfx.components.Trainer(
            run_fn="pipeline.nodes.ranking_trainer.run_fn",
            base_model=model,
            custom_config={
                "config": node_configs.of_ranker(config).to_json(),
                "code": fingerprint.code("pipeline.nodes.ranking_trainer"),
            },
            **learnt_from,
            **found,
        ).with_id("RankingTrainer")
        model = ranker.outputs["model"]
        ranking = [ranker]
        if config.evaluation.ranking_users:
            candidates = rank_candidates(
                examples=examples.outputs["examples"],
                model=model,
                users=config.evaluation.ranking_users,
                clock=config.clock,
                code=fingerprint.code("tfrec.evaluation.analysis.candidate_log", "pipeline.nodes.ranking_evaluator"),
            )
            measured = RankingEvaluator(examples=candidates.outputs["candidates"], eval_config=EVAL_CONFIG)
            ranking += [candidates, measured]
    check = check_model(model=model, code=fingerprint.code("tfrec.export.verify"))
    evaluation = evaluate_model(
        examples=examples.outputs["examples"],
        model=model,
        config=node_configs.of_evaluation(config).to_json(),
        production=run.serving,
        code=fingerprint.code("tfrec.evaluation.blessing"),
    )
    pusher = tfx.components.Pusher(
        model=model,
        model_blessing=evaluation.outputs["blessing"],
        infra_blessing=check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=run.serving)
        ),
        custom_executor_spec=ExecutorClassSpec(AtomicPusher),
    )
    return Pipeline(
        pipeline_name=run.name,
        pipeline_root=run.pipeline_root,
        components=with_engines(
            run,
            [
                examples,
                statistics,
                schema,
                validator,
                sound,
                transform,
                *tuning,
                trainer,
                *ranking,
                check,
                evaluation,
                pusher,
            ],
        ),
        metadata_connection_config=connection(run),
        enable_cache=True,
    )


def with_engines(run: Run, nodes: list[BaseNode]) -> list[BaseNode]:
    """The same nodes, those of Beam told which engine the run has them on."""
    engines = engines_from({step: dataclasses.asdict(engine) for step, engine in run.beam.items()})
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(engine_of(engines, node.id).beam_flags())
    return nodes
