"""Flags of the verbs in workflow.py and doctor/; recommend_flags.py has the others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

MODEL_NAME = "tfrec"
LAPTOP = "laptop"
MODEL_BASE_PATH = "out/serving/laptop"


class OneRun(argparse.Action):
    """Stores a run, and refuses a second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the run; an error of the parser if the command line named one before."""
        if getattr(namespace, "has_run", False):
            parser.error(f"the runs {getattr(namespace, self.dest)!r} and {values!r} are both given; name one")
        namespace.has_run = True
        setattr(namespace, self.dest, values)


def ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", help="complete-journey, movielens, or a shop's YAML file")
    shop_flag(parser)
    parser.add_argument("--out", help="folder of the tables (as the file says, else data/SOURCE)")
    parser.add_argument("--partitions", type=count, help="parts of each table (as the file says, else 16)")
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
    shop(parser, LAPTOP)


def shop(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the run as the only positional argument, and as --run."""
    parser.add_argument(
        "run", nargs="?", action=OneRun, default=argparse.SUPPRESS, metavar="RUN", help="the same as --run"
    )
    shop_flag(parser, default)


def shop_flag(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --run alone; main.py accepts a YAML file right after the verb in its place."""
    text = "a shop's YAML file, such as shop.yaml, or a run of the project, such as laptop"
    default_text = f" ({default})" if default else ""
    parser.add_argument("--run", action=OneRun, metavar="RUN", default=default, help=text + default_text)


def config(parser: argparse.ArgumentParser) -> None:
    run(parser)
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema instead")


def evaluate(parser: argparse.ArgumentParser) -> None:
    run(parser)
    metrics(parser)


def compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("evaluations", nargs="+", help="runs, folders of pushed versions, or evaluation.json files")
    metrics(parser)


def metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        default="",
        metavar="NAME,NAME",
        help="columns, such as precision,f1@10,recall@100,auc (NDCG and recall at 5, 10 and 20, MRR)",
    )


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "evaluation",
        nargs="?",
        help=f"a shop's YAML file, a run's name or an evaluation.json ({LAPTOP})",
    )
    shop_flag(parser)
    parser.add_argument("--out", default="report.html", help="the page to write (%(default)s)")


def serve(parser: argparse.ArgumentParser) -> None:
    from serving.server import flags as server_flags

    shop(parser)
    server_flags.add(parser, MODEL_NAME, MODEL_BASE_PATH)
    parser.set_defaults(model_base_path=None)  # the folder of --model goes before that of the run


def doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--deep", action="store_true", help="import TensorFlow and list its GPUs (seconds)")


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
