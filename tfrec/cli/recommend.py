"""The verbs that send requests to a server: recommend, search, rank, ctr, similar, embed, status.

Serving and pipeline are imported inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec.cli.connect import connect, release_from_flags
from tfrec.cli.inputs import UserInput, read_item_inputs, read_user_input, to_events
from tfrec.errors import ConfigError, DataError, TfrecError

if TYPE_CHECKING:
    import numpy as np

    from serving.client import Recommendation


def recommend(options: argparse.Namespace) -> None:
    """recommend items to a user of the tables"""
    from tfrec.cli.render import check_shop

    user = read_user_input(options)
    with connect(options) as client:
        items = client.recommend(to_events(user.known), k=options.k, **user.arguments(), **_constraints(options))
    _check_categories(options, items)
    _print_ranking(options, user, items)
    check_shop(items, user.tables)


def search(options: argparse.Namespace) -> None:
    """search items by a text, for a user if named"""
    from tfrec.cli.render import render_items, search_note

    with connect(options) as client:
        if options.user is None:
            items = client.search(options.query, k=options.k, **_constraints(options))
        else:
            user = read_user_input(options)
            arguments = user.arguments() | _constraints(options)
            items = client.search(options.query, to_events(user.known), k=options.k, **arguments)
    _check_categories(options, items)
    print(render_items(items))
    if note := search_note(items):
        print(f"tfrec: {note}", file=sys.stderr)


def rank(options: argparse.Namespace) -> None:
    """rank the given items for a user of the tables"""
    user = read_user_input(options)
    with connect(options) as client:
        items = client.rank(to_events(user.known), options.item_id, **user.arguments())
    _check_known(set(options.item_id) - {item.item_id for item in items})
    _print_ranking(options, user, items)


def ctr(options: argparse.Namespace) -> None:
    """print the probabilities that a user of the tables clicks, buys ... the given items"""
    from tfrec.cli.render import render_probabilities

    user = read_user_input(options)
    with connect(options) as client:
        probabilities = client.ctr(to_events(user.known), options.item_id, **user.arguments())
    _check_known({item.item_id for item in probabilities if not item.is_known})
    print(render_probabilities(probabilities, user.tables))


def similar(options: argparse.Namespace) -> None:
    """list the items most similar to one"""
    with connect(options) as client:
        (items,) = client.similar_items([options.item_id], k=options.k)
    if not items:
        raise DataError(f"item {options.item_id!r} is not in the served catalog; take an id that `search` shows")
    _print_neighbors(items)


def complementary(options: argparse.Namespace) -> None:
    """list the items bought together with one, not instead of it"""
    with connect(options) as client:
        (items,) = client.complementary_items([options.item_id], k=options.k)
    if not items:
        raise DataError(
            f"item {options.item_id!r} has no complementary items: users took it beside no other item, or the served "
            "catalog does not hold it; try `similar`"
        )
    _print_neighbors(items)


def embed(options: argparse.Namespace) -> None:
    """print the embedding of a query, a user or items of the tables, a line of JSON each"""
    from serving.client.texts import is_blank

    has_query = not is_blank(options.query)
    if not (has_query or options.user or options.item):
        raise ConfigError("nothing is named to embed; give a query, --user or --item")
    items = read_item_inputs(options) if options.item else []
    user = read_user_input(options) if options.user else None
    with connect(options) as client:
        if user:
            embedding = client.embed_query(to_events(user.known), query=options.query, **user.arguments())
            _print_embedding({"user_id": options.user, "query": options.query}, embedding)
        elif has_query:
            _print_embedding({"query": options.query}, client.embed_query(query=options.query))
        for item, embedding in zip(items, client.embed_items(items) if items else (), strict=True):
            _print_embedding({"item_id": item.item_id}, embedding)


def status(options: argparse.Namespace) -> int:
    """show what is ingested, what is pushed and what a server serves"""
    manifests, models = _made(options.run)
    for manifest in manifests:
        print(f"tables   {manifest.parent}: {_row_counts(manifest.parent)}")
    for version in models:
        print(f"pushed   {version.parent}")
    try:
        with connect(options) as client:
            for version_status in client.status():
                reason = f": {version_status.error}" if version_status.error else ""
                print(f"server   {client.target}: version {version_status.version} {version_status.state}{reason}")
            if options.label or options.version is not None:
                print(f"server   {client.target}: {options.label or options.version} is version {client.version()}")
            if options.model_config_file:
                print(f"labels   {options.model_config_file}: {release_from_flags(options).describe()}")
    except TfrecError as error:
        print(f"server   {error}")
        return 1
    return 0


def _constraints(options: argparse.Namespace) -> dict[str, Any]:
    """The client's arguments for the constraints of a request."""
    return {
        "exclude": options.exclude,
        "categories": options.category,
        "not_categories": options.not_category,
        "diversity": options.diversity,
        "list_calibration": options.list_calibration,
    }


def _check_categories(options: argparse.Namespace, items: Sequence[Recommendation]) -> None:
    """Raise DataError if --category leaves no item: most likely the catalog has no such name."""
    if options.category and not items:
        raise DataError(
            f"--category {' '.join(map(repr, options.category))} leaves no item that may be shown; "
            'give the path as the catalog writes it, from the widest level down, such as "Food > Pasta"'
        )


def _check_known(unknown: set[str]) -> None:
    if unknown:
        raise DataError(
            f"the served catalog does not hold {', '.join(map(repr, sorted(unknown)))}; leave it out, "
            "or take ids that `search` shows"
        )


def _print_ranking(options: argparse.Namespace, user: UserInput, items: Sequence[Recommendation]) -> None:
    """Print items; with --until, beside the user's later events."""
    from tfrec.cli.render import render_items, render_with_later_events

    if options.until is None:
        print(render_items(items))
    else:
        print(render_with_later_events(items, user.user.since(options.until), user.tables))


def _print_neighbors(items: Sequence[Recommendation]) -> None:
    from tfrec.cli.render import render_items

    print(render_items(items))


def _print_embedding(labels: Mapping[str, str], embedding: np.ndarray) -> None:
    # str() of a float32 is its shortest text; float() of it would print 0.10000000149011612 for
    # 0.1.
    print(json.dumps({**labels, "embedding": [float(str(value)) for value in embedding]}, ensure_ascii=False))


def _made(run: str | None) -> tuple[list[Path], list[Path]]:
    """Manifests of tables and files of pushed models: of a run, or of the working directory."""
    if run is None:
        return sorted(Path("data").glob("*/manifest.json")), sorted(Path("out/serving").glob("*/*/saved_model.pb"))
    from pipeline.run_file import find_run

    folders = find_run(run)
    return sorted(Path(folders.tables).glob("manifest.json")), sorted(Path(folders.serving).glob("*/saved_model.pb"))


def _row_counts(root: Path) -> str:
    from tfrec.schema import read_table_set

    rows = read_table_set(root).manifest.rows
    # The table of users holds profiles: many a user has none.
    words = {"users": "user profiles"}
    return ", ".join(f"{count:,} {words.get(table, table)}" for table, count in rows.items())
