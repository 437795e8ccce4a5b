"""Schema of a shop's tables: columns, event kinds, units and layout on disk.

A *table set* is a folder written by `tfrec ingest`:

    manifest.json              names the current snapshot; replaced by one atomic rename
    snapshots/<id>/
      interactions/part-00000-of-00016.parquet   by a hash of user_id, sorted by user and time
      users/part-00000-of-00016.parquet          by the same hash of user_id
      items/part-00000-of-00016.parquet          by a hash of item_id
      item_states/, reviews/                     by the same hash, only where a shop has them
      rejected/<table>.parquet                   dropped rows, each with its rule

`<id>` is a hash of the content: the same raw data gives the same snapshot.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.config import Clock, EventKind
from tfrec.errors import DataError

POSITIVE_KINDS: tuple[EventKind, ...] = get_args(EventKind)
"""User actions that speak for an item, targets and labels; only `search` may lack an item_id."""

NEGATIVE_KINDS = ("dislike", "return")
"""User actions that speak against an item: histories hold them, no target or label has them."""

EVENT_KINDS = (*POSITIVE_KINDS, *NEGATIVE_KINDS)
"""Kinds that histories hold; preprocessing.kind_index numbers them in this order."""

RECORDED_KINDS = ("impression",)
"""Kinds that the tables hold and no model reads yet: no history, target or label has them."""

KINDS = (*EVENT_KINDS, *RECORDED_KINDS)

CLOCKS: tuple[Clock, ...] = get_args(Clock)
"""`utc`: real timestamps. `order`: the data has only an order, event n gets second n of 1970."""

CATEGORY_SEPARATOR = " > "
DAY_SECONDS = 86_400

INTERACTIONS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string()),  # null for a search
        pa.field("kind", pa.string(), nullable=False),  # one of KINDS
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("quantity", pa.float32()),
        pa.field("price", pa.float32()),  # per unit, in the shop's currency
        pa.field("query", pa.string()),  # the search before this event, or the search itself
        pa.field("session", pa.string()),
        pa.field("position", pa.int32()),  # rank on the page where the item was shown, from 0
    ]
)

FEEDBACK = pa.schema(
    [
        pa.field("rating", pa.float32()),  # the user's, in the shop's scale
        pa.field("dwell_seconds", pa.float32()),
        pa.field("answer_id", pa.string()),  # the recommendation that showed the item
    ]
)
"""Columns of interactions that are stored only where a shop has them.

Columns of the context may follow, such as store and device; they are strings.
"""

ITEMS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),  # "" if the item has no description
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),  # a path, widest first: "Food > Pasta > Dry"
        pa.field("brand", pa.string()),
        pa.field("price", pa.float32()),
    ]
)
"""Further columns may follow: strings, float32 numbers and vectors (lists of float32)."""

USERS = pa.schema([pa.field("user_id", pa.string(), nullable=False)])
"""Profile columns follow; they are strings (one category each), null where unknown.

Float32 numbers and vectors may follow them.
"""

ITEM_STATES = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("from", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("until", pa.timestamp("ms", tz="UTC")),  # null: until the next state
        pa.field("price", pa.float32()),
        pa.field("in_stock", pa.bool_()),
        pa.field("promotion", pa.string()),  # such as "mailer"; null without one
        pa.field("store", pa.string()),  # null: in all stores
    ]
)
"""Price, stock and promotion of an item over time."""

REVIEWS = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC")),
        pa.field("stars", pa.float32()),
        pa.field("text", pa.string()),
    ]
)

TABLES = {"interactions": INTERACTIONS, "items": ITEMS, "users": USERS}

DATED_TABLES = {"item_states": ITEM_STATES, "reviews": REVIEWS}
"""Tables that a table set holds only where a shop has them; no model uses reviews yet."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Contents of `manifest.json`: the current snapshot."""

    snapshot: str  # folder name under snapshots/, a hash of the tables' content
    source: str  # "complete-journey", "movielens" or the name of the mapping file
    clock: Clock
    partitions: int
    rows: dict[str, int]  # table name -> rows kept
    first_timestamp: int  # of the first interaction of POSITIVE_KINDS, seconds since the epoch
    last_timestamp: int
    profile_columns: tuple[str, ...]  # of the users table, user_id excluded; strings
    item_columns: tuple[str, ...]  # of the items table beyond ITEMS; strings
    rules: list[dict[str, Any]]
    """{"table", "rule", "dropped", "kept", "changed"} of each rule, in the order applied."""
    interaction_columns: tuple[str, ...] = ()  # of the interactions table beyond INTERACTIONS
    item_numbers: tuple[str, ...] = ()
    item_vectors: tuple[str, ...] = ()
    user_numbers: tuple[str, ...] = ()
    user_vectors: tuple[str, ...] = ()
    model_data: str = ""
    """Hash of interactions, users and items, which every model reads; "": `snapshot`."""

    def content(self, *, item_states: bool) -> str:
        """Hash of the tables that a model reads, with or without item_states."""
        return self.snapshot if item_states or not self.model_data else self.model_data


@dataclasses.dataclass(frozen=True)
class TableSet:
    """A folder of ingested tables and its manifest."""

    root: Path
    manifest: Manifest

    @property
    def snapshot(self) -> Path:
        """Folder of the current tables."""
        return self.root / "snapshots" / self.manifest.snapshot

    def part(self, table: str, index: int) -> Path:
        """Parquet file of one partition of a table."""
        return self.snapshot / table / part_name(index, self.manifest.partitions)

    def parts(self, table: str) -> list[Path]:
        """Parquet files of all partitions of a table, in order."""
        return [self.part(table, index) for index in range(self.manifest.partitions)]


def read_table_set(root: str | Path) -> TableSet:
    """Read the manifest in `root`; DataError if it is missing, damaged or of a newer tfrec."""
    root = Path(root)
    path = root / "manifest.json"
    try:
        return TableSet(root, _parse_manifest(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(
            f"{root} holds no ingested tables (no manifest.json); run `tfrec ingest` into it first"
        ) from None
    except (OSError, ValueError, TypeError) as error:  # a JSONDecodeError is a ValueError
        raise DataError(
            f"{path} is damaged or of another version of tfrec ({error}); run `tfrec ingest` again, which replaces it"
        ) from None


def _parse_manifest(text: str) -> Manifest:
    raw = json.loads(text)
    if not isinstance(raw, dict):
        raise ValueError(f"a {type(raw).__name__} instead of an object")
    fields = {field.name: field for field in dataclasses.fields(Manifest)}
    unknown = [name for name in raw if name not in fields]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    lists = {name: tuple(raw[name]) for name in raw if str(fields[name].type).startswith("tuple")}
    return Manifest(**raw | lists)


def part_name(index: int, partitions: int) -> str:
    """File name of a partition: "part-00003-of-00016.parquet"."""
    return f"part-{index:05d}-of-{partitions:05d}.parquet"


def partition_of(ids: pd.Series, partitions: int) -> np.ndarray:
    """[rows] int64 partition of each id, the same on every machine and in every Python version."""
    hashes = pd.util.hash_array(ids.to_numpy(dtype=object), categorize=True)
    return (hashes % np.uint64(partitions)).astype(np.int64)
