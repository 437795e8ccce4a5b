"""Data files of a folder, a glob or a name."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from tfrec.errors import DataError

_LOGGER = logging.getLogger(__name__)

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
CSV = (".csv", ".tsv", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
_MAPPINGS = (".yaml", ".yml")  # beside the files of `path: .`
_RUN_MARKS = ("metadata.sqlite", "work")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def find_files(paths: Sequence[Path], any_suffix: bool = False) -> list[Path]:
    """List the data files of files, folders (any depth, linked ones too) and globs, each once.

    Files of a folder need a known suffix, or none at all under `any_suffix`. Left out there are
    names that begin with . or _, and what tfrec wrote. Sorted within a path, by the
    numbers in the names. DataError for a path without any file.
    """
    return list(dict.fromkeys(file for path in paths for file in _find(path, any_suffix)))


def warn_of_left_out(paths: Sequence[Path]) -> None:
    """Warn of files whose suffix is not known, in the folders of `find_files`."""
    read = set(find_files(paths))
    left_out = [file for path in paths for file in _find(path, any_suffix=True) if file not in read]
    if left_out:
        _LOGGER.warning(
            f"files left out for their suffix: {len(left_out):,}, such as {left_out[0]}; give `format` to read all"
        )


def data_suffix(path: Path) -> str:
    """Suffix of a file's name in lower case, without that of a compression."""
    name = path.name.lower()
    for suffix in COMPRESSED:
        if name.endswith(suffix) and Path(name.removesuffix(suffix)).suffix:
            name = name.removesuffix(suffix)
    return Path(name).suffix


def partition_values(path: Path) -> dict[str, str | None]:
    """Columns in the names of the file's folders: {"dt": "2024-03-01"} of dt=2024-03-01/."""
    pairs = [part.partition("=") for part in path.parent.parts]
    values = {name: unquote(value) for name, equals, value in pairs if name and equals}
    return {name: None if value in ("", _NULL_PARTITION) else value for name, value in values.items()}


def is_own(folder: Path) -> bool:
    """Whether tfrec wrote a folder: ingested tables, or what a run leaves."""
    has_tables = (folder / "manifest.json").is_file() and (folder / "snapshots").is_dir()
    marks = itertools.chain.from_iterable((folder / "pipelines").glob(f"*/{name}") for name in _RUN_MARKS)
    return has_tables or any(marks)


def _find(path: Path, any_suffix: bool) -> list[Path]:
    folders = []
    if path.exists():  # first: a folder's name may hold * or [
        files = [] if path.is_dir() else [path]
        folders = [path] if path.is_dir() else []
    else:
        matched = [Path(name) for name in glob.glob(_escape_existing(path), recursive=True)]
        folders = [one for one in matched if one.is_dir() and "**" not in path.parts]
        files = _without_own([one for one in matched if one.is_file() and not one.name.startswith("_")], path)
    below = [file for folder in folders for file in _walk(folder)]
    files += [file for file in below if _is_data(file, any_suffix)]
    if not files:
        raise DataError(f"{path} matches no CSV, JSON or Parquet file; correct the path in the mapping")
    return sorted(files, key=_natural_order)


def _is_data(file: Path, any_suffix: bool) -> bool:
    suffix = data_suffix(file)
    return suffix not in _MAPPINGS if any_suffix else suffix in CSV + JSON + PARQUET + COMPRESSED


def _without_own(files: list[Path], pattern: Path) -> list[Path]:
    """Files that are in no folder of tfrec below the part of a pattern that exists."""
    base = next((parent for parent in pattern.parents if parent.exists()), Path())
    folders = {folder for file in files for folder in file.parents if base in folder.parents}
    own = {folder for folder in folders if is_own(folder)}
    return [file for file in files if own.isdisjoint(file.parents)]


def _natural_order(path: Path) -> tuple[list[list[str | int]], str]:
    """Key of a path by which part-2 comes before part-10."""
    parts = [re.split(r"([0-9]+)", part) for part in path.parts]
    return [[int(word) if n % 2 else word for n, word in enumerate(words)] for words in parts], str(path)


def _escape_existing(path: Path) -> str:
    """Pattern of a glob in which the characters of folders that exist stand for themselves."""
    existing = next((parent for parent in path.parents if parent.exists()), Path())
    return str(Path(glob.escape(str(existing))) / path.relative_to(existing))


def _walk(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder above
        return
    for path in _list(folder):
        if path.name.startswith((".", "_")):
            continue
        if not path.exists():
            raise DataError(f"{path} is a link to {os.readlink(path)}, which is missing; repair or remove the link")
        if path.is_dir():
            if not is_own(path):
                yield from _walk(path, (*above, real))
        elif path.is_file():
            yield path


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} can't be listed ({error.strerror}); make it readable") from None
