"""The command line: its verbs; those that ask a server are in recommend.py and release.py, Kubeflow's in kubeflow.py.

With these two the edge of the project: the files below tfrec/ that may call serving and pipeline; and the one that
silences TensorFlow (docs/decisions/0001-command-line.md). Nothing heavy is imported before
a verb needs it, so that help comes at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrec.cli import flags, kubeflow, recommend, recommend_flags, release
from tfrec.errors import ConfigError, TfrecError

DESCRIPTION = "From a shop's raw logs to a served recommender. `tfrec VERB --help` says more."


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 what was asked for is not so, 2 an error told in one line, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    _quieten()
    try:
        return options.command(options) or 0
    except TfrecError as error:
        print(f"tfrec: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ntfrec: interrupted; to go on: tfrec {shlex.join(words)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `tfrec recommend ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def ingest(options: argparse.Namespace) -> None:
    """read and clean a shop's files into partitioned tables"""
    from tfrec.data import ingest as library
    from tfrec.data.mapping import mapping_from_flags, read_mapping
    from tfrec.data.sources import complete_journey, movielens

    source, out = options.source, options.out or f"data/{Path(options.source or 'shop').stem}"
    if source == "complete-journey":
        report = library.ingest_tables(complete_journey.load(), out, source, options.partitions)
    elif source == "movielens":
        folder = _given(options.path, "--path", "the folder that holds ml-100k, ml-1m or ml-latest's files")
        report = library.ingest_tables(movielens.load(folder), out, source, options.partitions)
    elif source:
        report = library.ingest(read_mapping(Path(source)), out, options.partitions)
    else:
        interactions = _given(options.interactions, "--interactions", "a file, or name a SOURCE")
        mapping = mapping_from_flags(
            interactions, options.items, options.users, options.column, options.kind, options.order
        )
        report = library.ingest(mapping, out, options.partitions)
    print(report)


def train(options: argparse.Namespace) -> int:
    """run the pipeline here, from examples to a pushed model"""
    from pipeline.demo.steps import alone
    from pipeline.local_runner import run
    from pipeline.outcome import read_outcome
    from pipeline.runs import named_run

    chosen = named_run(options.run)
    with alone(Path(chosen.out)):
        run(chosen)
    outcome = read_outcome(chosen)
    print(outcome.sentence(chosen))
    return 1 if outcome.refusal else 0


def join(options: argparse.Namespace) -> None:
    """train a run's towers with other processes, as TF_CONFIG says, when its Trainer waits for them"""
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
    """write the page of an evaluation, for a person to read in a browser"""
    from pipeline.outcome import node_seconds, read_evaluation
    from pipeline.runs import named_run
    from tfrec.reports.page import render_page, write_page

    name, evaluation = options.evaluation, read_evaluation(options.evaluation)
    seconds = {} if Path(name).is_file() else node_seconds(named_run(name))
    title = Path(name).name if Path(name).is_file() else f"Run {name}"
    print(f"report: {write_page(render_page(evaluation, title, seconds), options.out)}")


def serve(options: argparse.Namespace) -> None:
    """answer TensorFlow Serving's protocol with the pushed model"""
    if not options.model_config_file and not Path(options.model_base_path).is_dir():
        raise ConfigError(
            f"--model is {options.model_base_path!r} but there is no such folder; `tfrec train` pushes a model, "
            "`tfrec status` lists those that are there"
        )
    from serving.server.main import run

    run(options)


def demo(options: argparse.Namespace) -> None:
    """show the whole system on real data, from ingest to search"""
    from pipeline.demo.demo import demonstrate
    from pipeline.runs import named_run

    demonstrate(named_run(options.run))


def doctor(options: argparse.Namespace) -> int:
    """say what this machine can run, and how to cure what it can't"""
    from tfrec.cli import doctor as library

    findings = library.diagnose(deep=options.deep)
    print(library.render_json(findings) if options.json else library.render(findings))
    return 0 if library.is_fit(findings) else 1


def _serve_flags(parser: argparse.ArgumentParser) -> None:
    from serving.server import flags as of_server

    of_server.add(parser, flags.MODEL_NAME, "out/serving/laptop")


_Flags = Callable[[argparse.ArgumentParser], None]
VERBS: tuple[tuple[Callable[[argparse.Namespace], int | None], _Flags], ...] = (
    (demo, flags.run),
    (ingest, flags.ingest),
    (train, flags.run),
    (join, flags.run),
    (evaluate, flags.run),
    (compare, flags.compare),
    (report, flags.report),
    (serve, _serve_flags),
    (recommend.recommend, recommend_flags.recommend),
    (recommend.search, recommend_flags.search),
    (recommend.rank, recommend_flags.rank),
    (recommend.ctr, recommend_flags.ctr),
    (recommend.similar, recommend_flags.similar),
    (recommend.complementary, recommend_flags.similar),
    (recommend.embed, recommend_flags.embed),
    (recommend.status, recommend_flags.status),
    (release.promote, recommend_flags.promote),
    (release.canary, recommend_flags.canary),
    (release.rollback, recommend_flags.rollback),
    (doctor, flags.doctor),
    (kubeflow.kubeflow, kubeflow.kubeflow_flags),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tfrec", description=DESCRIPTION)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for command, add_flags in VERBS:
        verb = verbs.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        verb.set_defaults(command=command)
        add_flags(verb)
    return parser


def _quieten() -> None:
    """Leaves on the screen what a person wants: our own progress, not the start-up talk of C++ libraries."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    logging.basicConfig(level=logging.WARNING, format="tfrec: %(message)s")
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFX warns of itself at every node
    logging.getLogger("tfrec").setLevel(logging.INFO)
    logging.getLogger("serving").setLevel(logging.INFO)


def _given(value: str | None, flag: str, expected: str) -> str:
    if value is None:
        raise ConfigError(f"{flag} is missing; give {expected}")
    return value
