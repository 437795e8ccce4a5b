"""The verbs from a shop's files to a served model: ingest, train, evaluate, serve and others.

They may import serving and pipeline, inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tfrec.cli.flags import LAPTOP, MODEL_BASE_PATH
from tfrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tfrec.data.ingest import IngestReport


def demo(options: argparse.Namespace) -> None:
    """show the whole system on real data, from ingest to search"""
    from pipeline.demo.demo import demonstrate
    from pipeline.run_file import find_run

    demonstrate(find_run(options.run))


def ingest(options: argparse.Namespace) -> None:
    """read and clean a shop's files into partitioned tables"""
    from tfrec.data import ingest as library
    from tfrec.data.mapping import mapping_from_flags
    from tfrec.data.sources import movielens

    source, partitions = options.source, options.partitions or 16
    if source and options.run:
        raise ConfigError(f"{source!r} and --run {options.run} are both given; name one")
    out = options.out or f"data/{source or 'shop'}"
    if source == "movielens":
        folder = _required(options.path, "--path", "the folder that holds ml-100k, ml-1m or ml-latest's files")
        report = library.ingest_tables(movielens.load(folder), out, source, partitions)
    elif source or options.run:
        report = _ingest_file(options)
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
        report = library.ingest(mapping, out, partitions)
    print(report)


def _ingest_file(options: argparse.Namespace) -> IngestReport:
    """Ingest the tables of a shop's file or a source, into the flags' folder if given."""
    from pipeline.run_file import RunFile, find_run, read_run_file
    from pipeline.tables import ingest as ingest_file

    source = options.source
    if options.run:
        file = find_run(options.run)
    elif source == "complete-journey":
        file = RunFile(source, f"data/{source}", source=source)
    else:
        file = read_run_file(Path(source), source)
    flags = {"tables": options.out, "partitions": options.partitions}
    return ingest_file(dataclasses.replace(file, **{name: value for name, value in flags.items() if value}))


def train(options: argparse.Namespace) -> int:
    """ingest where needed, then run the pipeline, from examples to a pushed model"""
    from pipeline.demo.steps import locked
    from pipeline.run_checks import check_folders
    from pipeline.run_file import find_run
    from pipeline.tables import ready_run_of

    file = find_run(options.run)
    check_folders(file)
    with locked(Path(file.out)):
        run = ready_run_of(file)
        from pipeline.local_runner import run_pipeline  # importing TFX takes seconds
        from pipeline.outcome import read_outcome
        from tfrec.reports.first_clicks import render_first_clicks

        run_pipeline(run)
    outcome = read_outcome(run)
    print("\n\n".join(filter(None, [render_first_clicks(outcome.evaluation), outcome.sentence(run)])))
    return 1 if outcome.refusal else 0


def config(options: argparse.Namespace) -> None:
    """print a run's complete configuration, or the JSON Schema of a shop's file"""
    if options.schema:
        from pipeline.run_schema import schema_text

        print(schema_text(), end="")
        return
    from pipeline.complete_file import complete_file
    from pipeline.configuration import choose, run_of
    from pipeline.run_file import find_run

    file = find_run(options.run)
    preset, reason = file.preset, "as the file says"
    if file.preset == "auto":
        try:
            choice = choose(file)
        except DataError as error:
            raise DataError(
                f"preset auto looks at the tables: {error}, such as `tfrec ingest {file.argument}`"
            ) from None
        preset, reason = choice.preset, choice.reason
    run = run_of(dataclasses.replace(file, preset=preset))
    print(complete_file(file, run, f"preset {preset}, {reason}"), end="")


def join(options: argparse.Namespace) -> None:
    """train a run's towers together with other processes, as TF_CONFIG lists them"""
    from pipeline.nodes.remote_training import join_training
    from pipeline.run_file import find_run

    join_training(Path(find_run(options.run).work))


def evaluate(options: argparse.Namespace) -> None:
    """print the last evaluation of a run beside its baselines"""
    from pipeline.outcome import read_outcome
    from pipeline.run_file import find_run
    from tfrec.reports.metric_names import parse_metrics
    from tfrec.reports.score_tables import render_table

    metrics = parse_metrics(options.metrics)
    print(render_table(read_outcome(find_run(options.run)).evaluation, metrics))


def compare(options: argparse.Namespace) -> None:
    """print the models of runs or pushed versions side by side, and which users gain and lose"""
    from pipeline.outcome import read_evaluation
    from tfrec.reports.metric_names import parse_metrics
    from tfrec.reports.score_tables import render_comparison
    from tfrec.reports.user_comparison import compare_users

    metrics = parse_metrics(options.metrics)
    evaluations = {name: read_evaluation(name) for name in options.evaluations}
    print("\n\n".join([render_comparison(evaluations, metrics), *compare_users(evaluations)]))


def report(options: argparse.Namespace) -> None:
    """write an evaluation as an HTML page"""
    from pipeline.outcome import is_evaluation_file, node_seconds, read_evaluation
    from pipeline.run_file import find_run
    from tfrec.reports.page import render_page, write_page

    if options.evaluation and options.run:
        raise ConfigError(f"{options.evaluation!r} and --run {options.run} are both given; name one")
    name = options.evaluation or options.run or LAPTOP
    evaluation = read_evaluation(name)
    seconds, title = {}, Path(name).name
    if not is_evaluation_file(name):
        run = find_run(name)
        seconds, title = node_seconds(run), f"Run {run.name}"
    print(f"report: {write_page(render_page(evaluation, title, seconds), options.out)}")


def serve(options: argparse.Namespace) -> None:
    """serve the pushed model over TensorFlow Serving's protocol"""
    if options.run and not options.model_base_path:
        from pipeline.run_file import find_run

        options.model_base_path = find_run(options.run).serving
    options.model_base_path = options.model_base_path or MODEL_BASE_PATH
    if not options.model_config_file and not Path(options.model_base_path).is_dir():
        raise ConfigError(
            f"--model is {options.model_base_path!r} but there is no such folder; `tfrec train` pushes a model that "
            "it does not refuse (`tfrec evaluate` says why it did), `tfrec status` lists those pushed"
        )
    from serving.server.main import run

    run(options)


def _required(value: str | None, flag: str, expected: str) -> str:
    if value is None:
        raise ConfigError(f"{flag} is missing; give {expected}")
    return value
