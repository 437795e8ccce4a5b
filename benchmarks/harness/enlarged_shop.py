"""A real shop enlarged with equal distributions: N times the users and events, √N times the items.

Each copy of a user keeps the original's timestamps, basket sizes, repeats and prices. Each item has
several makers, and each copy of all users buys an item from one of them, drawn at random. So repeat
purchases, the shape of popularity and copurchases stay. Titles name the maker, so distinct texts
grow with the items. The shop is Parquet files and a mapping, for `tfrec ingest`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tfrec.schema import EVENT_KINDS, TableSet


def write_enlarged_shop(tables: TableSet, factor: int, folder: Path, seed: int = 0) -> Path:
    """Write the enlarged shop to `folder` unless it exists, and return the path of its mapping."""
    mapping = folder / "mapping.yaml"
    if mapping.exists():
        return mapping
    random = np.random.default_rng(seed)
    makers = round(factor**0.5)
    for name in ("interactions", "items", "users"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    items, users, events = (_read_table(tables, name) for name in ("items", "users", "interactions"))
    for maker in range(makers):
        pq.write_table(_make_variant(items, maker), folder / "items" / f"{maker}.parquet")
    item_ids = events["item_id"].combine_chunks().dictionary_encode()
    for copy in range(factor):
        drawn = random.integers(0, makers, len(item_ids.dictionary)).astype(str)
        variants = _add_suffix(item_ids.dictionary, pa.array(drawn))
        bought = pa.DictionaryArray.from_arrays(item_ids.indices, variants).cast(pa.string())
        copied_events = _replace_column(
            _replace_column(events, "item_id", bought), "user_id", _add_suffix(events["user_id"], str(copy))
        )
        pq.write_table(copied_events, folder / "interactions" / f"{copy}.parquet")
        copied_users = _replace_column(users, "user_id", _add_suffix(users["user_id"], str(copy)))
        pq.write_table(copied_users, folder / "users" / f"{copy}.parquet")
    # Last: the mapping marks the shop as complete.
    mapping.write_text(yaml.safe_dump(_make_mapping(tables)), encoding="utf-8")
    return mapping


def _read_table(tables: TableSet, name: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in tables.parts(name))


def _make_variant(items: pa.Table, maker: int) -> pa.Table:
    title = pc.binary_join_element_wise(items["title"], f"no. {maker}", " ") if maker else items["title"]
    return _replace_column(_replace_column(items, "item_id", _add_suffix(items["item_id"], str(maker))), "title", title)


def _add_suffix(ids: pa.Array, suffix: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(ids, suffix, "-")


def _replace_column(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _make_mapping(tables: TableSet) -> dict[str, object]:
    """Make a mapping with unchanged column names."""
    events = ("user_id", "item_id", "kind", "timestamp", "quantity", "price", "query", "session", "position")
    items = ("item_id", "title", "description", "category", "brand", "price")
    return {
        "interactions": {
            "path": "interactions/*.parquet",
            "columns": {name: name for name in events},
            "kinds": {kind: kind for kind in EVENT_KINDS},
        },
        "items": {
            "path": "items/*.parquet",
            "columns": {name: name for name in items},
            "extra": list(tables.manifest.item_columns),
        },
        "users": {
            "path": "users/*.parquet",
            "columns": {"user_id": "user_id"},
            "profile": list(tables.manifest.profile_columns),
        },
    }
