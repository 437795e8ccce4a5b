"""Paths into Parquet's structs, lists and maps, and their values as text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.readers.json_paths import NestedValueError, Step, is_typed
from tfrec.schema import CATEGORY_SEPARATOR


def follow(column: pa.Array, steps: tuple[Step, ...]) -> pa.Array | None:
    """Values at a path below a column, [rows]; None if the type has no such path."""
    for step in steps:
        found = _follow_key(column, step)
        if found is None:
            return None
        column = _select(found, step) if step.select_key else found
        if column is None:
            return None
    return column


def explode(
    column: pa.Array, steps: tuple[Step, ...], is_dropped: pa.Array | None = None
) -> tuple[np.ndarray, pa.Array]:
    """Explode the lists on a path: the row that each member comes from, and the column of members.

    A row without members gives one null, and so does one of `is_dropped`, [rows] bool.
    """
    if is_list(column.type):
        rows, members = _explode_list(_without(column, is_dropped))
        inner, exploded = explode(members, steps)
        return rows[inner], exploded
    if not steps or not has_list(column.type, steps):
        return np.arange(len(column)), column
    names = [field.name for field in column.type]
    rows, exploded = explode(pc.struct_field(column, steps[0].key), steps[1:], is_dropped)
    taken = pa.array(rows)
    fields = [exploded if name == steps[0].key else pc.struct_field(column, name).take(taken) for name in names]
    return rows, pa.StructArray.from_arrays(fields, names)


def has_list(kind: pa.DataType, steps: tuple[Step, ...]) -> bool:
    """Whether a list is on a path below a type, before any selected member."""
    if is_list(kind):
        return True
    if not steps or steps[0].select_key or not pa.types.is_struct(kind) or kind.get_field_index(steps[0].key) < 0:
        return False
    return has_list(kind.field(steps[0].key).type, steps[1:])


def has_several(column: pa.Array) -> bool:
    """Whether a list in the column has several known members."""
    if not is_list(column.type):
        return False
    rows = pc.list_parent_indices(column).filter(pc.list_flatten(column).is_valid())
    return len(rows) > len(pc.unique(rows))


def _without(column: pa.Array, is_dropped: pa.Array | None) -> pa.Array:
    return column if is_dropped is None else pc.if_else(is_dropped, pa.scalar(None, column.type), column)


def _explode_list(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype("int64")
    rows = np.repeat(np.arange(len(column)), np.maximum(lengths, 1))
    has_member = np.repeat(lengths > 0, np.maximum(lengths, 1))
    indices = pa.array(np.cumsum(has_member) - 1, mask=~has_member)
    return rows, pc.list_flatten(column).take(indices)


def is_list(kind: pa.DataType) -> bool:
    """Whether the type is a list of any length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def to_text(column: pa.Array) -> pa.Array:
    """Text of values, null if empty; times stay timestamps. NestedValueError for structs.

    Lists are joined to a category path, of lists in a list the longest. Whole floats are written as
    integers.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms"))
    if is_list(kind):
        return to_text(_longest(column)) if is_list(kind.value_type) else _join(column)
    if pa.types.is_struct(kind):
        return _unwrap(column)
    if pa.types.is_floating(kind):
        column = _to_integers(column)
    column = column.cast(pa.string())
    column.validate(full=True)  # Parquet does not promise that a string is UTF-8
    return pc.if_else(pc.equal(column, ""), None, column)


def _follow_key(column: pa.Array, step: Step) -> pa.Array | None:
    if pa.types.is_map(column.type):
        column = _map_to_list(column)
        if not step.select_key:
            return _select(column, Step("", "key", step.key))
    if is_list(column.type):
        members = _follow_key(pc.list_flatten(column), step)
        return None if members is None else _to_lists(column, members)
    if not pa.types.is_struct(column.type) or column.type.get_field_index(step.key) < 0:
        return None
    found = pc.struct_field(column, step.key)
    return _map_to_list(found) if pa.types.is_map(found.type) and step.select_key else found


def _select(column: pa.Array, step: Step) -> pa.Array | None:
    """The member of each list that the step selects, or its `value`; null where there is none."""
    if pa.types.is_map(column.type):
        column = _map_to_list(column)
    if not is_list(column.type) or not pa.types.is_struct(column.type.value_type):
        return None
    members, kind = pc.list_flatten(column), column.type.value_type
    if kind.get_field_index(step.select_key) < 0:
        return None
    keys = pc.struct_field(members, step.select_key).cast(pa.string())
    is_selected = pc.fill_null(pc.equal(keys, step.select_value), False).to_numpy(zero_copy_only=False)
    rows, first = np.unique(pc.list_parent_indices(column).to_numpy()[is_selected], return_index=True)
    if not len(rows):
        return None
    indices = np.full(len(column), -1)
    indices[rows] = np.flatnonzero(is_selected)[first]
    values = pc.struct_field(members, "value") if kind.get_field_index("value") >= 0 else members
    return values.take(pa.array(indices, mask=indices < 0))


def _map_to_list(column: pa.Array) -> pa.Array:
    return column.cast(pa.list_(pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])))


def _to_lists(column: pa.Array, members: pa.Array) -> pa.Array:
    """Lists with other members, as many in each row."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)).astype("int32")), members)


def _longest(column: pa.Array) -> pa.Array:
    """The longest list in each list, the first of equals."""
    members = pc.list_flatten(column)
    parents = pc.list_parent_indices(column).to_numpy()
    lengths = pc.fill_null(pc.list_value_length(members), 0).to_numpy(zero_copy_only=False)
    order = np.lexsort((-lengths, parents))  # stable
    rows, first = np.unique(parents[order], return_index=True)
    indices = np.full(len(column), -1)
    indices[rows] = order[first]
    return members.take(pa.array(indices, mask=indices < 0))


def _join(column: pa.Array) -> pa.Array:
    """Known members of each list, joined."""
    texts = to_text(pc.list_flatten(column)).cast(pa.string())
    is_known = texts.is_valid()
    rows = pc.list_parent_indices(column).filter(is_known).to_numpy()
    offsets = np.append(0, np.cumsum(np.bincount(rows, minlength=len(column)))).astype("int32")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), texts.filter(is_known)), CATEGORY_SEPARATOR)
    return pc.if_else(pc.equal(joined, ""), None, joined)


def _unwrap(column: pa.Array) -> pa.Array:
    names = [field.name for field in column.type]
    if not is_typed(names):
        raise NestedValueError(", ".join(names))
    texts = [to_text(pc.struct_field(column, name)).cast(pa.string()) for name in names]
    return pc.coalesce(*texts)


def _to_integers(column: pa.Array) -> pa.Array:
    """Turn whole floats into integers: pandas writes ids with missing values as floats."""
    numbers = column.to_numpy(zero_copy_only=False)
    is_missing = np.isnan(numbers)
    known = numbers[~is_missing]
    if np.all(np.floor(known) == known) and np.all(np.abs(known) < 2**53):
        filled = np.where(is_missing, 0, numbers).astype("int64")
        return pa.array(filled, mask=is_missing)
    return pa.array(numbers, mask=is_missing)
