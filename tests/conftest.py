"""Fixtures of all tests: a hand-written shop (6 users, 8 items, 24 interactions) and toy models."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tfrec  # noqa: F401  before TensorFlow
from tfrec.schema import INTERACTIONS, ITEMS, USERS, Manifest, TableSet, part_name, partition_of

# With the default split the test window is 2024-03-04 to 2024-03-31; the validation window is the
# 28 days before it, from 2024-02-05. ann's first two events are one basket; bob searches; fern is a
# cold item and fay a new user, with events in the test window only; dee has training events only.
#   user   item     kind        timestamp           quantity price  query       session position
SHOP_INTERACTIONS = [
    ("ann", "pasta", "purchase", "2024-01-05 10:00:00", 1.0, 1.5, None, "a1", None),
    ("ann", "sauce", "purchase", "2024-01-05 10:00:00", 2.0, 2.5, None, "a1", None),
    ("ann", "tea", "view", "2024-01-20 09:00:00", None, None, None, "a2", None),
    ("ann", "tea", "purchase", "2024-02-10 18:00:00", 1.0, 8.0, None, "a3", None),
    ("ann", "pasta", "purchase", "2024-03-10 10:00:00", 1.0, 1.75, None, "a4", None),
    ("ann", "fern", "purchase", "2024-03-20 10:00:00", 1.0, 12.0, None, "a5", None),
    ("bob", None, "search", "2024-01-08 20:00:00", None, None, "green tea", "b1", None),
    ("bob", "tea", "click", "2024-01-08 20:01:00", None, None, None, "b1", 0),
    ("bob", "mug", "cart", "2024-01-08 20:02:00", 1.0, 6.0, None, "b1", None),
    ("bob", "mug", "purchase", "2024-02-20 12:00:00", 1.0, 6.0, None, "b2", None),
    ("cai", "lamp", "view", "2024-01-10 08:00:00", None, None, "desk lamp", None, 3),
    ("cai", "lamp", "purchase", "2024-01-12 08:00:00", 1.0, 30.0, None, None, None),
    ("cai", "book", "purchase", "2024-01-30 08:00:00", 1.0, 9.5, None, None, None),
    ("cai", "soap", "purchase", "2024-03-05 08:00:00", 3.0, 2.0, None, None, None),
    ("dee", "book", "rating", "2024-01-15 12:00:00", None, None, None, None, None),
    ("dee", "soap", "purchase", "2024-01-16 12:00:00", 1.0, 2.0, None, None, None),
    ("eve", "soap", "purchase", "2024-01-25 07:00:00", 1.0, 2.0, None, "e1", None),
    ("eve", "soap", "purchase", "2024-02-15 07:00:00", 1.0, 2.0, None, "e2", None),
    ("eve", "soap", "purchase", "2024-03-15 07:00:00", 1.0, 2.0, None, "e3", None),
    ("eve", "mug", "view", "2024-03-15 07:05:00", None, None, None, "e3", None),
    ("fay", "tea", "click", "2024-03-25 21:00:00", None, None, None, "f1", 1),
    ("fay", "mug", "click", "2024-03-25 21:05:00", None, None, None, "f1", 2),
    ("fay", "tea", "purchase", "2024-03-31 12:00:00", 1.0, 8.0, None, "f2", None),
    ("fay", "fern", "purchase", "2024-03-31 12:00:00", 1.0, 12.0, None, "f2", None),
]

#   item_id  title             description               category         brand  price  maker
SHOP_ITEMS = [
    ("pasta", "Penne, 500 g", "Durum wheat", "Food > Pasta > Dry", "Molino", 1.5, "M1"),
    ("sauce", "Tomato sauce", None, "Food > Pasta > Sauce", "Molino", 2.5, "M1"),
    ("tea", "西湖龙井 绿茶", "Green tea from Hangzhou", "Food > Drinks", None, 8.0, None),
    ("mug", 'Mug "Blue"', "Holds 300 ml", "Home > Kitchen", "Clay & Co", 6.0, "M2"),
    ("lamp", "Desk lamp", "LED, warm white", "Home > Light", "Lumen", 30.0, "M2"),
    ("book", "Learning to cook", None, "Books", None, 9.5, None),
    ("soap", "Soap", None, None, None, 2.0, None),
    ("fern", "Fern in a pot", "Likes shade", "Home > Plants", None, None, None),
]

#   user_id age      city; eve has no row
SHOP_USERS = [
    ("ann", "25-34", "Lyon"),
    ("bob", "35-44", None),
    ("cai", "25-34", "杭州"),
    ("dee", None, "Lyon"),
    ("fay", "18-24", "Bern"),
]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow each test of the shop after Transform: the first one waits 20 seconds for it."""
    if "transformed_shop" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.slow)


