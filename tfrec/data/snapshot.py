"""Write clean tables as a sorted, partitioned snapshot, and make it current by one rename.

A snapshot's name is a hash of its content, so the same data gives the same folder. An existing
complete folder stays untouched, because TFX's cache looks at the files' times. A new snapshot is
written to a temporary folder and renamed; manifest.json is replaced last. Files are
on the disk before they are renamed. The current tables stay
readable if the process is killed at any time. Only the previous snapshot is kept beside the
current.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.atomic_file import sync, write_text
from tfrec.data.arrow import is_vector
from tfrec.data.clean import CleanTables
from tfrec.data.partitions import ID_CHARACTERS, Partitioned, hash_content, partition
from tfrec.errors import DataError
from tfrec.schema import (
    INTERACTIONS,
    ITEMS,
    POSITIVE_KINDS,
    USERS,
    Clock,
    Manifest,
    TableSet,
    part_name,
    read_table_set,
)

_LOGGER = logging.getLogger(__name__)


def write_snapshot(tables: CleanTables, root: Path, source: str, clock: Clock, partitions: int) -> TableSet:
    """Write the tables to `root` and make them current.

    DataError while another ingest runs, and where the disk is full or read-only.
    """
    parts = {
        "interactions": partition(tables.interactions, "user_id", partitions),
        "users": partition(tables.users, "user_id", partitions),
        "items": partition(tables.items, "item_id", partitions),
    }
    n_tables = len(parts)
    parts |= {name: partition(rows, "item_id", partitions) for name, rows in tables.dated.items()}
    hashes = hash_content([*(part.rows for part in parts.values()), *tables.rejected.values()], partitions)
    manifest = _make_manifest(hashes[-1], tables, source, clock, partitions)
    result = TableSet(root, dataclasses.replace(manifest, model_data=hashes[n_tables - 1]))
    with _translated_errors(root), _exclusive_lock(root):
        if not _is_complete(result):
            _write_folder(result, parts, tables.rejected)
        _make_current(result)
    return result


@contextlib.contextmanager
def _translated_errors(root: Path) -> Iterator[None]:
    """Turn an OSError, such as of a full disk, into a DataError that says what stays in force."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise DataError(
            f"{root} can't be written ({reason}); former tables stay in force; free space there, or give another folder"
        ) from None


def _make_manifest(snapshot: str, tables: CleanTables, source: str, clock: Clock, partitions: int) -> Manifest:
    is_used = pc.is_in(tables.interactions["kind"], pa.array(POSITIVE_KINDS))
    span = pc.min_max(tables.interactions["timestamp"].filter(is_used).cast(pa.int64()))
    return Manifest(
        snapshot=snapshot,
        source=source,
        clock=clock,
        partitions=partitions,
        rows={name: rows.num_rows for name, rows in tables.by_name().items()},
        first_timestamp=span["min"].as_py() // 1000,
        last_timestamp=span["max"].as_py() // 1000,
        profile_columns=_further_columns(tables.users, USERS, pa.types.is_string),
        item_columns=_further_columns(tables.items, ITEMS, pa.types.is_string),
        rules=[dataclasses.asdict(rule) for rule in tables.rules],
        interaction_columns=tuple(tables.interactions.column_names[len(INTERACTIONS) :]),
        item_numbers=_further_columns(tables.items, ITEMS, pa.types.is_floating),
        item_vectors=_further_columns(tables.items, ITEMS, is_vector),
        user_numbers=_further_columns(tables.users, USERS, pa.types.is_floating),
        user_vectors=_further_columns(tables.users, USERS, is_vector),
    )


def _further_columns(rows: pa.Table, schema: pa.Schema, is_type: Callable[[pa.DataType], bool]) -> tuple[str, ...]:
    return tuple(field.name for field in rows.schema if field.name not in schema.names and is_type(field.type))


@contextlib.contextmanager
def _exclusive_lock(root: Path) -> Iterator[None]:
    """Lock the folder; the kernel releases the lock even after kill -9."""
    try:
        (root / "snapshots").mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{root} is a file, expected a folder; give another path") from None
    with open(root / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"another ingest is writing into {root}; wait until it ends, or give another folder"
            ) from None
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


def _write_folder(tables: TableSet, parts: dict[str, Partitioned], rejected: dict[str, pa.Table]) -> None:
    temporary = tables.snapshot.with_name(f".tmp-{os.getpid()}-{tables.manifest.snapshot}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        for name, part in parts.items():
            _write_parts(part, temporary / name, tables.manifest.partitions)
        (temporary / "rejected").mkdir()
        for name, rows in rejected.items():
            pq.write_table(rows, temporary / "rejected" / f"{name}.parquet", compression="zstd")
        _sync_files(temporary)
        if tables.snapshot.exists():  # an incomplete copy
            tables.snapshot.rename(temporary / "damaged")
        temporary.rename(tables.snapshot)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_parts(part: Partitioned, folder: Path, partitions: int) -> None:
    folder.mkdir()
    for index in range(partitions):
        begin, end = part.bounds[index], part.bounds[index + 1]
        rows = _decode(part.rows.slice(begin, end - begin))
        pq.write_table(rows, folder / part_name(index, partitions), compression="zstd")


def _decode(rows: pa.Table) -> pa.Table:
    """The rows with text in place of dictionaries."""
    types = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in rows.schema]
    fields = [pa.field(f.name, kind, f.nullable) for f, kind in zip(rows.schema, types, strict=True)]
    return rows if types == rows.schema.types else rows.cast(pa.schema(fields))


def _sync_files(folder: Path) -> None:
    """Write the files and folders to the disk: a power cut after the rename must not empty them."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def _make_current(tables: TableSet) -> None:
    path = tables.root / "manifest.json"
    previous = _previous_snapshot(tables)
    text = json.dumps(dataclasses.asdict(tables.manifest), ensure_ascii=False, indent=1)
    if not path.exists() or path.read_bytes() != text.encode():
        write_text(path, text)
    _delete_leftovers(tables, previous)


def _previous_snapshot(tables: TableSet) -> str | None:
    """Name of the current snapshot; of a damaged manifest the new one, so that none is deleted."""
    if not (tables.root / "manifest.json").exists():
        return None
    try:
        return read_table_set(tables.root).manifest.snapshot
    except DataError as error:
        _LOGGER.warning(f"{error.args[0].partition(';')[0]}; it is replaced")
        return tables.manifest.snapshot


def _delete_leftovers(tables: TableSet, previous: str | None) -> None:
    """Delete temporary files and, if the snapshot changed, all but the current and previous one."""
    (tables.root / ".tmp-manifest.json").unlink(missing_ok=True)
    is_changed = previous != tables.manifest.snapshot
    for folder in tables.snapshot.parent.iterdir():
        is_old = re.fullmatch(rf"[0-9a-f]{{{ID_CHARACTERS}}}", folder.name) is not None
        is_old &= is_changed and folder.name not in (previous, tables.manifest.snapshot)
        if is_old or folder.name.startswith(".tmp-"):
            shutil.rmtree(folder)
