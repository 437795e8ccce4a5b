"""Numbers as people write them: decimal commas, thousands separators, currencies, dashes.

A column has a decimal comma or a decimal point. Values such as 1,50 or 1.234,5 speak for the comma,
1.50 or 1,234.5 for the point; the majority of the distinct values decides how 1,234 is read.
Without any such value, 1,234 is a thousand and 1.234 a fraction. A value that is no number, and one
beyond float32, becomes null.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa

MISSING_WORDS = frozenset("- -- — – − ? na n/a n.a. #n/a nan null (null) nil none <na> undefined \\n".split())
"""Words in lower case that mean an unknown number."""

_SYMBOLS = "元|円|원|zł|kč|kr\\.?|rs\\.?|rmb|ft"
_CODES = (
    "aed|ars|aud|bgn|brl|cad|chf|clp|cny|cop|czk|dkk|egp|eur|gbp|hkd|huf|idr|ils|inr|jpy|krw|mxn|myr|nok|nzd|"
    "php|pln|ron|rub|sar|sek|sgd|thb|try|twd|uah|usd|vnd|zar"
)
_DOLLARS = re.compile(r"\b(us|r|a|c|ca|hk|nz|s|mx|nt)(?=\$)")
_CURRENCY = re.compile(rf"^({_SYMBOLS}|{_CODES})(?=[\s\d+-])|(?<=[\s\d])({_SYMBOLS}|{_CODES})$")
_PIECES = re.compile(r"(?<=\d)\s*(pcs?|pieces?|stk|stck|st|stück|szt|ea|each|units?|uds?|pz|шт|件|个|個)\.?$")
_NO_CENTS = re.compile(r"(?<=[.,])[-–—]+$")  # 5,-
_GROUPS_OF_BLANKS = re.compile(r"(?<=\d)[ '’](?=\d{3}(\D|$))")
_COMMA = re.compile(r"^[+-]?(\d*,(\d{1,2}|\d{4,})|0,\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})$")
_POINT = re.compile(r"^[+-]?(\d*\.(\d{1,2}|\d{4,})|0\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})$")
_GROUPED = re.compile(r"^[+-]?(\d{1,3}(,\d{2,3})*,\d{3}|\d+)(\.\d*)?$|^[+-]?\.\d+$")  # with a decimal point


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A column as numbers, with the text of values that are none."""

    values: pa.ChunkedArray  # null where unknown
    missing: int  # rows with a word for a missing number
    unreadable: int  # rows whose text is no number
    example: str = ""  # an unreadable text


def read_numbers(column: pa.ChunkedArray, kind: pa.DataType) -> Numbers:
    """Read the text of numbers as type `kind`, a float or an integer."""
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    texts = [text.strip() for text in coded.dictionary.to_pylist()]
    is_word = np.array([text == "" or text.lower() in MISSING_WORDS for text in texts], bool)
    numbers = np.full(len(texts), np.nan)
    numbers[~is_word] = _parse(pd.Series(texts, dtype=object)[~is_word])
    is_wrong = ~is_word & ~_fits(numbers, kind)
    numbers[is_wrong] = np.nan
    rows = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    values = np.append(numbers, np.nan)[rows]
    return Numbers(
        pa.chunked_array([pa.array(values, mask=np.isnan(values)).cast(kind, safe=False)]),
        missing=int(np.append(is_word, False)[rows].sum()),
        unreadable=int(np.append(is_wrong, False)[rows].sum()),
        example=texts[int(np.argmax(is_wrong))] if is_wrong.any() else "",
    )


def _fits(numbers: np.ndarray, kind: pa.DataType) -> np.ndarray:
    if pa.types.is_integer(kind):
        with np.errstate(invalid="ignore"):
            return np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2**31)
    return np.abs(numbers) <= np.finfo(np.float32).max  # false for NaN


def _parse(texts: pd.Series) -> np.ndarray:
    """[values] float64 of distinct texts, NaN where a text is no number."""
    plain = pd.to_numeric(texts, errors="coerce").astype("float64").to_numpy(copy=True)
    if not np.isnan(plain).any():
        return plain
    written = [_without_currency(text) for text in texts]
    is_comma = sum(bool(_COMMA.match(text)) for text in written) > sum(bool(_POINT.match(text)) for text in written)
    for index, text in enumerate(written):
        has_comma = bool(_COMMA.match(text)) or (is_comma and ("." in text or "," in text) and not _POINT.match(text))
        if np.isnan(plain[index]) or has_comma:
            plain[index] = _to_float(text, has_comma)
    return plain


def _to_float(text: str, has_comma: bool) -> float:
    if has_comma:
        text = text.translate(str.maketrans(",.", ".,"))
    return float(text.replace(",", "")) if _GROUPED.match(text) else np.nan


def _without_currency(text: str) -> str:
    """Remove currencies, "pcs" and blanks: "€ 1 234,5" is "1234,5"."""
    text = unicodedata.normalize("NFKC", text).lower().replace("−", "-")
    text = _NO_CENTS.sub("00", _DOLLARS.sub("", text))
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Sc").strip()
    text = re.sub(r"^([+-]?)\s+", r"\1", _CURRENCY.sub("", _PIECES.sub("", text)).strip())
    if re.fullmatch(r"\(.+\)|.+-", text):  # a negative number as accountants write it
        text = "-" + text.strip("()-")
    return _GROUPS_OF_BLANKS.sub("", text)
