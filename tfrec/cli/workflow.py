"""The verbs from a shop's files to a served model: ingest, train, evaluate, serve and others.

They may import serving and pipeline, inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec.errors import ConfigError


def demo(options: argparse.Namespace) -> None:
    """show the whole system on real data, from ingest to search"""
    from pipeline.demo.demo import demonstrate
    from pipeline.runs import named_run

    demonstrate(named_run(options.run))


def ingest(options: argparse.Namespace) -> None:
    """read and clean a shop's files into partitioned tables"""
    from tfrec.data import ingest as library
    from tfrec.data.mapping import mapping_from_flags, read_mapping
    from tfrec.data.sources import complete_journey, movielens

    source, out = options.source, options.out or f"data/{Path(options.source or 'shop').stem}"
    if source == "complete-journey":
        report = library.ingest_tables(complete_journey.load(), out, source, options.partitions)
    elif source == "movielens":
        folder = _required(options.path, "--path", "the folder that holds ml-100k, ml-1m or ml-latest's files")
        report = library.ingest_tables(movielens.load(folder), out, source, options.partitions)
    elif source:
        report = library.ingest(read_mapping(Path(source)), out, options.partitions)
    else:
        interactions = _required(options.interactions, "--interactions", "a file, or name a SOURCE")
        mapping = mapping_from_flags(
            interactions,
            options.items,
            options.users,
            columns=options.column,
            kind=options.kind,
            order=options.order,
        )
        report = library.ingest(mapping, out, options.partitions)
    print(report)


def train(options: argparse.Namespace) -> int:
    """run the pipeline here, from examples to a pushed model"""
    from pipeline.demo.steps import locked
    from pipeline.local_runner import run_pipeline
    from pipeline.outcome import read_outcome
    from pipeline.runs import named_run

    run = named_run(options.run)
    with locked(Path(run.out)):
        run_pipeline(run)
    outcome = read_outcome(run)
    print(outcome.sentence(run))
    return 1 if outcome.refusal else 0


def join(options: argparse.Namespace) -> None:
    """train a run's towers together with other processes, as TF_CONFIG lists them"""
    from pipeline.nodes.remote_training import join_training
    from pipeline.runs import named_run

    join_training(Path(named_run(options.run).work))


def evaluate(options: argparse.Namespace) -> None:
    """print the last evaluation of a run beside its baselines"""
    from pipeline.outcome import read_outcome
    from pipeline.runs import named_run
    from tfrec.reports.terminal import render_table

    print(render_table(read_outcome(named_run(options.run)).evaluation))


def compare(options: argparse.Namespace) -> None:
    """print the models of several runs, or of evaluation.json files, side by side"""
    from pipeline.outcome import read_evaluation
    from tfrec.reports.terminal import render_comparison

    print(render_comparison({name: read_evaluation(name) for name in options.evaluations}))


def report(options: argparse.Namespace) -> None:
    """write an evaluation as an HTML page"""
    from pipeline.outcome import node_seconds, read_evaluation
    from pipeline.runs import named_run
    from tfrec.reports.page import render_page, write_page

    name, evaluation = options.evaluation, read_evaluation(options.evaluation)
    seconds = {} if Path(name).is_file() else node_seconds(named_run(name))
    title = Path(name).name if Path(name).is_file() else f"Run {name}"
    print(f"report: {write_page(render_page(evaluation, title, seconds), options.out)}")


def serve(options: argparse.Namespace) -> None:
    """serve the pushed model over TensorFlow Serving's protocol"""
    if not options.model_config_file and not Path(options.model_base_path).is_dir():
        raise ConfigError(
            f"--model is {options.model_base_path!r} but there is no such folder; `tfrec train` pushes a model, "
            "`tfrec status` lists those pushed"
        )
    from serving.server.main import run

    run(options)


def _required(value: str | None, flag: str, expected: str) -> str:
    if value is None:
        raise ConfigError(f"{flag} is missing; give {expected}")
    return value
