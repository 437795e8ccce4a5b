"""The command line's flags, a function for each verb; cli.py says what the verbs do."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

TABLES = "data/complete-journey"
SERVER = "127.0.0.1:8500"
MODEL_NAME = "tfrec"


def ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", help="complete-journey, movielens, or a mapping's YAML file")
    parser.add_argument("--out", help="folder of the tables (data/SOURCE)")
    parser.add_argument("--partitions", type=_count, default=16)
    parser.add_argument("--path", help="movielens: the folder that was unzipped")
    parser.add_argument("--interactions", help="without a SOURCE: a file, a folder or a glob")
    parser.add_argument("--items", help="likewise")
    parser.add_argument("--users", help="likewise")
    parser.add_argument("--column", action="append", default=[], metavar="OURS=THEIRS", help="user_id=CustomerID")
    parser.add_argument("--kind", help="of every interaction: purchase, click ...")
    parser.add_argument("--order", help="column that ranks a user's events, where there is no timestamp")


def run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", default="laptop", help="a name of pipeline/runs.py (%(default)s)")


def compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("evaluations", nargs="+", help="names of runs, or evaluation.json files that were kept")


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "evaluation", nargs="?", default="laptop", help="a run's name or an evaluation.json (%(default)s)"
    )
    parser.add_argument("--out", default="report.html", help="the page to write (%(default)s)")


def recommend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="an id of the tables, such as 900")
    parser.add_argument(
        "--until",
        type=_midnight,
        metavar="DATE",
        help="know the user up to that day, and show what came then",
    )
    _wishes(parser)
    _ask(parser)


def search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", help='such as "gluten free pasta"')
    parser.add_argument("--user", help="rank by this user's history too")
    _wishes(parser)
    _ask(parser)


def rank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id", nargs="+")
    parser.add_argument("--user", required=True, help="an id of the tables, such as 900")
    _tables(parser)


def similar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id")
    _ask(parser)


def _ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--k", type=_count, default=10, help="how many (%(default)s)")
    _tables(parser)


def _wishes(parser: argparse.ArgumentParser) -> None:
    several: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--exclude", metavar="ITEM_ID", help="do not show it; may be given again", **several)
    parser.add_argument("--category", metavar="PATH", help='only of it, such as "Food > Pasta"; likewise', **several)
    parser.add_argument("--not-category", metavar="PATH", help="nothing of it; likewise", **several)
    parser.add_argument(
        "--diversity", type=_share, default=0.0, metavar="0..1", help="set what reads alike apart (%(default)s)"
    )


def _tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tables", default=TABLES, help="where the user's history lies (%(default)s)")
    server(parser)


def server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default=SERVER, help="gRPC address of any TensorFlow Serving (%(default)s)")
    parser.add_argument("--name", default=MODEL_NAME, help="what the server calls the model (%(default)s)")


def doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--deep", action="store_true", help="import TensorFlow and list its GPUs (seconds)")


def _midnight(text: str) -> int:
    """Seconds since the epoch at the start of a day in UTC."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2017-12-04") from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
