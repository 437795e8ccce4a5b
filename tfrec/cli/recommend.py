"""The verbs that ask a running server: what to recommend, what fits a text, how likely a purchase is, what it serves.

Part of the edge (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec.cli import inputs
from tfrec.cli.connect import connect, release_of
from tfrec.errors import ConfigError, DataError, TfrecError

if TYPE_CHECKING:
    import numpy as np

    from serving.client.types import Recommendation
    from tfrec.cli.inputs import Shopper


def recommend(options: argparse.Namespace) -> None:
    """ask a server what to recommend to a user of the tables"""
    from tfrec.cli.render import check_shop

    shopper = inputs.shopper(options)
    with connect(options) as client:
        answer = client.recommend(inputs.events(shopper.known), k=options.k, **shopper.about(), **_wishes(options))
    _check_categories(options, answer)
    _print_beside(options, shopper, answer)
    check_shop(answer, shopper.tables)


def search(options: argparse.Namespace) -> None:
    """ask a server for items that fit a text, for a user if named"""
    from tfrec.cli.render import render_answer

    if not options.query.strip():
        raise ConfigError(f"the query is {options.query!r} but must hold a word; `recommend` answers without one")
    with connect(options) as client:
        if options.user is None:
            answer = client.search(options.query, k=options.k, **_wishes(options))
        else:
            shopper = inputs.shopper(options)
            about = shopper.about() | _wishes(options)
            answer = client.search(options.query, inputs.events(shopper.known), k=options.k, **about)
    _check_categories(options, answer)
    print(render_answer(answer))


def rank(options: argparse.Namespace) -> None:
    """ask a server in which order a user of the tables would want some items"""
    shopper = inputs.shopper(options)
    with connect(options) as client:
        answer = client.rank(inputs.events(shopper.known), options.item_id, **shopper.about())
    _check_known(set(options.item_id) - {item.item_id for item in answer})
    _print_beside(options, shopper, answer)


def ctr(options: argparse.Namespace) -> None:
    """ask a server how likely a user of the tables is to click, buy ... some items"""
    from tfrec.cli.render import render_chances

    shopper = inputs.shopper(options)
    with connect(options) as client:
        answer = client.ctr(inputs.events(shopper.known), options.item_id, **shopper.about())
    _check_known({item.item_id for item in answer if not item.is_known})
    print(render_chances(answer, shopper.tables))


def similar(options: argparse.Namespace) -> None:
    """ask a server for the items nearest to one"""
    with connect(options) as client:
        _print_neighbours(options, *client.similar_items([options.item_id], k=options.k))


def complementary(options: argparse.Namespace) -> None:
    """ask a server for what is bought with an item, not instead of it"""
    with connect(options) as client:
        _print_neighbours(options, *client.complementary_items([options.item_id], k=options.k))


def embed(options: argparse.Namespace) -> None:
    """print the embedding of a query, a user or items of the tables, a line of JSON each"""
    if not (options.query.strip() or options.user or options.item):
        raise ConfigError("nothing is named to embed; give a query, --user or --item")
    items = inputs.items(options) if options.item else []
    shopper = inputs.shopper(options) if options.user else None
    with connect(options) as client:
        if shopper:
            answer = client.embed_query(inputs.events(shopper.known), query=options.query, **shopper.about())
            _print_embedding({"user_id": options.user, "query": options.query}, answer)
        elif options.query.strip():
            _print_embedding({"query": options.query}, client.embed_query(query=options.query))
        for item, embedding in zip(items, client.embed_items(items) if items else (), strict=True):
            _print_embedding({"item_id": item.item_id}, embedding)


def status(options: argparse.Namespace) -> int:
    """say what was ingested, what was pushed and what a server serves"""
    for manifest in sorted(Path("data").glob("*/manifest.json")):
        print(f"tables   {manifest.parent}: {_rows_of(manifest.parent)}")
    for version in sorted(Path("out/serving").glob("*/*/saved_model.pb")):
        print(f"pushed   {version.parent}")
    try:
        with connect(options) as client:
            for served in client.status():
                reason = f": {served.error}" if served.error else ""
                print(f"server   {client.target}: version {served.version} {served.state}{reason}")
            if options.label or options.version is not None:
                print(f"server   {client.target}: {options.label or options.version} is version {client.version()}")
            if options.model_config_file:
                print(f"labels   {options.model_config_file}: {release_of(options).sentence()}")
    except TfrecError as error:
        print(f"server   {error}")
        return 1
    return 0


def _wishes(options: argparse.Namespace) -> dict[str, Any]:
    """The client's arguments of what may be shown, and how varied."""
    return {
        "exclude": options.exclude,
        "categories": options.category,
        "not_categories": options.not_category,
        "diversity": options.diversity,
    }


def _check_categories(options: argparse.Namespace, answer: Sequence[Recommendation]) -> None:
    """DataError where the wanted categories leave nothing: most likely a name that the catalogue does not know."""
    if options.category and not answer:
        raise DataError(
            f"--category {' '.join(map(repr, options.category))} leaves no item that may be shown; "
            'name the path as the catalogue writes it, from the widest level down, such as "Food > Pasta"'
        )


def _check_known(unknown: set[str]) -> None:
    if unknown:
        raise DataError(
            f"the served catalogue does not hold {', '.join(map(repr, sorted(unknown)))}; leave it out, "
            "or take ids that `search` shows"
        )


def _print_beside(options: argparse.Namespace, shopper: Shopper, answer: Sequence[Recommendation]) -> None:
    """The answer, beside what came next where --until hides it from the server."""
    from tfrec.cli.render import render_answer, render_beside

    if options.until is None:
        print(render_answer(answer))
    else:
        print(render_beside(answer, shopper.user.since(options.until), shopper.tables))


def _print_neighbours(options: argparse.Namespace, answer: Sequence[Recommendation]) -> None:
    from tfrec.cli.render import render_answer

    if not answer:
        raise DataError(f"item {options.item_id!r} is not in the served catalogue; take an id that `search` shows")
    print(render_answer(answer))


def _print_embedding(of: Mapping[str, str], embedding: np.ndarray) -> None:
    print(json.dumps({**of, "embedding": [float(str(value)) for value in embedding]}, ensure_ascii=False))


def _rows_of(root: Path) -> str:
    from tfrec.schema import read_table_set

    return ", ".join(f"{count:,} {table}" for table, count in read_table_set(root).manifest.rows.items())