class WriteTables(Protocol):
    """Writer of table sets; rows are tuples in the schema's column order, timestamps UTC text."""

    def __call__(
        self,
        root: Path,
        interactions: list[tuple] = ...,
        items: list[tuple] = ...,
        users: list[tuple] = ...,
        profile_columns: tuple[str, ...] = ...,
        item_columns: tuple[str, ...] = ...,
        clock: str = ...,
        partitions: int = ...,
    ) -> TableSet: ...


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """The shop as a table set of 2 partitions. Read-only; `write_tables` writes another copy."""
    return _write_tables(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def write_tables() -> WriteTables:
    """Function that writes the shop, or other rows, as a table set."""
    return _write_tables


def _write_tables(
    root: Path,
    interactions: list[tuple] = SHOP_INTERACTIONS,
    items: list[tuple] = SHOP_ITEMS,
    users: list[tuple] = SHOP_USERS,
    profile_columns: tuple[str, ...] = ("age", "city"),
    item_columns: tuple[str, ...] = ("maker",),
    clock: str = "utc",
    partitions: int = 2,
) -> TableSet:
    profile_fields = [pa.field(name, pa.string()) for name in profile_columns]
    item_fields = [pa.field(name, pa.string()) for name in item_columns]
    frames = {
        "interactions": _frame(interactions, INTERACTIONS),
        "items": _frame(items, pa.schema([*ITEMS, *item_fields])),
        "users": _frame(users, pa.schema([*USERS, *profile_fields])),
    }
    seconds = frames["interactions"]["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    content = repr([frame.to_dict("list") for frame in frames.values()])
    manifest = Manifest(
        snapshot=hashlib.sha256(content.encode()).hexdigest()[:16],
        source="by hand",
        clock=clock,
        partitions=partitions,
        rows={name: len(frame) for name, frame in frames.items()},
        first_timestamp=int(seconds.min()),
        last_timestamp=int(seconds.max()),
        profile_columns=profile_columns,
        item_columns=item_columns,
        rules=[],
    )
    tables = TableSet(root, manifest)
    _write_parts(tables, frames["interactions"].sort_values(["user_id", "timestamp"], kind="stable"), "interactions")
    _write_parts(tables, frames["items"], "items")
    _write_parts(tables, frames["users"], "users")
    (root / "manifest.json").write_text(json.dumps(dataclasses.asdict(manifest)), encoding="utf-8")
    return tables


def _frame(rows: list[tuple], schema: pa.Schema) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=schema.names)
    frame.attrs["schema"] = schema
    if "timestamp" in frame:
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True).astype("datetime64[ms, UTC]")
    return frame


def _write_parts(tables: TableSet, frame: pd.DataFrame, table: str) -> None:
    partitions = tables.manifest.partitions
    partition = partition_of(frame["item_id" if table == "items" else "user_id"], partitions)
    (tables.snapshot / table).mkdir(parents=True)
    for index in range(partitions):
        part = pa.Table.from_pandas(frame[partition == index], frame.attrs["schema"], preserve_index=False)
        pq.write_table(part, tables.snapshot / table / part_name(index, partitions))


# Toy data with a known result. In the test window ann and bob, who bought tea, buy the mug; cai,
# who bought a book, buys the pen. Users in the 28 days before: tea 3, book 2, mug 1, pen 0. So
# recent popularity ranks mug third, third and pen fourth: NDCG 1/log2(4) = 0.5, 0.5 and 1/log2(5) =
# 0.4307, mean 0.4769.
TOY_ITEMS = ("tea", "mug", "book", "pen")
TOY_START = 20_000 * 86_400  # first second of the test window, a midnight
#                                     (item, days from TOY_START, is_target)
TOY_EXAMPLES: dict[str, dict[str, list[tuple[str, float, int]]]] = {
    "train": {
        "ann": [("tea", -12, 1)],
        "bob": [("tea", -12, 1)],
        "cai": [("book", -12, 1)],
        "dee": [("tea", -12, 1), ("book", -11, 1)],
    },
    "validation": {"dee": [("tea", -12, 0), ("book", -11, 0), ("mug", -5, 1)]},
    "test": {
        "cai": [("book", -12, 0), ("pen", 0.5, 1)],
        "ann": [("tea", -12, 0), ("mug", 1.5, 1)],
        "bob": [("tea", -12, 0), ("mug", 2.5, 1)],
    },
}
# Score that each toy gives to an item for another item in the history. `wise` ranks the target
# first: NDCG 1. `half` ranks it behind the history's item: 1/log2(3) = 0.6309. `wrong` ranks it
# last of 4: 0.4307. An item scores -9 for itself, so a leak of the test window would rank the
# target last.
TOYS = {
    "wise": {("tea", "mug"): 1.0, ("book", "pen"): 1.0, ("mug", "mug"): -9.0, ("pen", "pen"): -9.0},
    "half": {("tea", "tea"): 2.0, ("tea", "mug"): 1.0, ("book", "book"): 2.0, ("book", "pen"): 1.0},
    "wrong": {("tea", "mug"): -1.0, ("book", "pen"): -1.0},
}


