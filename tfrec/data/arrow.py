"""Arrow columns: text cleaning, conformance to a schema, row masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_CONTROL = r"[\x00-\x1f\x7f-\x{9f}]+"
_LARGEST_KEY = 2**62
_IDS = ("user_id", "item_id")


def strip_text(rows: pa.Table, skip: tuple[str, ...] = ()) -> pa.Table:
    """Strip blanks around text and replace control characters; empty text becomes null.

    Control characters in ids stay. Columns named in `skip` stay unchanged.
    """
    for index, name in enumerate(rows.column_names):
        if pa.types.is_string(rows[name].type) and name not in skip:
            text = rows[name] if name in _IDS else pc.replace_substring_regex(rows[name], _CONTROL, " ")
            text = pc.utf8_trim_whitespace(text)
            rows = rows.set_column(index, name, pc.if_else(pc.equal(text, ""), None, text))
    return rows


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Arrange rows as `schema` (null where absent), then further columns of any type."""
    further = [
        pa.field(field.name, _further_type(field.type)) for field in rows.schema if field.name not in schema.names
    ]
    fields = [*schema, *further]
    nulls = {field.name: pa.nulls(rows.num_rows, field.type) for field in fields}
    known = {f.name: rows[f.name].cast(f.type) for f in fields if f.name in rows.column_names}
    return pa.table([(nulls | known)[field.name] for field in fields], schema=pa.schema(fields))


def is_vector(kind: pa.DataType) -> bool:
    """Whether this is the type of a vector."""
    return pa.types.is_list(kind)


def _further_type(kind: pa.DataType) -> pa.DataType:
    if is_vector(kind):
        return pa.list_(pa.float32())
    return pa.float32() if pa.types.is_floating(kind) else pa.string()


def mark_repeats(rows: pa.Table, names: list[str]) -> np.ndarray:
    """[rows] bool, true where a row equals an earlier one in the named columns; nulls are equal."""
    key, size = np.zeros(rows.num_rows, np.int64), 1
    for name in names:
        codes = encode_values(rows[name]) + 1
        values = int(codes.max(initial=0)) + 1
        if size > _LARGEST_KEY // values:
            key, size = pd.factorize(key)[0].astype(np.int64), rows.num_rows
        key, size = key * values + codes, size * values
    return pd.Series(key).duplicated().to_numpy()


def encode_values(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] int64 codes: equal values have equal codes, null is -1."""
    return encode(column).indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")


def encode(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """The column as one dictionary array."""
    array = column.unify_dictionaries().combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def check_distinct(column: pa.ChunkedArray, check: Callable[[pa.Array], pa.Array]) -> np.ndarray:
    """[rows] bool result of a check of each distinct value, false for null."""
    coded = encode(column)
    results = np.append(check(coded.dictionary).fill_null(False).to_numpy(zero_copy_only=False), False)
    return results[coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)]


def has_control(ids: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, true where an id holds a line feed, a NUL or another control character."""
    return check_distinct(ids, lambda distinct: pc.match_substring_regex(distinct, _CONTROL))


def to_bools(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, false where null."""
    return column.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
