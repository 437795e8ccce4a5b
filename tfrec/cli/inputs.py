"""Who and what a server is asked about: users and items out of the tables, as the client wants them.

Part of the edge (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from serving.client import Event, Item
    from tfrec.data.lookup import User
    from tfrec.schema import TableSet


class Shopper(NamedTuple):
    """A user of the tables, as the server is told of them."""

    tables: TableSet
    user: User
    known: User
    """Up to --until."""
    now: int

    def about(self) -> dict[str, Any]:
        """The client's arguments of who asks, and when."""
        return {"profile": self.known.profile, "now": self.now, "user_id": self.known.user_id}


def shopper(options: argparse.Namespace) -> Shopper:
    """Whom --user names, as known at --until where there is such a flag, else at the end of the log."""
    from tfrec.data.lookup import read_user
    from tfrec.schema import read_table_set

    tables = read_table_set(options.tables)
    user = read_user(tables, options.user)
    has_clock = tables.manifest.clock == "utc"
    until = getattr(options, "until", None)
    if until is None:
        # Where events have an order alone 0 stands for just after the user's own last event.
        return Shopper(tables, user, user, tables.manifest.last_timestamp + 1 if has_clock else 0)
    if not has_clock:
        raise ConfigError(f"--until is a date but the events of {tables.root} have an order alone; leave it out")
    return Shopper(tables, user, user.until(until), until)


def events(user: User) -> list[Event]:
    """The history as the client wants it; a search without an item is none of it."""
    from serving.client import Event

    rows = user.history.dropna(subset="item_id")
    seconds = rows["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    price = rows["price"].astype("float64")
    return [Event(*row) for row in zip(rows["item_id"], rows["kind"], seconds, price, strict=True)]


def items(options: argparse.Namespace) -> list[Item]:
    """Those that --item names, with all that the tables say of them."""
    from tfrec.data.lookup import read_items
    from tfrec.schema import read_table_set

    tables = read_table_set(options.tables)
    rows = read_items(tables, options.item)
    for item_id in options.item:
        if item_id not in rows.index:
            raise DataError(f"item {item_id!r} is not in {tables.root}; take an id of its items")
    return [
        _item(item_id, rows.loc[item_id].dropna().to_dict(), tables.manifest.item_columns) for item_id in options.item
    ]


def _item(item_id: str, known: dict[str, Any], further: Sequence[str]) -> Item:
    from serving.client import Item

    fields = {name: known[name] for name in ("description", "category", "brand", "price") if name in known}
    attributes = {column: known[column] for column in further if column in known}
    return Item(known.get("title", ""), item_id, attributes=attributes, **fields)
