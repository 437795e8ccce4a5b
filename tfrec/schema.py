"""The nouns of a shop: three tables, their columns, event kinds and units, and where they lie on disk.

A *table set* is a folder written by `tfrec ingest`:

    manifest.json                     names the snapshot in force; replaced by one atomic rename
    snapshots/<id>/interactions/part-00000-of-00016.parquet   by a hash of user_id, sorted by user and time
    snapshots/<id>/users/part-00000-of-00016.parquet          by the same hash of user_id
    snapshots/<id>/items/part-00000-of-00016.parquet          by a hash of item_id
    snapshots/<id>/rejected/<table>.parquet                   dropped rows, each with its rule

`<id>` is a hash of the content: the same raw data gives the same snapshot. It knows nothing of how a
shop's own files are read (ingest.py) nor of what is learnt from them.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.errors import DataError

EVENT_KINDS = ("view", "click", "cart", "purchase", "rating", "search")
"""What a user can do, weakest intent first where there is an order; `search` may lack an item_id."""

Clock = Literal["utc", "order"]
"""`utc`: timestamps are real. `order`: the data has only an order; second n of 1970 stands for event n."""
CLOCKS: tuple[Clock, ...] = get_args(Clock)

CATEGORY_SEPARATOR = " > "
DAY_SECONDS = 86_400

INTERACTIONS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string()),  # null for a search
        pa.field("kind", pa.string(), nullable=False),  # one of EVENT_KINDS
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("quantity", pa.float32()),
        pa.field("price", pa.float32()),  # of one unit, in the shop's currency
        pa.field("query", pa.string()),  # the search that led here, or the search itself
        pa.field("session", pa.string()),
        pa.field("position", pa.int32()),  # rank on the page where the item was shown, from 0
    ]
)

ITEMS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),  # "" when the shop never described the item
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),  # a path, widest first: "Food > Pasta > Dry"
        pa.field("brand", pa.string()),
        pa.field("price", pa.float32()),
    ]
)
"""Further columns may follow; all are strings."""

USERS = pa.schema([pa.field("user_id", pa.string(), nullable=False)])
"""Profile columns follow; all are strings (a category each), null where unknown."""

TABLES = {"interactions": INTERACTIONS, "items": ITEMS, "users": USERS}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says of the snapshot in force."""

    snapshot: str  # folder name under snapshots/, a hash of the tables' content
    source: str  # "complete-journey", "movielens", or the mapping file's name
    clock: Clock
    partitions: int
    rows: dict[str, int]  # table name -> rows kept
    first_timestamp: int  # seconds since the epoch, of the first interaction
    last_timestamp: int
    profile_columns: tuple[str, ...]  # of the users table, user_id excluded
    item_columns: tuple[str, ...]  # of the items table beyond ITEMS
    rules: list[dict[str, Any]]  # {"table", "rule", "dropped", "kept", "changed"} in the order applied


@dataclasses.dataclass(frozen=True)
class TableSet:
    """An ingested shop: the folder and its manifest."""

    root: Path
    manifest: Manifest

    @property
    def snapshot(self) -> Path:
        """The folder of the tables in force."""
        return self.root / "snapshots" / self.manifest.snapshot

    def part(self, table: str, index: int) -> Path:
        """The Parquet file of one partition of one table."""
        return self.snapshot / table / part_name(index, self.manifest.partitions)

    def parts(self, table: str) -> list[Path]:
        """Every partition of one table, in order."""
        return [self.part(table, index) for index in range(self.manifest.partitions)]


def read_table_set(root: str | Path) -> TableSet:
    """The table set in `root`; DataError when nothing was ingested there."""
    root = Path(root)
    path = root / "manifest.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{root} holds no ingested tables (no manifest.json); run `tfrec ingest` into it first"
        ) from None
    raw["profile_columns"] = tuple(raw["profile_columns"])
    raw["item_columns"] = tuple(raw["item_columns"])
    return TableSet(root, Manifest(**raw))


def part_name(index: int, partitions: int) -> str:
    """The file name of a partition: "part-00003-of-00016.parquet"."""
    return f"part-{index:05d}-of-{partitions:05d}.parquet"


def partition_of(ids: pd.Series, partitions: int) -> np.ndarray:
    """[rows] int64 partition of each id: equal on every machine, in every process and version of Python."""
    hashes = pd.util.hash_array(ids.to_numpy(dtype=object), categorize=True)
    return (hashes % np.uint64(partitions)).astype(np.int64)
