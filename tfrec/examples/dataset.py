"""Transformed examples in; the catalog as arrays and sequences as dense batches out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import ExamplesConfig, FeaturesConfig
from tfrec.errors import DataError
from tfrec.examples.catalog import Catalog, StateTable, distinct_rows
from tfrec.examples.item_states import state_features
from tfrec.examples.preprocessing import Transformed
from tfrec.language.tokenizer import word_piece_of

SHUFFLE_SEQUENCES = 20_000
READ_BATCH = 4096

EVENT_FEATURES = {
    "event_item_id": tf.string,
    "event_kind": tf.int64,
    "event_timestamp": tf.int64,
    "event_price": tf.float32,
    "event_query": tf.string,
    "event_is_target": tf.int64,
}


def load_catalog(
    item_files: Sequence[str],
    train_files: Sequence[str],
    transformed: Transformed,
    features: FeaturesConfig,
    examples: ExamplesConfig | None = None,
) -> Catalog:
    """Load the catalog from the `catalog` split, and the search queries from the `train` split.

    With `examples`, the catalog holds the states of items that they have.

    Raises DataError when the catalog holds no item.
    """
    items, states = _read_items(item_files, features, state_features(examples) if examples else ())
    count = len(items["item_id"])
    if not count:
        raise DataError("the catalog holds no item; ingest an items table with at least one row")
    queries = _distinct_queries(train_files)
    query_tokens = _padded(word_piece_of(features)(tf.constant(queries)), features)
    tokens, text_row = distinct_rows(np.concatenate([items["item_tokens"], query_tokens]))
    frequencies = transformed.item_frequencies()
    number_columns = (*features.item_numbers, *features.item_vectors)
    oov = features.oov_buckets
    return Catalog(
        item_ids=_with_row_0(items["item_id"]),
        titles=_with_row_0(items["item_title"]),
        text_row=_with_row_0(text_row[:count]),
        tokens=tokens,
        category=_with_row_0(items["item_category"]),
        category_path=_with_row_0(items["item_category_path"]),
        brand=_with_row_0(items["item_brand"]),
        price=_with_row_0(items["item_price"]),
        frequency=_with_row_0(np.array([frequencies.get(item_id, 0) for item_id in items["item_id"]], np.int64)),
        queries=queries,
        query_row=text_row[count:],
        category_size=transformed.indices("item_category", oov),
        brand_size=transformed.indices("item_brand", oov),
        price_size=features.price_buckets + 1,
        profile_sizes={
            f"user_{column}": transformed.indices(f"user_{column}", oov) for column in features.profile_columns
        },
        states=states,
        number_widths={name: items[f"item_{name}"].shape[1] for name in number_columns},
        numbers=_with_row_0(np.concatenate([items[f"item_{name}"] for name in number_columns], axis=1))
        if number_columns
        else None,
    )


def sequences(
    files: Sequence[str],
    profile_columns: Sequence[str],
    batch_size: int,
    shuffle_seed: int | None = None,
    context_columns: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of dense features: event_* [batch, longest], user_id and user_<column> [batch]."""
    names = [f"user_{column}" for column in (*profile_columns, *context_columns)]
    serialized = _serialized(files, batch_size, shuffle_seed)
    return serialized.map(lambda batch: parse_sequences(batch, names, context_columns)).prefetch(2)


def parts_of_sequences(
    files: Sequence[str], profile_columns: Sequence[str], batch_size: int, shuffle_seed: int, first_step: int
) -> Callable[[tf.distribute.InputContext], tf.data.Dataset]:
    """Dataset function of a worker: its parts of the batches of `sequences`.

    It is meant for `distribute_datasets_from_function`. The batches begin at `first_step` and have
    no end. The parts of the worker's replicas follow each other. All parts have the same number of
    sequences: a batch that cannot be divided is filled with its first sequence without targets.
    """
    names = [f"user_{column}" for column in profile_columns]

    def dataset_fn(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = context.num_replicas_in_sync
        own = replicas // context.num_input_pipelines
        first_part = own * context.input_pipeline_id

        def parts(batch: tf.Tensor) -> tf.data.Dataset:
            own_parts = tf.data.Dataset.range(first_part, first_part + own)
            return own_parts.map(lambda part: _parse_part(batch, part, replicas, names))

        dataset = _serialized(files, batch_size, shuffle_seed).repeat().skip(first_step).flat_map(parts)
        # Without a known cardinality the replicas exchange a message at every step.
        return dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)).prefetch(2 * own)

    return dataset_fn


def _serialized(files: Sequence[str], batch_size: int, shuffle_seed: int | None) -> tf.data.Dataset:
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
    if shuffle_seed is not None:
        records = records.shuffle(SHUFFLE_SEQUENCES, shuffle_seed, reshuffle_each_iteration=False)
    return without_autotune(records.batch(batch_size))


