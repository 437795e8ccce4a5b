"""Look up users and items in the partitioned tables, reading only the partitions needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow.parquet as pq

from tfrec.errors import DataError
from tfrec.schema import EVENT_KINDS, TableSet, partition_of


@dataclasses.dataclass(frozen=True)
class User:
    """A user's profile and history."""

    user_id: str
    profile: Mapping[str, str]  # profile column -> value; unknown ones are left out
    history: pd.DataFrame  # the columns of schema.INTERACTIONS, events of EVENT_KINDS, oldest first

    def until(self, timestamp: int) -> User:
        """Return the user with the events before a timestamp (seconds since the epoch)."""
        return dataclasses.replace(self, history=self.history[~self._is_since(timestamp)])

    def since(self, timestamp: int) -> pd.DataFrame:
        """Return the events at or after a timestamp (seconds since the epoch)."""
        return self.history[self._is_since(timestamp)]

    def _is_since(self, timestamp: int) -> pd.Series:
        return self.history["timestamp"] >= pd.Timestamp(timestamp, unit="s", tz="UTC")


def read_user(tables: TableSet, user_id: str) -> User:
    """Read a user's profile and history; DataError if the tables hold neither."""
    part = int(partition_of(pd.Series([user_id]), tables.manifest.partitions)[0])
    history = _read_rows(tables, "interactions", part, "user_id", [user_id])
    history = history[history["kind"].isin(EVENT_KINDS)]
    profiles = _read_rows(tables, "users", part, "user_id", [user_id])
    if history.empty and profiles.empty:
        raise DataError(f"user {user_id!r} is not in {tables.root}; give a user id of these tables, or other tables")
    values = () if profiles.empty else profiles.iloc[0][list(tables.manifest.profile_columns)].dropna().items()
    profile = {str(name): str(value) for name, value in values}
    return User(user_id, profile, history.sort_values("timestamp", kind="stable", ignore_index=True))


def read_items(tables: TableSet, item_ids: Iterable[str]) -> pd.DataFrame:
    """Read rows of the items table, indexed by item_id; unknown ids are left out."""
    ids = pd.Series(sorted(set(item_ids)), dtype=object)
    parts = partition_of(ids, tables.manifest.partitions)
    rows = [_read_rows(tables, "items", int(p), "item_id", list(ids[parts == p])) for p in sorted(set(parts))]
    return pd.concat(rows, ignore_index=True).set_index("item_id") if rows else pd.DataFrame()


def _read_rows(tables: TableSet, table: str, part: int, column: str, ids: list[str]) -> pd.DataFrame:
    return pq.read_table(tables.part(table, part), filters=[(column, "in", ids)]).to_pandas()
