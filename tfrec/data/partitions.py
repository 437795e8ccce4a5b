"""Tables sorted by partition, and the hash of their content."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import encode, is_vector
from tfrec.schema import partition_of

ID_CHARACTERS = 16


@dataclasses.dataclass(frozen=True)
class Partitioned:
    """A table sorted by partition; rows `bounds[i]` to `bounds[i + 1]` are partition i."""

    rows: pa.Table
    bounds: np.ndarray


def partition(table: pa.Table, key: str, partitions: int) -> Partitioned:
    """Sort by partition, id, time (if the table has one) and original order."""
    order, bounds = _order_rows(table, key, partitions)
    return Partitioned(table.take(order), bounds)


def _order_rows(table: pa.Table, key: str, partitions: int) -> tuple[pa.Array, np.ndarray]:
    """Order of the rows, and the begin of each partition in it."""
    coded = encode(table[key])
    part = partition_of(pd.Series(coded.dictionary.to_pylist(), dtype=object), partitions)
    names = pc.array_sort_indices(coded.dictionary).to_numpy()
    names = names[np.argsort(part[names], kind="stable")]
    ranks = np.empty(len(part), np.int64)
    ranks[names] = np.arange(len(part))  # by partition, then id
    rank = ranks[coded.indices.to_numpy()]
    order = _sort_rows(rank, [table[name] for name in ("timestamp", "from") if name in table.column_names])
    rows_before = np.append(0, np.cumsum(np.bincount(rank, minlength=len(part))))
    return pa.array(order), rows_before[np.searchsorted(part[names], np.arange(partitions + 1))]


def _sort_rows(ranks: np.ndarray, times: list[pa.ChunkedArray]) -> np.ndarray:
    """Stable order of the rows by rank, then time."""
    if not times:
        return np.argsort(ranks, kind="stable")
    time = times[0].cast(pa.int64()).fill_null(0).to_numpy()
    first, last = int(time.min(initial=0)), int(time.max(initial=0))
    if (last - first + 1) * (int(ranks.max(initial=0)) + 1) >= 2**62:
        return np.lexsort([time, ranks])
    return np.argsort(ranks * (last - first + 1) + (time - first), kind="stable")


def hash_content(tables: list[pa.Table], partitions: int) -> list[str]:
    """Hash of the first table, of the first two, and so on."""
    hashes = []
    digest = hashlib.sha256(str(partitions).encode())
    for table in tables:
        digest.update(str([(field.name, str(field.type)) for field in table.schema]).encode())
        for column in table.columns:
            array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
            _hash_values(digest, array)
        hashes.append(digest.hexdigest()[:ID_CHARACTERS])
    return hashes


def _hash_values(digest: hashlib._Hash, array: pa.Array) -> None:
    """Add the values to the digest, without the padding of Arrow's buffers and bytes of nulls."""
    if pa.types.is_dictionary(array.type):
        _hash_values(digest, array.indices)
        _hash_values(digest, array.dictionary)
    elif is_vector(array.type):
        digest.update(pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False).tobytes())
        _hash_values(digest, array.flatten())
    elif pa.types.is_string(array.type):
        filled = array.fill_null("")
        digest.update(pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes())
        digest.update(pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0].as_buffer())
    else:
        is_cast = pa.types.is_timestamp(array.type) or pa.types.is_boolean(array.type)
        numbers = array.cast(pa.int64()) if is_cast else array
        digest.update(numbers.fill_null(0).to_numpy(zero_copy_only=False).tobytes())
