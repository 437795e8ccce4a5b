"""Numbers as people write them: decimal commas, thousands separators, currencies, dashes.

A file's column has a decimal comma or a decimal point. Values such as 1,50 or 1.234,5 speak for the
comma, 1.50 or 1,234.5 for the point; the majority of the file's distinct values decides how 1,234
is read. Without any such value, 1,234 is a thousand and 1.234 a fraction. A value that is no
number, and one beyond float32, becomes null.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrec.data.values.currencies import without_currency

MISSING_WORDS = frozenset("- -- — – − ? na n/a n.a. #n/a nan null (null) nil none <na> undefined \\n".split())
"""Words in lower case that mean an unknown number."""

_COMMA = re.compile(r"^[+-]?(\d*,(\d{1,2}|\d{4,})|0,\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})$")
_POINT = re.compile(r"^[+-]?(\d*\.(\d{1,2}|\d{4,})|0\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})$")
_GROUPED = re.compile(r"^[+-]?(\d{1,3}(,\d{2,3})*,\d{3}|\d+)(\.\d*)?$|^[+-]?\.\d+$")  # with a decimal point
_UNCLEAR = re.compile(r"^[+-]?\d{1,3}[.,]\d{3}$")  # a thousand or a fraction


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A column as numbers, with the text of values that are none."""

    values: pa.ChunkedArray  # null where unknown
    missing: int  # rows with a word for a missing number
    unreadable: int  # rows whose text is no number
    example: str = ""  # an unreadable text
    unclear: str = ""  # a text such as 1,234 in a file where no value says what its comma is


@dataclasses.dataclass(frozen=True)
class _Readings:
    """Distinct texts read with a decimal point and with a decimal comma, [values] each."""

    by_point: np.ndarray  # float64, NaN where a text is no number
    by_comma: np.ndarray
    is_point: np.ndarray  # bool, true where a text can only be read so
    is_comma: np.ndarray
    is_unclear: np.ndarray


def read_numbers(column: pa.ChunkedArray, kind: pa.DataType, file_rows: Sequence[int] = ()) -> Numbers:
    """Read the text of numbers as type `kind`, a float or an integer.

    `file_rows` are the rows of each file of the column, which may be written in different ways.
    """
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    texts = [text.strip() for text in coded.dictionary.to_pylist()]
    is_word = np.array([text == "" or text.lower() in MISSING_WORDS for text in texts] + [False], bool)
    readings = _read(["nan" if is_none else text for text, is_none in zip([*texts, "nan"], is_word, strict=True)])
    rows = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    values, unclear = _choose(readings, rows, file_rows)
    is_wrong = ~is_word[rows] & (rows < len(texts)) & ~_fits(values, kind)
    values[is_wrong] = np.nan
    return Numbers(
        pa.chunked_array([pa.array(values, mask=np.isnan(values)).cast(kind, safe=False)]),
        missing=int(is_word[rows].sum()),
        unreadable=int(is_wrong.sum()),
        example=texts[rows[int(np.argmax(is_wrong))]] if is_wrong.any() else "",
        unclear=texts[unclear] if unclear >= 0 else "",
    )


def _fits(numbers: np.ndarray, kind: pa.DataType) -> np.ndarray:
    if pa.types.is_integer(kind):
        with np.errstate(invalid="ignore"):
            return np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2**31)
    return np.abs(numbers) <= np.finfo(np.float32).max  # false for NaN


def _choose(readings: _Readings, rows: np.ndarray, file_rows: Sequence[int]) -> tuple[np.ndarray, int]:
    """Each file's rows as most of its clear values are written, and the index of an unclear text.

    -1 if there is none: an unclear text is read with a point, which other files may speak for.
    """
    values = readings.by_point[rows]
    if not (readings.is_comma.any() or readings.is_unclear.any()):
        return values, -1
    unclear, is_contradicted = -1, not readings.is_point.any()
    ends = np.cumsum(file_rows) if len(file_rows) else [len(rows)]
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        distinct = np.unique(rows[begin:end])
        commas, points = int(readings.is_comma[distinct].sum()), int(readings.is_point[distinct].sum())
        if commas > points:
            values[begin:end] = readings.by_comma[rows[begin:end]]
            is_contradicted = True
        elif not commas + points and readings.is_unclear[distinct].any():
            unclear = int(distinct[int(np.argmax(readings.is_unclear[distinct]))])
    return values, unclear if is_contradicted else -1


def _read(texts: list[str]) -> _Readings:
    plain = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").astype("float64").to_numpy(copy=True)
    is_odd = np.isnan(plain) & np.array([text != "nan" for text in texts])
    if not is_odd.any():
        return _read_plain(texts, plain)
    written = [without_currency(text) for text in texts]
    is_comma, is_point, is_unclear = (_match(pattern, written) for pattern in (_COMMA, _POINT, _UNCLEAR))
    by_point, by_comma = plain.copy(), plain
    for index in np.flatnonzero(is_odd | is_comma):
        by_point[index] = _to_float(written[index], bool(is_comma[index]))
    signs = np.array(["." in text or "," in text for text in written], bool) & ~is_point
    for index in np.flatnonzero(is_odd | is_comma | signs):
        by_comma[index] = _to_float(written[index], bool(is_comma[index] or signs[index]))
    return _Readings(by_point, by_comma, is_point, is_comma, is_unclear)


def _read_plain(texts: list[str], numbers: np.ndarray) -> _Readings:
    """Readings of numbers that Python writes so; their points are looked at until one is clear."""
    pointed = [text if "." in text else "" for text in texts]
    is_clear = any(text and _POINT.match(text) for text in pointed)
    none = np.zeros(len(texts), bool)
    return _Readings(
        numbers, numbers, ~none if is_clear else none, none, none if is_clear else _match(_UNCLEAR, pointed)
    )


def _match(pattern: re.Pattern[str], texts: list[str]) -> np.ndarray:
    return np.array([bool(pattern.match(text)) for text in texts], bool)


def _to_float(text: str, has_comma: bool) -> float:
    if has_comma:
        text = text.translate(str.maketrans(",.", ".,"))
    return float(text.replace(",", "")) if _GROUPED.match(text) else np.nan
