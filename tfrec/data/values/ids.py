"""Ids: decimals that were integers, several columns for one id, anonymous users that sign in.

pandas writes a column of integers as decimals where one is missing: 1001.0 in the file of one day,
1001 in that of the next. A database's decimals are 12.00, a Java program's 1.0E7. They become
integers where the ids look like numbers: at least half of the distinct ids are integers, with or
without the tail, and at most a fifth of the numbers have another fraction, such as 7.5. This is
decided for all tables together, so that the ids of a log and a catalog stay equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import to_bools

_TAIL = r"^-?\d+\.0+$"
_EXPONENT = r"^-?\d+(\.\d+)?[eE]\+?\d{1,3}$"
_INTEGER = r"^-?\d+(\.0+)?$"
_FRACTION = r"^-?\d+\.\d*[1-9]\d*$"
_EXCEL_EXPONENT = re.compile(r"\.\d{5}E\+")  # Excel keeps six digits
_FRACTION_SHARE = 0.2  # of the numbers; more are versions or sizes, such as 2.0 and 2.1
_LARGEST_EXACT = 2**53  # integer that a float64 holds


def has_tails(columns: Sequence[pa.ChunkedArray]) -> bool:
    """Whether ".0" and exponents of these ids are to be removed."""
    distinct = pc.utf8_trim_whitespace(pc.unique(pa.chunked_array(list(_chunks(columns)), pa.string()).drop_null()))
    tails, exponents, integers, fractions = (
        pc.sum(pc.match_substring_regex(distinct, pattern)).as_py() or 0
        for pattern in (_TAIL, _EXPONENT, _INTEGER, _FRACTION)
    )
    if not tails + exponents or fractions > _FRACTION_SHARE * (integers + fractions):
        return False
    return 2 * int(integers + exponents) >= len(distinct)


def remove_tails(ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Write decimals and exponents as integers; return the changed ids, 0 if all had the tail."""
    ids = pc.utf8_trim_whitespace(ids)
    has_tail = pc.match_substring_regex(ids, _TAIL)
    count = pc.sum(has_tail).as_py() or 0
    is_mixed = count < len(ids) - ids.null_count
    removed = pc.if_else(has_tail, pc.replace_substring_regex(ids, r"\.0+$", ""), ids)
    has_exponent = pc.fill_null(pc.match_substring_regex(ids, _EXPONENT), False)
    if pc.any(has_exponent).as_py():
        exponents = ids.filter(has_exponent).combine_chunks().dictionary_encode()
        written = pa.array([_from_exponent(text) for text in exponents.dictionary.to_pylist()], pa.string())
        removed = pc.replace_with_mask(
            removed.combine_chunks(), has_exponent.combine_chunks(), written.take(exponents.indices)
        )
    return _chunked(removed), int(count) * is_mixed


def rounded_ids(ids: pa.ChunkedArray) -> list[str]:
    """Distinct ids in e-notation that lost digits: 1.23457E+11 of Excel, or floats beyond 2^53."""
    distinct = pc.unique(ids).drop_null()
    exponents = distinct.filter(pc.match_substring_regex(distinct, _EXPONENT))
    return [text for text in exponents.to_pylist() if _is_rounded(text)]


def remove_formulas(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Read ="0012", which keeps Excel from reading a number, as 0012; return the changed rows."""
    is_formula = pc.fill_null(pc.starts_with(column, '="'), False)
    count = pc.sum(is_formula).as_py() or 0
    return (pc.replace_substring_regex(column, r'^="(.*)"$', r"\1") if count else column), count


def _is_rounded(text: str) -> bool:
    return bool(_EXCEL_EXPONENT.search(text)) or abs(float(text)) >= _LARGEST_EXACT


def _from_exponent(text: str) -> str:
    number = float(text)
    return text if _is_rounded(text) or not number.is_integer() else str(int(number))


def _chunked(column: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def first_known(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return each row's first value that is not null; columns of several types become text."""
    if any(column.type != columns[0].type for column in columns):
        columns = [column.cast(pa.string()) for column in columns]
    return pc.coalesce(*columns)


def join_anonymous(columns: Sequence[pa.ChunkedArray]) -> tuple[pa.ChunkedArray, int]:
    """Return each row's first known id, and the number of rows that took it from other rows.

    In rows without a first id, an id of a further column, such as a cookie, stands for the first id
    beside it in other rows. With several of these, as on a shared device, it stands for itself.
    """
    ids, joined = columns[0], 0
    for further in columns[1:]:
        alone = pc.if_else(ids.is_null(), further, None)
        ids = pc.coalesce(ids, further)
        users = _users_of(ids, further)
        found = pc.index_in(alone, value_set=users["further"].combine_chunks())
        joined += len(found) - found.null_count
        ids = pc.coalesce(users["first"].take(found), ids)
    return ids, joined


def mixed_ids(columns: Sequence[pa.ChunkedArray]) -> list[str]:
    """Further ids, such as cookies, that no row joins to a user and other rows have first."""
    first = columns[0]
    beside = [pc.unique(further.filter(first.is_valid())) for further in columns[1:]]
    is_open = [pc.and_(first.is_null(), further.is_valid()) for further in columns[1:]]
    open_ids = [pc.unique(further.filter(mask)) for further, mask in zip(columns[1:], is_open, strict=True)]
    alone = [ids.filter(pc.invert(pc.is_in(ids, known))) for ids, known in zip(open_ids, beside, strict=True)]
    users = pc.unique(first)
    return [name for ids in alone for name in ids.filter(pc.is_in(ids, users)).to_pylist()]


def _users_of(ids: pa.ChunkedArray, further: pa.ChunkedArray) -> pa.Table:
    """Distinct pairs of a further id and the only other id beside it."""
    rows = np.flatnonzero(to_bools(pc.not_equal(ids, further)))
    pairs = (
        pa.table({"first": ids, "further": further}).take(pa.array(rows)).group_by(["first", "further"]).aggregate([])
    )
    names = pairs.to_pandas().drop_duplicates("further", keep=False)
    return pa.Table.from_pandas(names, schema=pairs.schema, preserve_index=False)


def _chunks(columns: Sequence[pa.ChunkedArray]) -> list[pa.Array]:
    return [chunk for column in columns for chunk in column.cast(pa.string()).chunks]
