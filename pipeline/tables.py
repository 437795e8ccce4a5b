"""Ingest of a shop's files where it is needed: without tables, or after a change of the files.

`ingested.json` beside the tables' manifest records what was read: the shop's file and its tables,
the sizes and times of the raw files, the code, and the snapshot that resulted. A needless ingest
trains nothing again, since equal content gives the same snapshot.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.configuration import run_of
from pipeline.nodes import fingerprint
from pipeline.run_checks import check_data, check_folders
from pipeline.run_file import RunFile, find_run, write_owner
from pipeline.runs import Run, other_file, path_from
from tfrec.atomic_file import write_text
from tfrec.console import log
from tfrec.data import ingest as library
from tfrec.data import mapping as mappings
from tfrec.data.readers.find import find_files
from tfrec.errors import ConfigError, DataError
from tfrec.schema import read_table_set

RECORD = "ingested.json"
_CODE = "tfrec.data.ingest"
_SOURCE_CODE = "tfrec.data.sources.complete_journey"


def ready_run(name: str) -> Run:
    """The run of a shop's file or name, over tables that are ingested where needed, checked."""
    file = find_run(name)
    check_folders(file)
    return ready_run_of(file)


def ready_run_of(file: RunFile) -> Run:
    """The run of a file whose folders were checked; as `ready_run`."""
    write_owner(file)
    reason = why_ingest(file)
    if reason:
        log(f"ingest into {file.tables}: {reason}")
        print(ingest(file), flush=True)
    run = run_of(file)
    check_data(run)
    return run


def ingest(file: RunFile) -> library.IngestReport:
    """Ingest the tables of a file; raises ConfigError when it names none."""
    if not file.source and file.mapping is None:
        raise ConfigError(f"{file.file or file.name} has no `interactions`; name at least their path and columns")
    record = _record(file)
    _check_owner(file, _read(file.tables), record)
    report = _ingest(file)
    record["snapshot"] = report.tables.manifest.snapshot
    write_text(Path(file.tables) / RECORD, json.dumps(record, ensure_ascii=False, indent=1))
    return report


def why_ingest(file: RunFile) -> str:
    """Why the tables of a file are to be ingested; "" if they are current or it names none.

    Raises ConfigError for a folder with the tables of another shop's file.
    """
    if not file.source and file.mapping is None:
        return ""
    before, now = _read(file.tables), _record(file)
    _check_owner(file, before, now)
    if not (Path(file.tables) / "manifest.json").exists():
        return "there are no tables yet"
    try:
        tables = read_table_set(file.tables)
    except DataError:
        return "manifest.json is damaged"
    if not all(path.exists() for name in tables.manifest.rows for path in tables.parts(name)):
        return "files of the tables are missing"
    if not before:
        return "no record says from which files its tables were made"
    if before.get("snapshot") != tables.manifest.snapshot:
        return "other tables were ingested there since"
    return _difference(before, now)


def _ingest(file: RunFile) -> library.IngestReport:
    if file.mapping is not None:
        return library.ingest(file.mapping, file.tables, file.partitions)
    from tfrec.data.sources import complete_journey

    return library.ingest_tables(complete_journey.load(), file.tables, str(file.source), file.partitions)


def _record(file: RunFile) -> dict[str, Any]:
    """What the tables are made of: mapping or source, raw files, partitions, code."""
    folder = Path(file.file).parent
    files = {os.path.relpath(path, folder): path.stat() for path in _raw_files(file.mapping)} if file.mapping else {}
    return {
        "file": path_from(file.tables, file.file) if file.mapping else "",
        "mapping": hashlib.sha256(json.dumps([file.source, file.raw_tables]).encode()).hexdigest()[:16],
        "partitions": file.partitions,
        "code": fingerprint.code(_CODE, *([_SOURCE_CODE] if file.source else [])),
        "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in files.items()},
    }


def _check_owner(file: RunFile, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ConfigError for tables of another file, unless it is in the same folder and equal."""
    other = other_file(file.tables, str(before.get("file", "")), file.file if file.mapping else "")
    if other and (other.parent != Path(file.file).resolve().parent or before.get("mapping") != now["mapping"]):
        raise ConfigError(
            f"`tables` is {file.tables}, which holds the tables of {other}; name another folder by `tables` in "
            f"{file.file}, or rename it"
        )


def _raw_files(mapping: mappings.Mapping) -> Iterator[Path]:
    for table in (*mapping.interactions, mapping.items, mapping.users, *mapping.dated.values()):
        if table is not None:
            yield from find_files(table.paths, any_suffix=bool(table.options.format))


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two records, in words; "" for nothing."""
    for key, text in (
        ("mapping", "the mapping changed"),
        ("partitions", "the number of partitions changed"),
        ("code", "the code of the ingest changed"),
    ):
        if before.get(key) != now[key]:
            return text
    old, new = before.get("files", {}), now["files"]
    groups = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    return "; ".join(f"{word}: {_few(names)}" for word, names in groups.items() if names)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more files" if len(names) > 3 else "")


def _read(tables: str) -> dict[str, Any]:
    """The record in a folder of tables; {} without a readable one."""
    try:
        record = json.loads((Path(tables) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else {}
