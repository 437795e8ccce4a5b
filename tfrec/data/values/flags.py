"""Flags: yes or no, and numbers in stock."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

NO_WORDS = ("false", "f", "no", "n", "off", "nein", "non", "nee", "nej", "nie", "não", "нет", "否")
"""Words in lower case that say no."""

_YES = (
    *("true", "t", "yes", "y", "on", "ja", "oui", "si", "sí", "sim", "tak", "да", "是"),
    *("in stock", "in_stock", "instock", "available"),
)
_NO = (*NO_WORDS, "out of stock", "out_of_stock", "outofstock", "sold out", "unavailable")


def read_flags(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Bools [rows], null where unknown, and the number of rows with other text.

    A number is yes if it is positive, as a count of pieces in stock.
    """
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    flags = [_to_flag(text.strip().lower()) for text in coded.dictionary.to_pylist()]
    values = pa.chunked_array([pa.array(flags, pa.bool_()).take(coded.indices)])
    unread = pc.sum(pc.and_(values.is_null(), column.is_valid())).as_py() or 0
    return values, unread


def _to_flag(text: str) -> bool | None:
    if text in _YES or text in _NO:
        return text in _YES
    try:
        count = float(text)
    except ValueError:
        return None
    return None if math.isnan(count) else count > 0
