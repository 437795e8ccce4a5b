"""Ids: decimals that were integers, several columns for one id, anonymous users that sign in.

pandas writes a column of integers as decimals where one is missing: 1001.0 in the file of one day,
1001 in that of the next. The tail is removed where the ids look like numbers: at least half of the
distinct ids are integers, with or without the tail, and none has another fraction, such as 7.5.
This is decided for all tables together, so that the ids of a log and a catalog stay equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import to_bools

_TAIL = r"^-?\d+\.0$"
_INTEGER = r"^-?\d+(\.0)?$"
_FRACTION = r"^-?\d+\.\d*[1-9]\d*$"


def has_tails(columns: Sequence[pa.ChunkedArray]) -> bool:
    """Whether ".0" at the end of these ids is to be removed."""
    distinct = pc.utf8_trim_whitespace(pc.unique(pa.chunked_array(list(_chunks(columns)), pa.string()).drop_null()))
    if not pc.any(pc.match_substring_regex(distinct, _TAIL)).as_py():
        return False
    if pc.any(pc.match_substring_regex(distinct, _FRACTION)).as_py():
        return False
    integers = pc.sum(pc.match_substring_regex(distinct, _INTEGER)).as_py()
    return 2 * int(integers) >= len(distinct)


def remove_tails(ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Remove ".0"; return the number of changed ids, 0 if all of them had the tail."""
    ids = pc.utf8_trim_whitespace(ids)
    has_tail = pc.match_substring_regex(ids, _TAIL)
    count = pc.sum(has_tail).as_py() or 0
    is_mixed = count < len(ids) - ids.null_count
    return pc.if_else(has_tail, pc.utf8_slice_codeunits(ids, 0, -2), ids), int(count) * is_mixed


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
    """Further ids, such as cookies, that no row joins to a user and that are first ids of other rows."""
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