@pytest.fixture(scope="session")
def write_records() -> Callable[[Path, list[dict[str, list[Any]]]], None]:
    """Function that writes a split of examples as ExampleGen does: feature -> values of each."""
    return _write_records


@pytest.fixture(scope="session")
def toy_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TOY_EXAMPLES and the catalog, as ExampleGen writes them."""
    root = tmp_path_factory.mktemp("toy_examples")
    for split, users in TOY_EXAMPLES.items():
        _write_records(root / f"Split-{split}", [_toy_example(user, events) for user, events in users.items()])
    _write_records(root / "Split-catalog", [{"item_id": [item]} for item in TOY_ITEMS])
    return root


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> SavedModel with golden requests: wise, half and wrong. Read-only."""
    root = tmp_path_factory.mktemp("toys")
    return {name: _save_toy(root / name, likes) for name, likes in TOYS.items()}


def _toy_example(user: str, events: list[tuple[str, float, int]]) -> dict[str, list[Any]]:
    return {
        "user_id": [user],
        "event_item_id": [item for item, _, _ in events],
        "event_kind": ["purchase" for _ in events],
        "event_timestamp": [TOY_START + int(day * 86_400) for _, day, _ in events],
        "event_price": [0.0 for _ in events],
        "event_is_target": [is_target for _, _, is_target in events],
    }


def _write_records(folder: Path, examples: list[dict[str, list[Any]]]) -> None:
    import tensorflow as tf

    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for columns in examples:
            example = tf.train.Example()
            for name, values in columns.items():
                feature = example.features.feature[name]
                if isinstance(values[0], str):
                    feature.bytes_list.value.extend(value.encode() for value in values)
                else:
                    (feature.int64_list if isinstance(values[0], int) else feature.float_list).value.extend(values)
            writer.write(example.SerializeToString())


def _save_toy(folder: Path, likes: dict[tuple[str, str], float]) -> Path:
    import tensorflow as tf

    ids = ["", *TOY_ITEMS]
    matrix = np.zeros((5, 5), np.float32)
    for (bought, target), value in likes.items():
        matrix[ids.index(bought), ids.index(target)] = value
    toy = tf.Module()
    toy.item_ids, toy.candidates, toy.likes = tf.Variable(ids), tf.Variable(tf.eye(5)), tf.Variable(matrix)

    def embed_query(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embed a query at the start of the test window; at other times the embedding is 0."""
        bought = tf.reduce_sum(tf.cast(inputs["event_item_id"][:, :, None] == toy.item_ids, tf.float32), axis=1)
        is_start = tf.cast(inputs["timestamp"] == TOY_START, tf.float32)
        return {"embedding": is_start[:, None] * tf.matmul(bought, toy.likes)}

    request = {
        "event_item_id": np.array([[b"tea"], [b"book"]], object),
        "event_kind": np.array([[b"purchase"]] * 2, object),
        "event_timestamp": np.zeros((2, 1), np.int64),
        "event_price": np.zeros((2, 1), np.float32),
        "timestamp": np.array([TOY_START] * 2),
        "user_id": np.array([b""] * 2, object),
        "query": np.array([b""] * 2, object),
    }
    specs = {
        name: tf.TensorSpec([None] * value.ndim, tf.as_dtype(value.dtype) if value.dtype != object else tf.string, name)
        for name, value in request.items()
    }
    tf.saved_model.save(toy, str(folder), {"embed_query": tf.function(embed_query).get_concrete_function(**specs)})
    tensors = {
        f"embed_query/in/{name}": value.astype("S") if value.dtype == object else value
        for name, value in request.items()
    }
    tensors["embed_query/out/embedding"] = matrix[[ids.index("tea"), ids.index("book")]]
    (folder / "assets.extra").mkdir()
    np.savez(folder / "assets.extra" / "tfrec_golden_requests.npz", **tensors)
    return folder
