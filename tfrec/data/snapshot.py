"""Clean tables -> a snapshot on disk, sorted and partitioned, put in force by one rename.

A snapshot is named by a hash of its content, so that the same data gives the same folder, which is then left
as it is: TFX's cache looks at the files' times. It is written aside and renamed, and manifest.json replaced
last: killed at any moment, the tables in force stay readable. Of older snapshots the last one is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.data.clean import CleanTables
from tfrec.errors import DataError
from tfrec.schema import ITEMS, TABLES, Clock, Manifest, TableSet, part_name, partition_of, read_table_set

_ID_CHARACTERS = 16


@dataclasses.dataclass(frozen=True)
class Partitioned:
    """A table sorted by partition; rows `bounds[i]` to `bounds[i + 1]` are partition i."""

    rows: pa.Table
    bounds: np.ndarray


def commit(tables: CleanTables, root: Path, source: str, clock: Clock, partitions: int) -> TableSet:
    """The table set in `root` after these tables were put in force; DataError while another ingest writes."""
    parts = {
        "interactions": _partitioned(tables.interactions, "user_id", partitions),
        "users": _partitioned(tables.users, "user_id", partitions),
        "items": _partitioned(tables.items, "item_id", partitions),
    }
    snapshot = _content_id([*(part.rows for part in parts.values()), *tables.rejected.values()], partitions)
    result = TableSet(root, _manifest(snapshot, tables, source, clock, partitions))
    with _alone(root):
        if not _is_complete(result):
            _write_snapshot(result, parts, tables.rejected)
        _put_in_force(result)
    return result


def _partitioned(table: pa.Table, key: str, partitions: int) -> Partitioned:
    """Sorted by partition, then id, then (interactions) time, then the original order."""
    coded = table[key].combine_chunks().dictionary_encode()
    part = partition_of(pd.Series(coded.dictionary.to_pylist(), dtype=object), partitions)
    alphabet = np.empty(len(part), np.int64)
    alphabet[pc.array_sort_indices(coded.dictionary).to_numpy()] = np.arange(len(part))
    ids = coded.indices.to_numpy()
    keys = [alphabet[ids], part[ids]]  # the last key of lexsort is the widest
    if "timestamp" in table.column_names:
        keys.insert(0, table["timestamp"].cast(pa.int64()).to_numpy())
    order = np.lexsort(keys)
    return Partitioned(table.take(pa.array(order)), np.searchsorted(part[ids][order], np.arange(partitions + 1)))


def _content_id(tables: list[pa.Table], partitions: int) -> str:
    digest = hashlib.sha256(str(partitions).encode())
    for table in tables:
        digest.update(str([(field.name, str(field.type)) for field in table.schema]).encode())
        for column in table.columns:
            array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
            _hash_values(digest, array)
    return digest.hexdigest()[:_ID_CHARACTERS]


def _hash_values(digest: hashlib._Hash, array: pa.Array) -> None:
    """Adds the values, never the padding of Arrow's buffers or what lies beneath a null."""
    if pa.types.is_string(array.type):
        filled = array.fill_null("")
        digest.update(pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes())
        digest.update(pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0].as_buffer())
    else:
        numbers = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
        digest.update(numbers.fill_null(0).to_numpy(zero_copy_only=False).tobytes())


def _manifest(snapshot: str, tables: CleanTables, source: str, clock: Clock, partitions: int) -> Manifest:
    span = pc.min_max(tables.interactions["timestamp"].cast(pa.int64()))
    return Manifest(
        snapshot=snapshot,
        source=source,
        clock=clock,
        partitions=partitions,
        rows={name: getattr(tables, name).num_rows for name in TABLES},
        first_timestamp=span["min"].as_py() // 1000,
        last_timestamp=span["max"].as_py() // 1000,
        profile_columns=tuple(tables.users.column_names[1:]),
        item_columns=tuple(tables.items.column_names[len(ITEMS) :]),
        rules=[dataclasses.asdict(rule) for rule in tables.rules],
    )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Holds the folder's lock, which the kernel gives back even after kill -9."""
    try:
        (root / "snapshots").mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{root} is a file where a folder of tables was expected; give another folder") from None
    with open(root / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another ingest is writing into {root}; wait for its end or give another folder") from None
        yield


def _is_complete(tables: TableSet) -> bool:
    for name, rows in tables.manifest.rows.items():
        try:
            written = sum(pq.read_metadata(path).num_rows for path in tables.parts(name))
        except (FileNotFoundError, pa.ArrowInvalid):
            return False
        if written != rows:
            return False
    return True


def _write_snapshot(tables: TableSet, parts: dict[str, Partitioned], rejected: dict[str, pa.Table]) -> None:
    aside = tables.snapshot.with_name(f".tmp-{os.getpid()}-{tables.manifest.snapshot}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        for name, part in parts.items():
            _write_parts(part, aside / name, tables.manifest.partitions)
        (aside / "rejected").mkdir()
        for name, rows in rejected.items():
            pq.write_table(rows, aside / "rejected" / f"{name}.parquet", compression="zstd")
        if tables.snapshot.exists():  # damaged by hand
            tables.snapshot.rename(aside / "damaged")
        aside.rename(tables.snapshot)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_parts(part: Partitioned, folder: Path, partitions: int) -> None:
    folder.mkdir()
    for index in range(partitions):
        begin, end = part.bounds[index], part.bounds[index + 1]
        pq.write_table(part.rows.slice(begin, end - begin), folder / part_name(index, partitions), compression="zstd")


def _put_in_force(tables: TableSet) -> None:
    path = tables.root / "manifest.json"
    previous = read_table_set(tables.root).manifest.snapshot if path.exists() else None
    text = json.dumps(dataclasses.asdict(tables.manifest), ensure_ascii=False, indent=1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        aside = path.with_name(".tmp-manifest.json")
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    _delete_leftovers(tables, previous)


def _delete_leftovers(tables: TableSet, previous: str | None) -> None:
    """Deletes what killed ingests left and, after a change, every snapshot but this one and the previous."""
    (tables.root / ".tmp-manifest.json").unlink(missing_ok=True)
    is_changed = previous != tables.manifest.snapshot
    for folder in tables.snapshot.parent.iterdir():
        is_old = re.fullmatch(rf"[0-9a-f]{{{_ID_CHARACTERS}}}", folder.name) is not None
        is_old &= is_changed and folder.name not in (previous, tables.manifest.snapshot)
        if is_old or folder.name.startswith(".tmp-"):
            shutil.rmtree(folder)
