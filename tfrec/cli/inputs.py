"""Users and items from the tables, as inputs of requests to a server.

Serving and pipeline are imported inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from tfrec.cli.recommend_flags import TABLES
from tfrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from serving.client import Event, Item
    from tfrec.data.lookup import User
    from tfrec.schema import Manifest, TableSet


class UserInput(NamedTuple):
    """A user of the tables at query time."""

    tables: TableSet
    user: User
    known: User
    """The user with the history up to the query time."""
    now: int
    """Query time in seconds since the epoch; 0: just after the user's last event."""

    def arguments(self) -> dict[str, Any]:
        """The client's arguments about the user and the query time."""
        return {"profile": self.known.profile, "now": self.now, "user_id": self.known.user_id}


def read_user_input(options: argparse.Namespace) -> UserInput:
    """Read the user that --user names, at --until if given, else at the end of the log."""
    from tfrec.data.lookup import read_user
    from tfrec.schema import read_table_set

    tables = read_table_set(tables_folder(options))
    user = read_user(tables, options.user)
    has_clock = tables.manifest.clock == "utc"
    until = getattr(options, "until", None)
    if until is None:
        # If events only have an order, 0 stands for just after the user's own last event.
        return UserInput(tables, user, user, now=tables.manifest.last_timestamp + 1 if has_clock else 0)
    if not has_clock:
        raise ConfigError(f"--until is a date but the events of {tables.root} only have an order; leave it out")
    return UserInput(tables, user, user.until(until), now=until)


def tables_folder(options: argparse.Namespace) -> str:
    """The folder that --tables names, else that of --run, else the demo's."""
    if options.tables or not options.run:
        return options.tables or TABLES
    from pipeline.run_file import find_run

    return find_run(options.run).tables


def to_events(user: User) -> list[Event]:
    """The user's history as events of the client, without searches, which have no item."""
    from serving.client import Event
    from tfrec.schema import FEEDBACK, INTERACTIONS

    rows = user.history.dropna(subset="item_id")
    seconds = rows["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    price = rows["price"].astype("float64")
    names = [str(name) for name in rows if name not in (*INTERACTIONS.names, *FEEDBACK.names)]
    context = [
        {name: value for name, value in zip(names, values, strict=True) if isinstance(value, str)}
        for values in rows[names].to_numpy()
    ]
    fields = zip(rows["item_id"], rows["kind"], seconds, price, context, strict=True)
    return [Event(item_id, kind, at, paid, where) for item_id, kind, at, paid, where in fields]


def read_item_inputs(options: argparse.Namespace) -> list[Item]:
    """Read the items that --item names, with all their columns."""
    from tfrec.data.lookup import read_items
    from tfrec.schema import read_table_set

    tables = read_table_set(tables_folder(options))
    rows = read_items(tables, options.item)
    for item_id in options.item:
        if item_id not in rows.index:
            raise DataError(f"item {item_id!r} is not in {tables.root}; take an id of its items")
    return [_to_item(item_id, rows.loc[item_id].dropna().to_dict(), tables.manifest) for item_id in options.item]


def _to_item(item_id: str, values: dict[str, Any], manifest: Manifest) -> Item:
    from serving.client import Item

    fields = {name: values[name] for name in ("description", "category", "brand", "price") if name in values}
    attributes = {column: values[column] for column in manifest.item_columns if column in values}
    columns = (*manifest.item_numbers, *manifest.item_vectors)
    numbers = {column: values[column] for column in columns if column in values}
    return Item(values.get("title", ""), item_id, attributes=attributes, numbers=numbers, **fields)
