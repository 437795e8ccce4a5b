"""Arrow columns: text made tidy, tables made to fit a schema, masks. It knows no rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_CONTROL = r"[\x00-\x1f\x7f-\x{9f}]+"
_IDS = ("user_id", "item_id")


def tidy(rows: pa.Table, leave: tuple[str, ...] = ()) -> pa.Table:
    """Text without surrounding blanks and (ids apart) control characters, null where nothing remains."""
    for index, name in enumerate(rows.column_names):
        if pa.types.is_string(rows[name].type) and name not in leave:
            text = rows[name] if name in _IDS else pc.replace_substring_regex(rows[name], _CONTROL, " ")
            text = pc.utf8_trim_whitespace(text)
            rows = rows.set_column(index, name, pc.if_else(pc.equal(text, ""), None, text))
    return rows


def conformed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`, null where unknown, then the further ones as strings."""
    further = [pa.field(name, pa.string()) for name in rows.column_names if name not in schema.names]
    fields = [*schema, *further]
    nothing = {field.name: pa.nulls(rows.num_rows, field.type) for field in fields}
    known = {f.name: rows[f.name].cast(f.type) for f in fields if f.name in rows.column_names}
    return pa.table([(nothing | known)[field.name] for field in fields], schema=pa.schema(fields))


def repeated(rows: pa.Table, names: list[str]) -> np.ndarray:
    """[rows] bool, true for a row equal to an earlier one in the named columns; nulls are equal."""
    return pd.DataFrame({name: codes(rows[name]) for name in names}).duplicated().to_numpy()


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] int64, equal where the values are, -1 where null."""
    indices = column.combine_chunks().dictionary_encode().indices
    return indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")


def has_control(ids: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, true where an id holds a line feed, a NUL or another control character."""
    return bools(pc.match_substring_regex(ids, _CONTROL))


def flags(rows: pa.Table, name: str) -> np.ndarray:
    """[rows] bool, the column of that name; all false without it."""
    return bools(rows[name]) if name in rows.column_names else np.zeros(rows.num_rows, bool)


def bools(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] bool, false where null."""
    return column.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
