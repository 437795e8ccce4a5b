"""Arrow columns: text cleaning, conformance to a schema, row masks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_CONTROL = r"[\x00-\x1f\x7f-\x{9f}]+"
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
    """Arrange rows as `schema` (null where absent), then further columns: strings, numbers, vectors."""
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
    return pd.DataFrame({name: encode_values(rows[name]) for name in names}).duplicated().to_numpy()


def encode_values(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] int64 codes: equal values have equal codes, null is -1."""
    indices = column.combine_chunks().dictionary_encode().indices
    return indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")


def has_control(ids: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, true where an id holds a line feed, a NUL or another control character."""
    return to_bools(pc.match_substring_regex(ids, _CONTROL))


def to_bools(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, false where null."""
    return column.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
