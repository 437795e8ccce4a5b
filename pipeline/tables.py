"""Ingest of a shop's files where it is needed: without tables, or after a change of the files.

`ingested.json` beside the tables' manifest records what was read: the file's tables, the sizes and
times of the raw files and the code. A needless ingest trains nothing again, since equal content
gives the same snapshot.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tfrec
from pipeline.configuration import choose, run_of
from pipeline.run_checks import check_data, check_folders
from pipeline.run_file import RunFile, find_run
from pipeline.runs import Run
from tfrec.console import log
from tfrec.data import ingest as library
from tfrec.data.mapping import Mapping, TableMapping
from tfrec.data.readers.find import find_files
from tfrec.errors import ConfigError

RECORD = "ingested.json"
_CODE = Path(str(tfrec.__file__)).parent / "data"


def ready_run(name: str) -> Run:
    """The run of a shop's file or name, over tables that are ingested where needed, checked."""
    file = find_run(name)
    check_folders(file)
    reason = why_ingest(file)
    if reason:
        log(f"ingest into {file.tables}: {reason}")
        print(ingest(file), flush=True)
    if file.preset == "auto":
        choice = choose(file)
        log(f"preset {choice.preset}: {choice.reason}")
        file = dataclasses.replace(file, preset=choice.preset)
    run = run_of(file)
    check_data(run)
    return run


def ingest(file: RunFile) -> library.IngestReport:
    """Ingest the tables of a file; raises ConfigError when it names none."""
    if file.source:
        from tfrec.data.sources import complete_journey

        return library.ingest_tables(complete_journey.load(), file.tables, file.source, file.partitions)
    if file.mapping is None:
        raise ConfigError(f"{file.file or file.name} has no `interactions`; name at least their path and columns")
    record = _record(file, file.mapping)
    report = library.ingest(file.mapping, file.tables, file.partitions)
    _write(Path(file.tables) / RECORD, record)
    return report


def why_ingest(file: RunFile) -> str:
    """Why the tables of a file are to be ingested; "" if they are current or it names none."""
    if not file.source and file.mapping is None:
        return ""
    if not (Path(file.tables) / "manifest.json").exists():
        return "there are no tables yet"
    if file.mapping is None:
        return ""
    try:
        record = json.loads((Path(file.tables) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "no record says from which files its tables were made"
    return _difference(record, _record(file, file.mapping))


def _record(file: RunFile, mapping: Mapping) -> dict[str, Any]:
    """What the tables are made of: mapping, raw files, partitions, code."""
    folder = Path(file.file).parent
    files = {os.path.relpath(path, folder): path.stat() for path in _raw_files(mapping)}
    code = hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(_CODE.rglob("*.py"))))
    return {
        "mapping": hashlib.sha256(json.dumps(file.raw_tables).encode()).hexdigest()[:16],
        "partitions": file.partitions,
        "code": code.hexdigest()[:16],
        "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in files.items()},
    }


def _raw_files(mapping: Mapping) -> Iterator[Path]:
    for field in dataclasses.fields(mapping):
        value = getattr(mapping, field.name)
        for table in value if isinstance(value, tuple) else (value,):
            if isinstance(table, TableMapping):
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
    old, new = before["files"], now["files"]
    groups = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    return "; ".join(f"{word}: {_few(names)}" for word, names in groups.items() if names)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more files" if len(names) > 3 else "")


def _write(path: Path, record: dict[str, Any]) -> None:
    staging = path.with_suffix(".tmp")
    staging.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    staging.replace(path)
