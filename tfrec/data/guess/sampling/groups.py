"""Files of equal columns, grouped into the tables that they are parts of."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tfrec.data.guess.sampling.column import Column
from tfrec.data.guess.sampling.nested import none_where_missing
from tfrec.data.guess.sampling.sample import Sample, read_sample
from tfrec.errors import DataError

_MOST_SAMPLED_FILES = 6
_MOST_COLUMNS = 400
_NUMBERS = r"(?<![A-Za-z])(?=[0-9a-f]*\d)[0-9a-f]{4,}(?![A-Za-z])|\d+"  # the parts of a UUID too
_SAME_COLUMNS = 0.7  # of two files of a series, for a later one may have columns more
_SAME_JSON_COLUMNS = 0.5  # optional keys may be missing on a day


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Files of one table and their sampled rows."""

    files: tuple[Path, ...]
    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """Name of the first file, or of its folder where the file's own says nothing: part-0."""
        return self.files[0].name

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the sampled rows that hold any value."""
        frame = pd.concat([sample.frame for sample in self.samples], ignore_index=True)
        frame = none_where_missing(frame)
        columns = [Column(str(name), frame[name]) for name in frame.columns[:_MOST_COLUMNS]]
        return tuple(column for column in columns if column.known)

    @property
    def first(self) -> Sample:
        """The sample whose layout stands for all files."""
        return self.samples[0]

    @property
    def sampled_rows(self) -> int:
        """Number of rows that the guesses rest on."""
        return sum(len(sample.frame) for sample in self.samples)

    @property
    def is_complete(self) -> bool:
        """Whether every row of every file is sampled."""
        return len(self.samples) == len(self.files) and all(sample.is_complete for sample in self.samples)

    @property
    def rows(self) -> int:
        """Rows of all files, estimated where not all are sampled."""
        return round(sum(sample.rows for sample in self.samples) * len(self.files) / len(self.samples))

    def column(self, name: str) -> Column | None:
        """The column of that name, None if there is none."""
        return next((column for column in self.columns if column.name == name), None)


def group_files(files: Sequence[Path]) -> tuple[list[Group], dict[Path, str]]:
    """Group files into tables; also the files that hold none, with the reason."""
    families: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        families.setdefault((file.parent, _pattern(file.name)), []).append(file)
    ignored: dict[Path, str] = {}
    groups: list[Group] = []
    for family in families.values():
        for group in _group_family(family, ignored):
            _join_group(groups, group)
    return [_without_copies(group, ignored) for group in groups], ignored


def _pattern(name: str) -> str:
    """Name with numbers replaced, so that the days of a log are one family."""
    return re.sub(_NUMBERS, "#", name)


def _group_family(family: list[Path], ignored: dict[Path, str]) -> list[Group]:
    """Groups of one family; of many files, only some are sampled."""
    groups: list[Group] = []
    n = len(family)
    sampled = {round(i * (n - 1) / (_MOST_SAMPLED_FILES - 1)) for i in range(_MOST_SAMPLED_FILES)}
    rest: list[Path] = []
    for index, file in enumerate(family):
        if n > _MOST_SAMPLED_FILES and index not in sampled:
            rest.append(file)
            continue
        try:
            sample = read_sample(file)
        except DataError as error:
            ignored[file] = str(error).removeprefix(f"{file} ")
            continue
        _join_group(groups, Group((file,), (sample,)))
    if groups and rest:
        widest = max(range(len(groups)), key=lambda index: len(groups[index].files))
        group = groups[widest]
        groups[widest] = Group(tuple(sorted([*group.files, *rest])), group.samples)
    return groups


def _join_group(groups: list[Group], new: Group) -> None:
    for index, group in enumerate(groups):
        if _are_alike(group.first, new.first):
            files = tuple(sorted({*group.files, *new.files}))
            groups[index] = Group(files, (*group.samples, *new.samples))
            return
    groups.append(new)


def _without_copies(group: Group, ignored: dict[Path, str]) -> Group:
    """Leave out files whose rows are all in the largest one, such as its part for a test."""
    if len(group.samples) == 1 or not group.is_complete:
        return group
    largest = max(group.samples, key=lambda sample: sample.rows)
    known = set(_row_hashes(largest))
    copies = {s.path for s in group.samples if s is not largest and known.issuperset(_row_hashes(s)) and s.rows}
    ignored |= dict.fromkeys(sorted(copies), f"all of its rows are in {largest.path.name} too")
    samples = tuple(sample for sample in group.samples if sample.path not in copies)
    return Group(tuple(file for file in group.files if file not in copies), samples)


def _row_hashes(sample: Sample) -> list[int]:
    hashes: list[int] = pd.util.hash_pandas_object(sample.frame, index=False).tolist()
    return hashes


def _are_alike(one: Sample, other: Sample) -> bool:
    if one.format != other.format or one.has_names != other.has_names or one.explode != other.explode:
        return False
    names, other_names = list(one.frame.columns), list(other.frame.columns)
    if not one.has_names:
        return len(names) == len(other_names) and one.layout is not None and _shapes(one) == _shapes(other)
    delimiters = {sample.layout.delimiter for sample in (one, other) if sample.layout}
    if len(delimiters) > 1:
        return False
    same = len(set(names) & set(other_names)) / max(len({*names, *other_names}), 1)
    least = _SAME_JSON_COLUMNS if one.format == "json" else _SAME_COLUMNS
    return same == 1 or (same >= least and _pattern(one.path.name) == _pattern(other.path.name))


def _shapes(sample: Sample) -> tuple[object, ...]:
    """Delimiter and, for each column, whether it holds numbers, and how wide they are."""
    columns = [Column(str(name), sample.frame[name]) for name in sample.frame.columns]
    delimiter = sample.layout.delimiter if sample.layout else ""
    return (delimiter, *((column.number_share > 0.9, column.mean_length > 30) for column in columns))
