"""One user, or a few items, out of the partitioned tables: reads the one partition that holds them.

For the command line and the demo, which look at single users; training never does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow.parquet as pq

from tfrec.errors import DataError
from tfrec.schema import TableSet, partition_of


@dataclasses.dataclass(frozen=True)
class User:
    """What the shop knows of a user."""

    user_id: str
    profile: Mapping[str, str]  # profile column -> value; unknown ones are left out
    history: pd.DataFrame  # the columns of schema.INTERACTIONS, oldest event first

    def until(self, seconds: int) -> User:
        """The user as known before a moment, in seconds since the epoch."""
        return dataclasses.replace(self, history=self.history[~self._is_since(seconds)])

    def since(self, seconds: int) -> pd.DataFrame:
        """The events of that moment and later."""
        return self.history[self._is_since(seconds)]

    def _is_since(self, seconds: int) -> pd.Series:
        return self.history["timestamp"] >= pd.Timestamp(seconds, unit="s", tz="UTC")


def read_user(tables: TableSet, user_id: str) -> User:
    """The user's profile and history; DataError when the tables do not hold one or the other."""
    part = int(partition_of(pd.Series([user_id]), tables.manifest.partitions)[0])
    history = _rows(tables, "interactions", part, "user_id", [user_id])
    profiles = _rows(tables, "users", part, "user_id", [user_id])
    if history.empty and profiles.empty:
        raise DataError(
            f"user {user_id!r} is not in {tables.root}; take an id of its users, or name another shop's tables"
        )
    profile = (
        {}
        if profiles.empty
        else {str(name): str(value) for name, value in profiles.iloc[0].drop("user_id").dropna().items()}
    )
    return User(user_id, profile, history.sort_values("timestamp", kind="stable", ignore_index=True))


def read_items(tables: TableSet, item_ids: Iterable[str]) -> pd.DataFrame:
    """The rows of the items table, by item_id; ids that it does not hold are left out."""
    wanted = pd.Series(sorted(set(item_ids)), dtype=object)
    parts = partition_of(wanted, tables.manifest.partitions)
    found = [_rows(tables, "items", int(p), "item_id", list(wanted[parts == p])) for p in sorted(set(parts))]
    return pd.concat(found, ignore_index=True).set_index("item_id") if found else pd.DataFrame()


def _rows(tables: TableSet, table: str, part: int, column: str, ids: list[str]) -> pd.DataFrame:
    return pq.read_table(tables.part(table, part), filters=[(column, "in", ids)]).to_pandas()
