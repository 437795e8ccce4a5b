"""Flags of the verbs in recommend.py and release.py."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from tfrec.cli.flags import MODEL_NAME, count, shop, shop_flag

TABLES = "data/complete-journey"
RUN_BEFORE_OTHERS = ("recommend", "search", "rank", "ctr", "similar", "complementary", "embed")
"""Verbs after which a shop's YAML file may stand before the other arguments."""
GRPC_SERVER, REST_SERVER = "127.0.0.1:8500", "127.0.0.1:8501"


def recommend(parser: argparse.ArgumentParser) -> None:
    _user(parser)
    _constraints(parser)
    _result_size(parser)


def search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", help='such as "gluten free pasta"')
    parser.add_argument("--user", help="rank by this user's history too")
    _constraints(parser)
    _result_size(parser)


def rank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id", nargs="+")
    _user(parser)
    _tables(parser)


def ctr(parser: argparse.ArgumentParser) -> None:
    rank(parser)


def similar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id")
    _result_size(parser)


def embed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", default="", help='such as "gluten free pasta"')
    parser.add_argument("--user", help="embed this user of the tables, with the query if there is one")
    parser.add_argument(
        "--item", metavar="ITEM_ID", action="append", default=[], help="embed this item of the tables; may be repeated"
    )
    _tables(parser)


def status(parser: argparse.ArgumentParser) -> None:
    shop(parser)
    _server(parser)
    _version(parser)


def promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="the number of its folder")
    _release(parser)


def canary(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", type=int, help="the number of its folder")
    parser.add_argument("--share", type=_percent, required=True, metavar="PERCENT", help="of the users, such as 10")
    _release(parser)


def rollback(parser: argparse.ArgumentParser) -> None:
    _release(parser)


def _user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="an id of the tables, such as 900")
    parser.add_argument(
        "--until",
        type=_query_time,
        metavar="DATE",
        help="use the history before that day or time (UTC unless it names a zone), and show the later events",
    )


def _result_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--k", type=count, default=10, help="number of items (%(default)s)")
    _tables(parser)


def _constraints(parser: argparse.ArgumentParser) -> None:
    repeated: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--exclude", metavar="ITEM_ID", help="leave out this item; may be repeated", **repeated)
    parser.add_argument(
        "--category", metavar="PATH", help='only items of it, such as "Food > Pasta"; may be repeated', **repeated
    )
    parser.add_argument("--not-category", metavar="PATH", help="no items of it; may be repeated", **repeated)
    parser.add_argument(
        "--diversity", type=_share, default=0.0, metavar="0..1", help="set items of similar text apart (%(default)s)"
    )
    parser.add_argument(
        "--list-calibration",
        type=_share,
        metavar="0..1",
        help="bring shares of popular items and categories closer to the history's (as the model was exported)",
    )


def _tables(parser: argparse.ArgumentParser) -> None:
    shop_flag(parser)
    parser.add_argument(
        "--tables", help=f"folder of the tables with the user's history (those of --run, else {TABLES})"
    )
    _server(parser)
    _version(parser)


def _server(parser: argparse.ArgumentParser, **settings: Any) -> None:
    server = parser.add_argument_group("the server: any TensorFlow Serving")
    server.add_argument(
        "--server",
        metavar="ADDRESS",
        help=f"host:port ({GRPC_SERVER}, by REST {REST_SERVER}), or http[s]://host:port",
        **settings,
    )
    server.add_argument("--rest", action="store_true", help="use REST, not gRPC")
    server.add_argument("--name", default=MODEL_NAME, help="name of the served model (%(default)s)")
    server.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="limit of a request (%(default)g)"
    )
    server.add_argument("--tls", action="store_true", help="encrypt, and trust the system's authorities")
    server.add_argument("--tls-ca", metavar="PEM", help="encrypt, and trust only these authorities")
    server.add_argument("--tls-cert", metavar="PEM", help="certificate of the client")
    server.add_argument("--tls-key", metavar="PEM", help="private key of --tls-cert")


def _version(parser: argparse.ArgumentParser) -> None:
    version = parser.add_argument_group("the version; by default the highest in service").add_mutually_exclusive_group()
    version.add_argument("--version", type=int, help="the number of its folder")
    version.add_argument("--label", default="", help="such as stable or canary")
    version.add_argument(
        "--model_config_file",
        metavar="FILE",
        help="stable or canary by the user, from the file that `tfrec canary` writes",
    )


def _release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model_config_file", required=True, metavar="FILE", help="file that the servers read; it is rewritten"
    )
    parser.add_argument("--send", action="store_true", help="send the file to servers that do not poll it")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="limit of the wait for the servers (%(default)g)",
    )
    _server(parser, action="append")


def _query_time(text: str) -> int:
    """Parse a date or a time, in UTC unless it names its zone, as seconds since the epoch."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2017-12-04") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _share(text: str) -> float:
    return _number(text, 0, 1)


def _percent(text: str) -> float:
    """Parse a percentage as a share in [0, 1]."""
    return _number(text.removesuffix("%"), 0, 100) / 100


def _seconds(text: str) -> float:
    return _number(text, 0, 86_400)


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
    return value
