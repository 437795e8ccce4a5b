"""ExampleGen's records read back into tables: the events of a split, the items of the catalog.

A split is a folder of TFRecords of tf.train.Example, gzipped where the name ends in .gz. TensorFlow
reads the records and is imported on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR

_BATCH = 1024  # examples parsed at once


def read_targets(examples_dir: str | Path, split: str) -> pd.DataFrame:
    """Target events of a split: user_id, item_id, kind (str), timestamp (seconds).

    An event without an item (a search) has item_id "". Raises DataError when the split is missing
    or unreadable.
    """
    batches = list(_parsed(examples_dir, split, _target_features(), _keep_targets))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]} if batches else {}
    return pd.DataFrame(
        {
            "user_id": _decoded(columns.get("user_id", [])),
            "item_id": _decoded(columns.get("item_id", [])),
            "kind": _decoded(columns.get("kind", [])),
            "timestamp": np.asarray(columns.get("timestamp", []), np.int64),
        }
    )


def read_events(examples_dir: str | Path, split: str) -> pd.DataFrame:
    """All events of a split's examples, in their order.

    Columns: user_id, item_id, kind, timestamp, is_target, example (number). Raises DataError when
    the split is missing or unreadable.
    """
    import tensorflow as tf

    def flat(parsed: dict[str, Any]) -> dict[str, Any]:
        lengths = parsed["event_is_target"].row_lengths()
        return {
            "user_id": tf.repeat(parsed["user_id"], lengths),
            "example": tf.repeat(tf.range(tf.shape(lengths, tf.int64)[0]), lengths),
            "examples": tf.shape(lengths, tf.int64),
        } | {name.removeprefix("event_"): value.values for name, value in parsed.items() if name != "user_id"}

    batches = list(_parsed(examples_dir, split, _target_features(), flat))
    first = np.cumsum([0, *(batch.pop("examples")[0] for batch in batches)])
    parts = [pd.DataFrame(batch) for batch in batches]
    names = ["user_id", "item_id", "kind", "timestamp", "is_target", "example"]
    events = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in names})
    events["example"] += np.repeat(first[:-1], [len(part) for part in parts]) if parts else 0
    for name in ("user_id", "item_id", "kind"):
        events[name] = _decoded(events[name])
    return events.astype({"is_target": bool, "timestamp": np.int64, "example": np.int64})[names]


def read_catalog(examples_dir: str | Path) -> np.ndarray:
    """Sorted item ids [items] str. Raises DataError when missing, broken or repeating an id."""
    import tensorflow as tf

    features = {"item_id": tf.io.FixedLenFeature([], tf.string)}
    batches = [batch["item_id"] for batch in _parsed(examples_dir, "catalog", features, lambda parsed: parsed)]
    ids = np.sort(_decoded(np.concatenate(batches) if batches else []))
    is_duplicate = pd.Index(ids).duplicated()
    if is_duplicate.any():
        raise DataError(
            f"the catalog holds item {ids[is_duplicate][0]!r} twice; run `tfrec ingest` and ExampleGen again"
        )
    return ids


def read_state_times(examples_dir: str | Path) -> pd.DataFrame:
    """Changes of the items' states, in the catalog's order: item_id and timestamp (seconds)."""
    import tensorflow as tf

    features = {"item_id": tf.io.FixedLenFeature([], tf.string), "state_from": tf.io.RaggedFeature(tf.int64)}

    def flat(parsed: dict[str, Any]) -> dict[str, Any]:
        changes = parsed["state_from"]
        return {"item_id": tf.repeat(parsed["item_id"], changes.row_lengths()), "timestamp": changes.values}

    batches = list(_parsed(examples_dir, "catalog", features, flat))
    item_id = _decoded(np.concatenate([batch["item_id"] for batch in batches] or [[]]))
    times = np.concatenate([batch["timestamp"] for batch in batches] or [np.empty(0, np.int64)])
    return pd.DataFrame({"item_id": item_id, "timestamp": times})


def read_items(examples_dir: str | Path, item_ids: np.ndarray, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Title, brand, category (path) and description of each item of `item_ids`; "" unknown.

    `columns` are further ones of the items.
    """
    import tensorflow as tf

    names = ("title", "brand", "category", "description", *columns)
    features = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("item_id", *(f"item_{n}" for n in names))}
    batches = list(_parsed(examples_dir, "catalog", features, lambda parsed: parsed))
    values = {name: _decoded(np.concatenate([batch[name] for batch in batches] or [[]])) for name in features}
    items = pd.DataFrame(values).rename(columns=lambda name: name.removeprefix("item_") if name != "item_id" else name)
    return items.set_index("item_id").loc[item_ids, list(names)]


