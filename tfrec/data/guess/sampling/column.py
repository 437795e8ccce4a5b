"""A sampled column and the facts of its values."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.data.guess.lexicon import is_missing_word
from tfrec.data.values.numbers import read_numbers

UNIQUE = 0.97
"""Distinct values per row, from which a column is a key; a few rows may repeat."""

_FIRST_TEXTS = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """Name and sampled values of a column."""

    name: str
    values: pd.Series  # [rows] text, None where missing

    @functools.cached_property
    def counts(self) -> pd.Series:
        """Rows of each known value, the most common first; words for "unknown" are left out."""
        counts = self.values.value_counts()
        return counts[[not is_missing_word(str(value)) for value in counts.index]]

    @functools.cached_property
    def missing_words(self) -> tuple[str, ...]:
        """Words for "unknown" among the values."""
        return tuple(sorted(value for value in self.values.dropna().unique() if is_missing_word(str(value))))

    @property
    def known(self) -> int:
        """Number of rows with a value."""
        return int(self.counts.sum())

    @property
    def known_share(self) -> float:
        """Share of rows with a value."""
        return self.known / max(len(self.values), 1)

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @property
    def unique_share(self) -> float:
        """Different values per row with a value; 1 if none repeats."""
        return self.distinct / max(self.known, 1)

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """[distinct] float64 of the values in plain or localized notation, NaN for text."""
        return to_numbers(self.texts)

    @functools.cached_property
    def texts(self) -> pd.Series:
        """[distinct] known values, the most common first."""
        return pd.Series(self.counts.index.astype(str), dtype=object)

    @property
    def number_share(self) -> float:
        """Share of the known rows that hold a number."""
        return self._row_share(np.isfinite(self.numbers))

    @property
    def whole_share(self) -> float:
        """Share of the known rows that hold a whole number."""
        finite = np.where(np.isfinite(self.numbers), self.numbers, 0.5)
        return self._row_share(np.floor(finite) == finite)

    @property
    def mean_length(self) -> float:
        """Mean number of characters of the known values."""
        lengths = self.texts.str.len().to_numpy(dtype="float64")
        return float(np.average(lengths, weights=self.counts.to_numpy())) if self.known else 0.0

    @property
    def is_constant(self) -> bool:
        """Whether there is at most one value."""
        return self.distinct <= 1

    @property
    def median(self) -> float:
        """Median of the numbers over the rows."""
        is_number = np.isfinite(self.numbers)
        return float(np.median(np.repeat(self.numbers[is_number], self.counts.to_numpy()[is_number])))

    def share_between(self, low: float, high: float) -> float:
        """Share of the known rows that hold a number from `low` to `high`."""
        numbers = np.where(np.isfinite(self.numbers), self.numbers, np.inf)
        return self._row_share((numbers >= low) & (numbers <= high))

    def share_matching(self, pattern: str) -> float:
        """Share of the known rows whose whole text matches a regular expression."""
        return self._row_share(self.texts.str.fullmatch(pattern).to_numpy(dtype=bool))

    def share_in(self, other: Column) -> float:
        """Share of the known rows whose value is a value of another column."""
        return self._row_share(self.counts.index.isin(other.counts.index))

    def likeness(self, other: Column) -> float:
        """Values in both columns per value in any of them (Jaccard)."""
        both = len(self.counts.index.intersection(other.counts.index))
        return both / max(self.distinct + other.distinct - both, 1)

    def _row_share(self, is_counted: np.ndarray) -> float:
        return float(self.counts.to_numpy()[is_counted].sum()) / max(self.known, 1)


def to_numbers(texts: pd.Series) -> np.ndarray:
    """[values] float64, NaN where a text is no number; all NaN where few first texts are one."""
    first = _read(texts.iloc[:_FIRST_TEXTS])
    if len(texts) <= _FIRST_TEXTS or np.isnan(first).mean() > 0.5:
        return np.append(first, np.full(len(texts) - len(first), np.nan))
    return _read(texts)


def _read(texts: pd.Series) -> np.ndarray:
    column = pa.chunked_array([pa.array(texts, pa.string())])
    return read_numbers(column, pa.float64()).values.to_numpy().astype("float64")


def count_words(column: Column) -> str:
    """Number of distinct values of a column, in words."""
    return f"{column.distinct:,} distinct value{'s' if column.distinct != 1 else ''}"


def dependence(keys: Column, values: Column) -> float:
    """How far a key decides a value: 0 not at all, 1 always (Goodman and Kruskal's lambda)."""
    frame = pd.DataFrame({"key": keys.values, "value": values.values}).dropna()
    pairs = frame.groupby(["key", "value"], sort=False).size()
    rows = len(frame)
    if not rows:
        return 0.0
    known = float(pairs.groupby(level=0, sort=False).max().sum()) / rows
    most_common = float(frame["value"].value_counts().max()) / rows
    return 1.0 if known == 1.0 else (known - most_common) / (1.0 - most_common)


def mean_repeats(keys: Column) -> float:
    """Rows per value: near 1 says that a dependence on this key proves nothing."""
    return keys.known / max(keys.distinct, 1)


def is_on_one_row(column: Column, groups: Column) -> bool:
    """Whether groups of several rows have a value on one of them alone."""
    frame = pd.DataFrame({"group": groups.values, "is_known": column.values.notna()}).dropna()
    sizes = frame.groupby("group")["is_known"].agg(["size", "sum"])
    several = sizes[(sizes["size"] > 1) & (sizes["sum"] > 0)]
    return bool(len(several)) and float((several["sum"] == 1).mean()) > 0.5
