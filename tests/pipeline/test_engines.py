"""Beam's engines: the flags of each, the choice of one for each step, and invalid settings."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent

from pipeline.configuration import named_run
from pipeline.dag import create_pipeline
from pipeline.engines import (
    DEFAULT,
    Dataflow,
    Engine,
    Flink,
    Local,
    LocalParallel,
    Portable,
    Step,
    engine_of,
    engines_from,
)
from pipeline.runs import Run, run_from_json
from tfrec.config import EvaluationConfig
from tfrec.errors import ConfigError
from tfrec.schema import TableSet

LOCAL = ["--runner=FnApiRunner", "--sdk_container_image=unused"]
FLINK = Flink("jobs:8099", "localhost:50000", workers=3)
EVERY = (
    Local(),
    LocalParallel(2),
    Portable("jobs:8099", "localhost:50000"),
    Portable("jobs:8099", "localhost:50000", engine="spark"),
    FLINK,
    Dataflow("shop", "europe-west1", "gs://shop/temp", "registry.example.com/shop:1", workers=9),
)


@pytest.fixture
def run(shop: TableSet, tmp_path: Any) -> Run:
    """A run with all Beam steps over the shop of tests/conftest.py."""
    config = dataclasses.replace(named_run("laptop").config, evaluation=EvaluationConfig(ranking_users=5))
    return Run("shop", config=config, tables=str(shop.root), out=str(tmp_path))


def flags_by_step(run: Run) -> dict[str, list[str]]:
    """Beam step -> its flags."""
    nodes = create_pipeline(run).components
    return {node.id: node.executor_spec.beam_pipeline_args for node in nodes if isinstance(node, BaseBeamComponent)}


def test_a_run_without_engines_stays_in_its_process(run: Run) -> None:
    assert flags_by_step(run) == {
        step: LOCAL for step in ("TableSetExampleGen", "StatisticsGen", "Transform", "RankingEvaluator")
    }


def test_the_steps_that_may_be_named_are_the_beam_steps_of_the_graph(run: Run) -> None:
    assert {DEFAULT, *flags_by_step(run)} == set(typing.get_args(Step))


def test_a_step_may_have_another_engine_than_the_rest(run: Run) -> None:
    flags = flags_by_step(dataclasses.replace(run, beam={"default": FLINK, "StatisticsGen": Local()}))
    assert flags.pop("StatisticsGen") == LOCAL
    assert flags == dict.fromkeys(("TableSetExampleGen", "Transform", "RankingEvaluator"), FLINK.beam_flags())


@pytest.mark.parametrize("engine", EVERY, ids=lambda engine: engine.engine)
def test_beam_knows_every_flag(engine: Engine) -> None:
    known = PipelineOptions([]).get_all_options(retain_unknown_options=True).keys()
    options = PipelineOptions(engine.beam_flags())
    assert options.get_all_options(retain_unknown_options=True).keys() == known


def test_flink_has_a_job_server_and_external_worker_pools() -> None:
    options = PipelineOptions(FLINK.beam_flags())
    portable = options.view_as(PortableOptions)
    assert (portable.job_endpoint, portable.environment_type) == ("jobs:8099", "EXTERNAL")
    assert portable.environment_config == "localhost:50000"
    assert portable.job_server_timeout == 86_400  # also the deadline of a step
    assert options.view_as(FlinkRunnerOptions).parallelism == 3
    assert isinstance(beam.Pipeline(options=options).runner, PortableRunner)


def test_further_flags_are_last_and_so_override() -> None:
    assert Local(flags=("--direct_runner_bundle_repeat=1",)).beam_flags()[-1] == "--direct_runner_bundle_repeat=1"
    assert Flink("a:1", "b:2", workers=3, flags=("--parallelism=5",)).beam_flags()[-1] == "--parallelism=5"


def test_engines_are_part_of_the_runs_json() -> None:
    engines: dict[Step, Engine] = {"default": FLINK, "StatisticsGen": Local(flags=("--no_pipeline_type_check",))}
    run = dataclasses.replace(named_run("tiny"), beam=engines)
    assert run_from_json(run.to_json()) == run
    assert engine_of(run.beam, "Transform") == FLINK


@pytest.mark.parametrize(
    ("step", "engine", "message"),
    [
        ("Transform", Flink("jobs", "localhost:1"), "Transform.flink.job_endpoint of the run's Beam engines is 'jobs'"),
        (
            "Trainer",
            Local(),
            r"Trainer.* of the run's Beam engines is 'Trainer'.*: Input should be 'default', 'TableSet",
        ),
        ("default", LocalParallel(-1), "default.local-parallel.workers of the run's Beam engines is -1"),
        ("default", Local(flags=("workers=2",)), r"flags.0 of the run's Beam engines is 'workers=2': String should"),
    ],
)
def test_an_invalid_engine_is_refused(run: Run, step: Any, engine: Engine, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_pipeline(dataclasses.replace(run, beam={step: engine}))


def test_dask_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"engine 'dask' loses rows: .*; name local-parallel, portable, flink, spark"):
        engines_from({"default": {"engine": "dask"}})
