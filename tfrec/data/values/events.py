"""Event kinds, canceled rows, and values that stand on one line of an order alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import check_distinct, encode_values, to_bools
from tfrec.data.values.flags import NO_WORDS
from tfrec.data.values.numbers import MISSING_WORDS, read_numbers
from tfrec.schema import KINDS

_NOT_CANCELED = ("", *NO_WORDS, *MISSING_WORDS)
_NO_TIME = r"^(0000[-/.]?00[-/.]?00|0001-01-01|1[79]00-01-01|1970-01-01)([T ]00:00(:00(\.0*)?)?(Z|\+00:?00)?)?$"


def rename_kinds(values: pa.ChunkedArray, names: Mapping[str, str]) -> pa.ChunkedArray:
    """Names of KINDS, whatever the case and the blanks around; unknown values stay."""
    folded = {fold(kind): kind for kind in KINDS} | {fold(value): kind for value, kind in names.items()}
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    renamed = [names.get(value, folded.get(fold(value), value)) for value in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(renamed, pa.string()).take(coded.indices)])


def fold(value: str) -> str:
    """The value without case, blanks around and the ".0" of a number that pandas wrote."""
    text = value.strip().casefold()
    return text.removesuffix(".0") if text.removesuffix(".0").isdigit() else text


def is_canceled(values: pa.ChunkedArray, prefix: str) -> pa.ChunkedArray:
    """Rows whose text begins with `prefix`; without one, that hold any value but false, 0 or no.

    Case and blanks around do not count. An amount of 0.00 and the time 0000-00-00 are no value.
    """
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    if prefix := prefix.strip().lower():
        is_canceled = check_distinct(text, lambda distinct: pc.starts_with(pc.utf8_lower(distinct), prefix))
    else:
        is_canceled = check_distinct(text, lambda distinct: pc.invert(_says_no(distinct)))
    return pa.chunked_array([pa.array(is_canceled)])


def _says_no(texts: pa.Array) -> pa.Array:
    is_word = pc.is_in(pc.utf8_lower(texts), pa.array(_NOT_CANCELED))
    is_zero = pc.equal(read_numbers(pa.chunked_array([texts]), pa.float64()).values.combine_chunks(), 0)
    return pc.or_(pc.or_(is_word, is_zero.fill_null(False)), pc.match_substring_regex(texts, _NO_TIME))


def fill_sessions(rows: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, dict[str, int]]:
    """Give each row the first known value of its session; of `cancelled`, whether any row is.

    Rows without a session stay as they are.
    """
    session, changes = encode_values(rows["session"]), {}
    for name in columns:
        values = rows[name]
        first = _first_rows(session, to_bools(values if name == "cancelled" else values.is_valid()))
        is_filled = (first >= 0) & ~to_bools(values if name == "cancelled" else values.is_valid())
        filled = values.take(pa.array(np.where(is_filled, first, np.arange(len(first)))))
        rows = rows.set_column(rows.column_names.index(name), name, filled)
        if is_filled.any() and name != "cancelled":
            changes[f"{name.partition('/')[0]} filled from its session"] = int(is_filled.sum())
    return rows, changes


def _first_rows(session: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """[rows] the first row of the same session that is known, -1 where there is none."""
    first = np.full(session.max(initial=-1) + 2, -1)  # the last one of rows without a session
    known = np.flatnonzero(is_known & (session >= 0))[::-1]
    first[session[known]] = known
    return first[session]
