"""Tables in, tf.train.Examples out: users' events with history, split by time, and items.

Every feature is a list. A sequence example (splits `train`, `validation` and `test`) is a chunk of
one user's events, oldest first. An example of `catalog` is an item:

    user_id [1], user_<profile column> [1]           bytes; "" unknown
    user_<context column> [1]                        bytes, that of the first target in a window's
                                                     example, "" in `train`
    event_item_id, event_kind, event_query [length]  bytes; "" no query
    event_timestamp [length]                         int64, whole seconds since the epoch
    event_price [length]                             float32; 0 unknown
    event_<context column> [length]                  bytes; "" unknown
    event_is_target [length]                         int64; 1 target of this split, 0 context
    item_id, item_title, item_description, item_category, item_brand [1] bytes,
    item_<further column> [1] bytes, item_price [1] float32
    item_<number> [1], item_<vector> [length]        float32; none where unknown
    state_from [changes]                             int64 seconds, with `examples.item_states`
    state_<column> [changes]                         float32, see item_states.py

Nothing in a sequence example comes from after its last event. The states of an item are read as of
a query time, by `state_from`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.config import ExamplesConfig
from tfrec.errors import DataError
from tfrec.examples.item_states import ItemStates, read_states
from tfrec.examples.split import Boundaries, boundaries
from tfrec.schema import DAY_SECONDS, EVENT_KINDS, FEEDBACK, NEGATIVE_KINDS, Manifest, TableSet

SEQUENCE_SPLITS = ("train", "validation", "test")
SPLITS = (*SEQUENCE_SPLITS, "catalog")

SEARCH_MILLISECONDS = 30 * 60 * 1000
"""Longest time from a search to the event it explains, when the shop records no sessions."""

ENCODE_ROWS = 4096
"""Examples serialized at once; bounds the memory held both as Arrow and as bytes."""

_COLUMNS = ["user_id", "item_id", "kind", "timestamp", "price", "query", "session"]


@dataclasses.dataclass(frozen=True)
class _Events:
    """Item events of a partition, by user and time; user u has rows starts[u] to starts[u + 1]."""

    user_ids: pa.Array  # [users]
    starts: np.ndarray  # [users + 1]
    timestamp: np.ndarray  # [events] seconds
    features: dict[str, pa.Array]  # name -> [events]
    is_positive: np.ndarray  # [events] bool, no event of NEGATIVE_KINDS


@dataclasses.dataclass(frozen=True)
class _Chunks:
    """Ranges of event rows, one an example: context from `begin`, targets from `target`."""

    user: np.ndarray  # [chunks]
    begin: np.ndarray
    target: np.ndarray
    end: np.ndarray


def build_partition(tables: TableSet, index: int, config: ExamplesConfig) -> Iterator[tuple[str, list[bytes]]]:
    """Yield pairs of a split and serialized examples, from partition `index` of each table."""
    manifest = tables.manifest
    users = pq.read_table(tables.part("users", index)) if manifest.profile_columns else None
    columns = [*_COLUMNS, *config.context_columns, *(["rating"] if config.low_rating else [])]
    _check_ratings(manifest.interaction_columns, config.low_rating)
    _check_context(manifest, config.context_columns)
    interactions = pq.read_table(tables.part("interactions", index), columns=columns)
    bounds = boundaries(manifest, config.split)
    batches = build_sequences(interactions, users, manifest.profile_columns, bounds, config)
    items = pq.read_table(tables.part("items", index))
    further = (*manifest.item_columns, *manifest.item_numbers, *manifest.item_vectors)
    batches["catalog"] = build_catalog(items, further, _read_states(tables, index, bounds, config))
    for split, batch in batches.items():
        for start in range(0, batch.num_rows, ENCODE_ROWS):
            yield split, encode(batch.slice(start, ENCODE_ROWS))


def build_sequences(
    interactions: pa.Table,
    users: pa.Table | None,
    profile_columns: tuple[str, ...],
    bounds: Boundaries,
    config: ExamplesConfig,
) -> dict[str, pa.RecordBatch]:
    """Build the sequence examples of each of SEQUENCE_SPLITS, one a row.

    A user's training events are cut into chunks of up to `max_events`. All events of the first
    chunk are targets; each further chunk adds `stride` targets after as much context as fits. In
    the validation and test splits a user has one example: up to `window_history` events before the
    window, then all events of the window. Without windows, a user's events of one timestamp (or
    rank) are a basket: the last basket is test and the one before it validation, each as a whole.
    The first basket is never held out: of two baskets the last is test and none validation, a
    single one is training. Events of NEGATIVE_KINDS are context alone: no target, and not in a
    window's examples after its start.

    Raises DataError when rows are not sorted by user and time or a profile column is missing.
    """
    events = _item_events(_of_known_kinds(_with_dislikes(interactions, config.low_rating)), config.context_columns)
    first, last = events.starts[:-1], events.starts[1:]
    validation, test = _window_starts(events, bounds)
    chunks = {
        "train": _train_chunks(first, validation, config),
        "validation": _window_chunks(events, first, validation, test, config),
        "test": _window_chunks(events, first, test, last, config),
    }
    profiles = _profiles(events.user_ids, users, profile_columns)
    examples = {split: _sequences(events, profiles, chunks[split], split != "train") for split in SEQUENCE_SPLITS}
    return {split: _with_context(batch, config.context_columns, split) for split, batch in examples.items()}


def build_catalog(items: pa.Table, further: tuple[str, ...] = (), states: ItemStates | None = None) -> pa.RecordBatch:
    """Build the catalog, one row an item, with the `further` columns of the items table.

    These may hold texts, numbers or vectors.
    """
    columns = {"item_id": _bytes(items["item_id"])}
    numeric = [name for name in further if not pa.types.is_string(items.schema.field(name).type)]
    texts = [name for name in further if name not in numeric]
    for name in ("title", "description", "category", "brand", *texts):
        columns[f"item_{name}"] = _bytes(items[name].cast(pa.string()))
    columns["item_price"] = _price(items["price"])
    numbers = {f"item_{name}": _known_numbers(items[name].combine_chunks()) for name in numeric}
    batch = _batch({name: _lists(values) for name, values in columns.items()} | numbers)
    if states is not None:
        offsets, changes = states.of_items(columns["item_id"])
        for name, values in changes.items():
            batch = batch.append_column(f"state_{name}", _lists(values, offsets))
    return batch


def encode(batch: pa.RecordBatch) -> list[bytes]:
    """Serialize a tf.train.Example for each row."""
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder  # imports TensorFlow

    return RecordBatchToExamplesEncoder().encode(batch)


def _check_ratings(columns: Sequence[str], low_rating: float) -> None:
    if low_rating and "rating" not in columns:
        raise DataError(
            f"`examples.low_rating` is {low_rating:g}, but the interactions have no ratings; name their column under "
            "columns as `rating` and ingest again, or set it to 0"
        )


def _check_context(manifest: Manifest, columns: Sequence[str]) -> None:
    known = [name for name in manifest.interaction_columns if name not in FEEDBACK.names]
    for name in columns:
        if name not in known:
            raise DataError(
                f"`examples.context_columns` names {name!r}, but the context columns of the interactions are "
                f"{', '.join(known) or 'none'}; name it under `context` and ingest again, or remove it"
            )
        if name == "id":
            raise DataError(
                "`examples.context_columns` names 'id', whose input of a request would be `user_id`, as that of the "
                "user; rename the column in the mapping"
            )
        if name in manifest.profile_columns:
            raise DataError(
                f"`examples.context_columns` names {name!r}, which is a column of the users table too, and requests "
                "could not tell them apart; rename one of them in the mapping"
            )


def _read_states(tables: TableSet, index: int, bounds: Boundaries, config: ExamplesConfig) -> ItemStates | None:
    """Read the states of a partition from one window before the validation window on."""
    if not config.item_states:
        return None
    if "item_states" not in tables.manifest.rows or tables.manifest.clock == "order":
        raise DataError(
            "`examples.item_states` is true, but the shop has no dated table `item_states`; describe it in the "
            "mapping and ingest again, or set it to false"
        )
    start = bounds.validation_start
    since = None if start is None else start - config.split.validation_days * DAY_SECONDS
    return read_states(tables.part("item_states", index), since, config.promotions)


def _with_dislikes(interactions: pa.Table, low_rating: float) -> pa.Table:
    """Make ratings of up to `low_rating` dislikes; an event of another kind keeps it."""
    if not low_rating:
        return interactions
    kind = interactions["kind"]
    is_low = pc.and_(pc.equal(kind, "rating"), pc.less_equal(interactions["rating"], low_rating).fill_null(False))
    return interactions.set_column(interactions.column_names.index("kind"), "kind", pc.if_else(is_low, "dislike", kind))


def _of_known_kinds(interactions: pa.Table) -> pa.Table:
    """The rows without impressions and others that no model knows."""
    is_known = pc.is_in(interactions["kind"], pa.array(EVENT_KINDS))
    return interactions if pc.all(is_known).as_py() else interactions.filter(is_known)


def _item_events(interactions: pa.Table, context: Sequence[str]) -> _Events:
    """Events with an item, each with the search that led to it."""
    user = pc.dictionary_encode(interactions["user_id"].combine_chunks())
    code = user.indices.to_numpy()
    time = interactions["timestamp"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
    user_changes = np.diff(code)
    if (user_changes < 0).any() or (np.diff(time)[user_changes == 0] < 0).any():
        raise DataError("interactions are not sorted by user and time; write them with `tfrec ingest`")
    rows = np.flatnonzero(interactions["item_id"].is_valid().to_numpy())
    with_item, starts = np.unique(code[rows], return_index=True)
    features = {
        "event_item_id": _bytes(interactions["item_id"]),
        "event_kind": _bytes(interactions["kind"]),
        "event_price": _price(interactions["price"]),
        "event_query": _queries(interactions, code, time),
        **{f"event_{name}": _bytes(interactions[name]) for name in context},
    }
    if len(rows) < len(code):
        features = {name: values.take(pa.array(rows)) for name, values in features.items()}
    user_ids = _bytes(user.dictionary.take(pa.array(with_item)))
    is_negative = pc.is_in(features["event_kind"], pa.array(NEGATIVE_KINDS, pa.large_binary()))
    is_positive = ~is_negative.to_numpy(zero_copy_only=False)
    return _Events(user_ids, np.append(starts, len(rows)), time[rows] // 1000, features, is_positive)


def _queries(interactions: pa.Table, user: np.ndarray, time: np.ndarray) -> pa.Array:
    """Each event's own query [rows], or that of a search just before it.

    Just before means that no other event of the same user and session lies between. Events without
    a session form one session, in which a search is forgotten after SEARCH_MILLISECONDS.
    """
    query = _bytes(interactions["query"])
    has_query = pc.not_equal(query, b"").to_numpy(zero_copy_only=False)
    is_item = interactions["item_id"].is_valid().to_numpy()
    is_search = ~is_item & has_query & pc.equal(interactions["kind"], "search").to_numpy()
    if not is_search.any():
        return query
    session_values = interactions["session"].combine_chunks().dictionary_encode()
    session = session_values.indices.fill_null(-1).to_numpy()
    rows = np.flatnonzero(is_item | is_search)
    rows = rows[np.lexsort((rows, session[rows], user[rows]))]
    before, row = rows[:-1], rows[1:]
    follows = is_search[before] & is_item[row] & ~has_query[row]
    follows &= (user[before] == user[row]) & (session[before] == session[row])
    follows &= (session[row] >= 0) | (time[row] - time[before] <= SEARCH_MILLISECONDS)
    source = np.arange(len(query))
    source[row[follows]] = before[follows]
    return query.take(pa.array(source))


def _window_starts(events: _Events, bounds: Boundaries) -> tuple[np.ndarray, np.ndarray]:
    """First event row of each user's validation window [users] and test window [users]."""
    first, last = events.starts[:-1], events.starts[1:]
    if bounds.validation_start is None or bounds.test_start is None:
        return _last_baskets(events)

    def start_of(window_start: int) -> np.ndarray:
        before = np.append(0, np.cumsum(events.timestamp < window_start))
        return first + before[last] - before[first]

    return start_of(bounds.validation_start), start_of(bounds.test_start)


