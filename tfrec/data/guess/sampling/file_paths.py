"""Paths of data files: found below folders, and written as a mapping names them."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from tfrec.data.readers.find import CSV, JSON, PARQUET, data_suffix, is_own
from tfrec.errors import DataError

_NO_DATA = (".md", ".pdf", ".html", ".htm", ".png", ".jpg", ".jpeg", ".py", ".yaml", ".yml", ".sh", ".log")
_NO_DATA_NAMES = ("readme", "license", "licence", "makefile", "changelog")


@dataclasses.dataclass(frozen=True)
class DataFiles:
    """All files of a shop, and the folder that the paths of its mapping are relative to."""

    files: tuple[Path, ...]
    base: Path

    def relative(self, file: Path) -> str:
        """Path of a file as the mapping writes it."""
        return Path(os.path.relpath(file, self.base)).as_posix()

    def path_of(self, files: tuple[Path, ...]) -> tuple[str, ...]:
        """Paths of some of the files as one file, glob or folder, or else all of them."""
        if len(files) == 1:
            return (self.relative(files[0]),)
        folders = {file.parent for file in files}
        if len(folders) == 1:
            folder = folders.pop()
            pattern = _glob_of([file.name for file in files])
            others = [file for file in self.files if file not in files and file.match(str(folder / pattern))]
            is_plain = not re.search(r"[\[\]?*]", self.relative(folder))
            if not others and is_plain and pattern != "*":
                return (self.relative(folder / pattern),)
        root = Path(os.path.commonpath([file.parent for file in files]))
        has_suffixes = all(data_suffix(file) in (*CSV, *JSON, *PARQUET) for file in files)
        if has_suffixes and all(file in files for file in self.files if file.is_relative_to(root)):
            return (self.relative(root),)
        return tuple(self.relative(file) for file in files)


def find_data_files(paths: Iterable[Path]) -> list[Path]:
    """List the files of folders (any depth) and files, sorted; DataError for a missing path."""
    found: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist; give a folder with the shop's files, or files")
        found |= {path} if path.is_file() else set(_files_below(path))
    return sorted(found)


def _glob_of(names: list[str]) -> str:
    start, end = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    return f"{glob.escape(start)}*{glob.escape(end)}"


def _common_start(names: list[str]) -> str:
    first, last = min(names), max(names)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _files_below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "_")) and not is_own(Path(parent) / name)]
        for name in names:
            path = Path(parent) / name
            if not name.startswith((".", "_")) and not _is_no_data(name) and path.is_file():
                yield path


def _is_no_data(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(_NO_DATA) or lower.split(".")[0] in _NO_DATA_NAMES
