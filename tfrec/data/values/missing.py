"""Words that mean a missing value, such as NULL in an export of a database."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

MISSING_WORDS = ("null", "(null)", r"\n", "nan", "none", "<na>", "#n/a", "undefined")
"""Words in lower case that are no id, category, brand or profile, whatever their case.

"NA" can be one: a country, a brand or a user's name.
"""

_BRAND = "NAN"  # Nestlé's; programs write nan or NaN for a missing number


def drop_words(column: pa.ChunkedArray, words: Sequence[str], is_id: bool = True) -> tuple[pa.ChunkedArray, int]:
    """Replace the words and blanks by null; return the number of words.

    Case and blanks around a word do not count. NAN is a brand where it is no id.
    """
    lowered = [word.strip().lower() for word in words]
    lower = pc.ascii_lower if all(map(str.isascii, lowered)) else pc.utf8_lower
    trimmed = pc.utf8_trim_whitespace(column)
    is_word = pc.is_in(lower(trimmed), pa.array(lowered, pa.string()))
    if not is_id and _BRAND not in words:
        is_word = pc.and_not(is_word, pc.equal(trimmed, _BRAND))
    is_nothing = pc.or_(is_word, pc.equal(trimmed, ""))
    kept = pc.if_else(is_nothing, None, column) if pc.any(is_nothing).as_py() else column
    return kept, pc.sum(is_word).as_py() or 0
