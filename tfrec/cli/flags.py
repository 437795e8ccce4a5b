"""Flags of the verbs in workflow.py and doctor/; recommend_flags.py has the others."""

from __future__ import annotations

import argparse

MODEL_NAME = "tfrec"


def ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", help="complete-journey, movielens, or a mapping's YAML file")
    parser.add_argument("--out", help="folder of the tables (data/SOURCE)")
    parser.add_argument("--partitions", type=count, default=16)
    parser.add_argument("--path", help="movielens: the unzipped folder")
    parser.add_argument("--interactions", help="without a SOURCE: file, folder or glob of the interactions")
    parser.add_argument("--items", help="without a SOURCE: those of the items")
    parser.add_argument("--users", help="without a SOURCE: those of the users")
    parser.add_argument(
        "--column", action="append", default=[], metavar="COLUMN=FILE_COLUMN", help="user_id=CustomerID"
    )
    parser.add_argument("--kind", help="kind of every interaction: purchase, click ...")
    parser.add_argument("--order", help="column that orders a user's events if there is no timestamp")


def run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", default="laptop", help="a name of pipeline/runs.py (%(default)s)")


def compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("evaluations", nargs="+", help="names of runs, or evaluation.json files")


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "evaluation", nargs="?", default="laptop", help="a run's name or an evaluation.json (%(default)s)"
    )
    parser.add_argument("--out", default="report.html", help="the page to write (%(default)s)")


def serve(parser: argparse.ArgumentParser) -> None:
    from serving.server import flags as server_flags

    server_flags.add(parser, MODEL_NAME, "out/serving/laptop")


def doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--deep", action="store_true", help="import TensorFlow and list its GPUs (seconds)")


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