def read_texts(examples_dir: str | Path, item_ids: np.ndarray) -> np.ndarray:
    """Text [items] str of each item of `item_ids`: title, brand, category path, description."""
    items = read_items(examples_dir, item_ids)
    items["category"] = items.category.str.replace(CATEGORY_SEPARATOR, " ", regex=False)
    return items.agg(" ".join, axis=1).str.strip().to_numpy(object)


def read_departments(examples_dir: str | Path) -> dict[bytes, str]:
    """First level of the category path by item id; "" without a category."""
    import tensorflow as tf

    features = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("item_id", "item_category")}
    departments: dict[bytes, str] = {}
    for batch in _parsed(examples_dir, "catalog", features, lambda parsed: parsed):
        levels = [path.split(CATEGORY_SEPARATOR)[0] for path in _decoded(batch["item_category"])]
        departments.update(zip(batch["item_id"], levels, strict=True))
    return departments


def _parsed(examples_dir: str | Path, split: str, features: dict[str, Any], keep: Any) -> Any:
    """Yield `keep` of each parsed batch as NumPy arrays, files in the order of their names."""
    import tensorflow as tf

    for path in _files(Path(examples_dir), split):
        compression = "GZIP" if path.suffix == ".gz" else ""
        records = tf.data.TFRecordDataset(str(path), compression_type=compression).batch(_BATCH)
        try:
            # Not by `records.map`: tracing its function for each file takes longer than parsing.
            for batch in records:
                kept = keep(tf.io.parse_example(batch, features))
                yield {name: value.numpy() for name, value in kept.items()}
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise DataError(
                f"{path} is not a file of tfrec's examples ({error.message}); run ExampleGen again"
            ) from error


def _files(root: Path, split: str) -> list[Path]:
    folder = root / f"Split-{split}"
    if not folder.is_dir():
        raise DataError(f"{root} holds no {folder.name}; give the folder that ExampleGen wrote")
    return sorted(path for path in folder.iterdir() if path.is_file())


def _target_features() -> dict[str, Any]:
    import tensorflow as tf

    ragged = tf.io.RaggedFeature
    return {
        "user_id": tf.io.FixedLenFeature([], tf.string),
        "event_item_id": ragged(tf.string),
        "event_kind": ragged(tf.string),
        "event_timestamp": ragged(tf.int64),
        "event_is_target": ragged(tf.int64),
    }


def _keep_targets(parsed: dict[str, Any]) -> dict[str, Any]:
    """Flat columns of the batch's target events, each with its user's id."""
    import tensorflow as tf

    is_target = tf.cast(parsed["event_is_target"].values, tf.bool)
    user = tf.repeat(parsed["user_id"], parsed["event_is_target"].row_lengths())
    return {
        "user_id": tf.boolean_mask(user, is_target),
        "item_id": tf.boolean_mask(parsed["event_item_id"].values, is_target),
        "kind": tf.boolean_mask(parsed["event_kind"].values, is_target),
        "timestamp": tf.boolean_mask(parsed["event_timestamp"].values, is_target),
    }


def _decoded(values: Any) -> np.ndarray:
    """Values [values] as str objects; each distinct one is decoded once."""
    codes, distinct = pd.factorize(np.asarray(values, dtype=object))
    return np.array([value.decode("utf-8") for value in distinct], dtype=object)[codes]


def read_histories(
    examples_dir: str | Path, split: str, events: Sequence[str], profile: Sequence[str]
) -> dict[str, np.ndarray]:
    """Context of users' examples: `user_id` and `profile` [users], `events` [users, longest].

    Strings are bytes objects; "" and 0 pad. Raises DataError when the split is missing or
    unreadable.
    """
    import tensorflow as tf

    dtypes = {"event_timestamp": tf.int64, "event_price": tf.float32}
    features = {name: tf.io.RaggedFeature(dtypes.get(name, tf.string)) for name in events}
    features["event_is_target"] = tf.io.RaggedFeature(tf.int64)
    single = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("user_id", *profile)}

    def context(parsed: dict[str, Any]) -> dict[str, Any]:
        is_context = parsed.pop("event_is_target") == 0
        kept = {name: tf.ragged.boolean_mask(parsed[name], is_context).to_tensor() for name in events}
        return kept | {name: parsed[name] for name in single}

    batches = list(_parsed(examples_dir, split, features | single, context))
    return {name: _stacked([batch[name] for batch in batches]) for name in (*events, *single)}


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Join batches [rows, ...] of several lengths in one array, padded at the end."""
    if not parts:
        return np.empty((0,), object)
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    longest = max(part.shape[1] for part in parts)
    empty = b"" if parts[0].dtype == object else 0
    return np.concatenate(
        [np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=empty) for part in parts]
    )
