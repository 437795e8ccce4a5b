"""Words that mean a missing value, such as NULL in an export of a database."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

ID_WORDS = ("NULL", "null", "(null)", r"\N", "NaN", "nan", "None", "<NA>", "#N/A", "undefined")
"""Words that no shop uses as an id. "NA" can be one: a country, a brand or a user's name."""

TEXT_WORDS = ("NULL", r"\N", "NaN", "<NA>", "#N/A")
"""Words that are no category, brand or profile either."""


def drop_words(column: pa.ChunkedArray, words: Sequence[str]) -> tuple[pa.ChunkedArray, int]:
    """Replace the words by null, surrounding blanks aside; return the number of values replaced."""
    trimmed = pc.utf8_trim_whitespace(column)
    is_word = pc.is_in(trimmed, pa.array(words, pa.string()))
    count = pc.sum(is_word).as_py() or 0
    return (pc.if_else(is_word, None, column) if count else column), count
