"""A real shop made larger, its distributions kept: N times its shoppers and events, the root of N times its items.

Each copy of a shopper has the original's moments, basket sizes, repeats and prices. Of every product there are several
makers, and a copy of all shoppers buys each product of one of them, drawn afresh: who bought something twice still
does, popularity keeps its shape and what is bought together stays so. Titles name the maker: distinct texts grow with
the items. Written as Parquet with a mapping beside, so that `tfrec ingest` reads it as it reads anybody's files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tfrec.schema import EVENT_KINDS, TableSet


def grow(tables: TableSet, factor: int, folder: Path, seed: int = 0) -> Path:
    """The mapping of the larger shop in `folder`; nothing is written where it is there."""
    mapping = folder / "mapping.yaml"
    if mapping.exists():
        return mapping
    random = np.random.default_rng(seed)
    makers = round(factor**0.5)
    for name in ("interactions", "items", "users"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    items, users, events = (_read(tables, name) for name in ("items", "users", "interactions"))
    for maker in range(makers):
        pq.write_table(_made_by(items, maker), folder / "items" / f"{maker}.parquet")
    product = events["item_id"].combine_chunks().dictionary_encode()
    for copy in range(factor):
        drawn = random.integers(0, makers, len(product.dictionary)).astype(str)
        made = _suffixed(product.dictionary, pa.array(drawn))
        bought = pa.DictionaryArray.from_arrays(product.indices, made).cast(pa.string())
        grown = _set(_set(events, "item_id", bought), "user_id", _suffixed(events["user_id"], str(copy)))
        pq.write_table(grown, folder / "interactions" / f"{copy}.parquet")
        theirs = _set(users, "user_id", _suffixed(users["user_id"], str(copy)))
        pq.write_table(theirs, folder / "users" / f"{copy}.parquet")
    mapping.write_text(yaml.safe_dump(_mapping(tables)), encoding="utf-8")  # last: it says that all is there
    return mapping


def _read(tables: TableSet, name: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in tables.parts(name))


def _made_by(items: pa.Table, maker: int) -> pa.Table:
    title = pc.binary_join_element_wise(items["title"], f"no. {maker}", " ") if maker else items["title"]
    return _set(_set(items, "item_id", _suffixed(items["item_id"], str(maker))), "title", title)


def _suffixed(ids: pa.Array, suffix: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(ids, suffix, "-")


def _set(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _mapping(tables: TableSet) -> dict[str, object]:
    """Every column by its own name."""
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