def without_autotune(data: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without tf.data's autotuner, which has nothing to tune here.

    The tuner's thread doubles its sleep each time. In TensorFlow 2.21 it may miss the signal to
    end: `fit` then returned as long after its last step as the steps had taken.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def _parse_part(batch: tf.Tensor, part: tf.Tensor, parts: int, names: Sequence[str]) -> dict[str, tf.Tensor]:
    """Parse part number `part`, in [0, `parts`), of a batch of serialized examples."""
    count = tf.shape(batch, tf.int64)[0]
    length = -(-count // parts)
    position = part * length + tf.range(length)
    is_filling = position >= count
    parsed = parse_sequences(tf.gather(batch, tf.where(is_filling, tf.zeros_like(position), position)), names)
    parsed["event_is_target"] *= tf.cast(~is_filling, tf.int64)[:, tf.newaxis]
    return parsed


def parse_sequences(
    serialized: tf.Tensor, profile_names: Sequence[str], context_columns: Sequence[str] = ()
) -> dict[str, tf.Tensor]:
    """[batch] serialized examples -> dense features by name."""
    events = EVENT_FEATURES | {f"event_{column}": tf.int64 for column in context_columns}
    ragged = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in events.items()}
    single = {name: tf.io.FixedLenFeature([], tf.int64, 0) for name in profile_names}
    user_id = {"user_id": tf.io.FixedLenFeature([], tf.string, "")}
    parsed = tf.io.parse_example(serialized, ragged | single | user_id)
    return {name: value.to_tensor() if name in ragged else value for name, value in parsed.items()}


def read_events(files: Sequence[str], catalog: Catalog, context_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Target events: user (bytes), row (of the catalog), kind (index) and timestamp (seconds).

    And the indices of `context_columns`.
    """
    rows, numbers = pd.Index(catalog.item_ids), ("kind", "timestamp", *context_columns)
    empty = {name: np.empty(0, np.int64) for name in ("row", *numbers)}
    parts = [pd.DataFrame({"user": np.empty(0, object), **empty})]
    for batch in sequences(files, (), READ_BATCH, context_columns=context_columns).as_numpy_iterator():
        user, position = np.nonzero(batch["event_is_target"])
        row = rows.get_indexer(batch["event_item_id"][user, position])
        columns = {name: batch[f"event_{name}"][user, position] for name in numbers}
        parts.append(pd.DataFrame({"user": batch["user_id"][user], "row": row, **columns}))
    events = pd.concat(parts, ignore_index=True)
    return events[events.row > 0]


def count_sequences(files: Sequence[str]) -> int:
    """Number of sequences in the files."""
    return sum(1 for _ in tf.data.TFRecordDataset(sorted(files), compression_type="GZIP"))


def _read_items(
    files: Sequence[str], features: FeaturesConfig, state_names: Sequence[str]
) -> tuple[dict[str, np.ndarray], StateTable | None]:
    spec = {
        "item_id": tf.io.FixedLenFeature([], tf.string),
        "item_title": tf.io.FixedLenFeature([], tf.string, ""),
        "item_tokens": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
        "item_category": tf.io.FixedLenFeature([features.categories], tf.int64),
        "item_category_path": tf.io.FixedLenFeature([], tf.string, ""),
        "item_brand": tf.io.FixedLenFeature([], tf.int64, 0),
        "item_price": tf.io.FixedLenFeature([], tf.int64, 0),
    }
    numbers = [f"item_{name}" for name in (*features.item_numbers, *features.item_vectors)]
    spec |= {name: tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64) for name in numbers}
    ragged = {name: tf.io.RaggedFeature(_state_dtype(name), row_splits_dtype=tf.int64) for name in state_names}
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").batch(READ_BATCH)
    batches, states = [], []
    for batch in records.map(lambda serialized: tf.io.parse_example(serialized, spec | ragged)):
        batch["item_tokens"] = batch["item_tokens"].to_tensor(shape=[None, features.text_tokens])
        states.append({name: batch.pop(name) for name in ragged})
        batches.append({n: value.to_tensor().numpy() if n in numbers else value.numpy() for n, value in batch.items()})
    if not batches:
        return {"item_id": np.empty(0, object)}, None
    for name in numbers:  # a batch of unknown values alone is narrower
        width = max(1, *(batch[name].shape[1] for batch in batches))
        for batch in batches:
            batch[name] = np.pad(batch[name], ((0, 0), (0, width - batch[name].shape[1])))
    items = {name: np.concatenate([batch[name] for batch in batches]) for name in spec}
    order = np.argsort(items["item_id"])  # Beam writes them in any order, and the rows decide which negatives are drawn
    table = _state_table(states, np.argsort(order) + 1) if state_names else None
    return {name: values[order] for name, values in items.items()}, table


def _state_table(batches: list[dict[str, tf.RaggedTensor]], rows: np.ndarray) -> StateTable:
    """Join the states of batches of items; `rows` [items] are the items' catalog rows."""
    values = {name: np.concatenate([batch[name].flat_values.numpy() for batch in batches]) for name in batches[0]}
    changes = np.concatenate([batch["state_from"].row_lengths().numpy() for batch in batches])
    row, start = np.repeat(rows, changes), values.pop("state_from")
    order = np.lexsort((start, row))
    by_column = {name.removeprefix("state_"): column[order] for name, column in values.items()}
    return StateTable(row[order], start[order], by_column)


def _state_dtype(name: str) -> tf.DType:
    return tf.int64 if name == "state_from" else tf.float32


def _distinct_queries(files: Sequence[str]) -> np.ndarray:
    """Distinct search queries, as bytes objects in sorted order."""
    spec = {"event_query": tf.io.RaggedFeature(tf.string)}
    queries: set[bytes] = set()
    for batch in tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").batch(READ_BATCH):
        queries.update(np.unique(tf.io.parse_example(batch, spec)["event_query"].values.numpy()).tolist())
    return np.array(sorted(queries - {b""}), dtype=object)


def _padded(tokens: tf.RaggedTensor, features: FeaturesConfig) -> np.ndarray:
    return np.asarray(tokens.to_tensor(shape=[None, features.text_tokens]).numpy(), np.int64)


def _with_row_0(values: np.ndarray) -> np.ndarray:
    empty = np.zeros((1, *values.shape[1:]), values.dtype)
    if values.dtype == object:
        empty[0] = b""
    return np.concatenate([empty, values])