def _last_baskets(events: _Events) -> tuple[np.ndarray, np.ndarray]:
    """First row of each user's last basket but one [users], and of the last [users].

    A basket is a user's events of one timestamp, in seconds, that are not all negative. The first
    basket counts as neither.
    """
    is_first = np.append(True, np.diff(events.timestamp) != 0)[: len(events.timestamp)]
    is_first[events.starts[:-1]] = True
    starts = np.flatnonzero(is_first)
    if len(starts):
        starts = starts[np.logical_or.reduceat(events.is_positive, starts)]
    basket_starts = np.append(starts, len(events.timestamp))
    basket = np.searchsorted(basket_starts, events.starts)  # of each user's first event
    first, last, end = basket[:-1], basket[1:], events.starts[1:]
    test = np.maximum(last - 1, np.minimum(first + 1, last))
    validation = np.minimum(np.maximum(test - 1, first + 1), len(starts))
    return np.minimum(basket_starts[validation], end), np.minimum(basket_starts[test], end)


def _train_chunks(first: np.ndarray, end: np.ndarray, config: ExamplesConfig) -> _Chunks:
    """Chunks of up to `max_events` in which each event before `end` is a target once."""
    events = end - first
    further_chunks = -(-np.maximum(events - config.max_events, 0) // config.stride)
    chunks = np.where(events > 0, 1 + further_chunks, 0)
    user = np.repeat(np.arange(len(first)), chunks)
    number = np.arange(len(user)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
    begin = first[user] + number * config.stride
    new_targets = np.where(number == 0, config.max_events, config.stride)
    full_end = begin + config.max_events
    return _Chunks(user, begin, full_end - new_targets, np.minimum(full_end, end[user]))


def _window_chunks(
    events: _Events, first: np.ndarray, start: np.ndarray, end: np.ndarray, config: ExamplesConfig
) -> _Chunks:
    """One chunk for each user with a target in the window."""
    before = np.append(0, np.cumsum(events.is_positive))
    user = np.flatnonzero(before[end] > before[start])
    begin = np.maximum(first, start - (config.window_history or config.max_events))
    return _Chunks(user, begin[user], start[user], end[user])


def _profiles(user_ids: pa.Array, users: pa.Table | None, columns: tuple[str, ...]) -> dict[str, pa.Array]:
    """Feature name -> [users] bytes, b"" where unknown."""
    missing = [name for name in columns if users is not None and name not in users.column_names]
    if missing:
        raise DataError(f"the users table lacks the profile columns {missing} of its manifest; ingest again")
    if users is None:
        return {f"user_{name}": _bytes(pa.nulls(len(user_ids), pa.string())) for name in columns}
    row = pc.index_in(user_ids, value_set=_bytes(users["user_id"]))
    return {f"user_{name}": _bytes(_bytes(users[name]).take(row)) for name in columns}


def _sequences(
    events: _Events, profiles: dict[str, pa.Array], chunks: _Chunks, is_window: bool = False
) -> pa.RecordBatch:
    """One row a chunk; a window's chunks have only targets after the context."""
    lengths = chunks.end - chunks.begin
    offsets = np.append(0, np.cumsum(lengths))
    row = np.arange(offsets[-1]) + np.repeat(chunks.begin - offsets[:-1], lengths)
    is_new = row >= np.repeat(chunks.target, lengths)
    if is_window:
        kept = events.is_positive[row] | ~is_new
        offsets = np.append(0, np.cumsum(kept))[offsets]
        row, is_new = row[kept], is_new[kept]
    is_target = is_new & events.is_positive[row]
    of_user = {"user_id": events.user_ids, **profiles}
    columns = {name: _lists(values.take(pa.array(chunks.user))) for name, values in of_user.items()}
    for name, values in events.features.items():
        columns[name] = _lists(values.take(pa.array(row)), offsets)
    columns["event_timestamp"] = _lists(pa.array(events.timestamp[row]), offsets)
    columns["event_is_target"] = _lists(pa.array(is_target.astype(np.int64)), offsets)
    return _batch(columns)


def _with_context(batch: pa.RecordBatch, columns: Sequence[str], split: str) -> pa.RecordBatch:
    """Add the context of the request, of which only a window's examples have one."""
    is_target = batch["event_is_target"]
    flags, starts = is_target.values.to_numpy(), is_target.offsets.to_numpy()[:-1]
    targets = np.flatnonzero(flags)
    first = targets[np.searchsorted(targets, starts)] if split != "train" else starts
    for name in columns:
        values = batch[f"event_{name}"].values.take(pa.array(first))
        known = values if split != "train" else _bytes(pa.nulls(len(values), pa.string()))
        batch = batch.append_column(f"user_{name}", _lists(known))
    return batch


def _bytes(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Bytes, b"" for null; the encoder takes no strings. Large, since a take may pass 2 GB."""
    filled = column.cast(pa.large_binary()).fill_null(b"")
    return filled.combine_chunks() if isinstance(filled, pa.ChunkedArray) else filled


def _price(column: pa.ChunkedArray) -> pa.Array:
    """The column as float32, 0 for null and NaN."""
    values = column.cast(pa.float32()).fill_null(0).to_numpy()
    return pa.array(np.nan_to_num(values, nan=0.0))


def _known_numbers(column: pa.Array) -> pa.Array:
    """Numbers [rows] or vectors [rows] as lists of float32; an empty one where there is none."""
    if pa.types.is_floating(column.type):
        offsets = np.append(0, np.cumsum(pc.is_finite(column).fill_null(False).to_numpy(zero_copy_only=False)))
        return _lists(column.filter(pc.is_finite(column)).cast(pa.float32()), offsets)
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    return _lists(pc.list_flatten(column).cast(pa.float32()), np.append(0, np.cumsum(lengths)))


def _lists(values: pa.Array, offsets: np.ndarray | None = None) -> pa.Array:
    """The values as lists [rows]; one value each without offsets."""
    if offsets is None:
        offsets = np.arange(len(values) + 1)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)


def _batch(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
