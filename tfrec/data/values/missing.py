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
    """Replace the words and blanks by null; return the number of words.

    Blanks around a word do not count.
    """
    trimmed = pc.utf8_trim_whitespace(column)
    is_word = pc.is_in(trimmed, pa.array(words, pa.string()))
    is_nothing = pc.or_(is_word, pc.equal(trimmed, ""))
    kept = pc.if_else(is_nothing, None, column) if pc.any(is_nothing).as_py() else column
    return kept, pc.sum(is_word).as_py() or 0
