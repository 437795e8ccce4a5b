"""The flags of the verbs that ask a server; recommend.py and release.py say what they do."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from tfrec.cli.flags import MODEL_NAME, count

TABLES = "data/complete-journey"
GRPC_SERVER, REST_SERVER = "127.0.0.1:8500", "127.0.0.1:8501"


def recommend(parser: argparse.ArgumentParser) -> None:
    _user(parser)
    _wishes(parser)
    _ask(parser)


def search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", help='such as "gluten free pasta"')
    parser.add_argument("--user", help="rank by this user's history too")
    _wishes(parser)
    _ask(parser)


def rank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id", nargs="+")
    _user(parser)
    _tables(parser)


def ctr(parser: argparse.ArgumentParser) -> None:
    rank(parser)


def similar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item_id")
    _ask(parser)


def embed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", default="", help='such as "gluten free pasta"')
    parser.add_argument("--user", help="an id of the tables: where the user stands, with the query if there is one")
    parser.add_argument("--item", metavar="ITEM_ID", action="append", default=[], help="of the tables; may be repeated")
    _tables(parser)


def status(parser: argparse.ArgumentParser) -> None:
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
        type=_midnight,
        metavar="DATE",
        help="know the user up to that day, and show what came then",
    )


def _ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--k", type=count, default=10, help="how many (%(default)s)")
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
    _server(parser)
    _version(parser)


def _server(parser: argparse.ArgumentParser, **several: Any) -> None:
    server = parser.add_argument_group("the server: any TensorFlow Serving")
    server.add_argument(
        "--server",
        metavar="ADDRESS",
        help=f"host:port ({GRPC_SERVER}, by REST {REST_SERVER}), or http[s]://host:port",
        **several,
    )
    server.add_argument("--rest", action="store_true", help="ask by REST, not by gRPC")
    server.add_argument("--name", default=MODEL_NAME, help="what the server calls the model (%(default)s)")
    server.add_argument("--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="of a question (%(default)g)")
    server.add_argument("--tls", action="store_true", help="encrypt, and trust the authorities that the system trusts")
    server.add_argument("--tls-ca", metavar="PEM", help="encrypt, and trust these authorities alone")
    server.add_argument("--tls-cert", metavar="PEM", help="the certificate by which the server knows us")
    server.add_argument("--tls-key", metavar="PEM", help="the private key of it")


def _version(parser: argparse.ArgumentParser) -> None:
    version = parser.add_argument_group(
        "which version answers; without these the highest"
    ).add_mutually_exclusive_group()
    version.add_argument("--version", type=int, help="the number of its folder")
    version.add_argument("--label", default="", help="such as stable or canary")
    version.add_argument(
        "--model_config_file", metavar="FILE", help="stable or canary, by the user, as `tfrec canary` wrote into it"
    )


def _release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model_config_file", required=True, metavar="FILE", help="which the servers read; it is rewritten"
    )
    parser.add_argument("--send", action="store_true", help="to servers that do not read the file again and again")
    parser.add_argument(
        "--wait", type=_seconds, default=300.0, metavar="SECONDS", help="for the servers to follow (%(default)g)"
    )
    _server(parser, action="append")


def _midnight(text: str) -> int:
    """Seconds since the epoch at the start of a day in UTC."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2017-12-04") from None


def _share(text: str) -> float:
    return _number(text, 0, 1)


def _percent(text: str) -> float:
    """The share."""
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
