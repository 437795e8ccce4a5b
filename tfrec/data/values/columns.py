"""Columns of text in, values under the schema's names out: missing words, ids and numbers.

A schema column that several columns of the file give has a choice for each, in the order of the
mapping: the first that is known counts. Each change of a value is counted under a rule.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import is_vector
from tfrec.data.values.flags import read_flags
from tfrec.data.values.ids import first_known, join_anonymous, mixed_ids, remove_formulas, remove_tails, rounded_ids
from tfrec.data.values.missing import MISSING_WORDS, drop_words
from tfrec.data.values.numbers import read_numbers
from tfrec.data.values.vectors import read_vectors
from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR

_LOGGER = logging.getLogger(__name__)

ID_COLUMNS = ("user_id", "item_id", "session")
_FREE_TEXT = ("title", "description", "query", "text")  # "NULL" can be a title
TIMES = ("timestamp", "from", "until")
_NO_CATEGORIES = (*_FREE_TEXT, *TIMES, "kind", "cancelled")
_UNCOUNTED = ("cancelled",)  # NULL is what most rows hold
_RETURNED = r"^\s*([-−]\s*\d[\d.,]*)\s*\p{L}+\.?\s*$"  # -2 kg is a return whatever the unit
_CHOICE = "/"
_JOINED = "anonymous event joined to a user"
_EXAMPLE_CHARACTERS = 80
_REFUSED_ROWS = 10  # so many values, none of them a number: the mapping names the wrong column


@dataclasses.dataclass(frozen=True)
class Values:
    """A table and the number of rows that each rule changed."""

    name: str
    rows: pa.Table
    changes: dict[str, int]
    file_rows: tuple[int, ...] = ()
    """Number of rows of each file, in their order."""


def choice_name(column: str, number: int) -> str:
    """Name of a schema column's choice: `user_id`, `user_id/1`, `user_id/2`."""
    return f"{column}{_CHOICE}{number}" if number else column


def column_of(choice: str) -> str:
    """Name of the schema column that a choice is of."""
    return choice.partition(_CHOICE)[0]


def drop_missing_words(name: str, rows: pa.Table, words: Sequence[str]) -> Values:
    """Replace words for a missing value by null, and Excel's ="0012" by 0012."""
    changes: dict[str, int] = {}
    for choice in rows.column_names:
        column = column_of(choice)
        if pa.types.is_string(rows[choice].type):
            text, formulas = (rows[choice], 0) if column in _FREE_TEXT else remove_formulas(rows[choice])
            kept, count = drop_words(
                text, words if column in _FREE_TEXT else [*MISSING_WORDS, *words], is_id=column in ID_COLUMNS
            )
            rows = replace_column(rows, choice, kept)
            _add(changes, f'="..." removed from {column}', formulas)
            _add(changes, f"missing word as {column}", count if column not in _UNCOUNTED else 0)
    return Values(name, rows, changes)


def category_columns(table: Values, schema: pa.Schema) -> list[str]:
    """Columns of ids and categories: text in the table and in the schema, or further columns."""
    texts = {name for name in map(column_of, table.rows.column_names) if name not in _NO_CATEGORIES}
    return sorted(name for name in texts if name not in schema.names or pa.types.is_string(schema.field(name).type))


def id_columns(tables: Iterable[Values], column: str) -> list[pa.ChunkedArray]:
    """Columns of an id in all tables, further choices included."""
    return [table.rows[name] for table in tables for name in table.rows.column_names if column_of(name) == column]


def read_values(texts: Values, schema: pa.Schema, tails: Sequence[str]) -> Values:
    """Read ids and categories (".0" removed where `tails` names them), numbers and first choices.

    The choices of an event's user id stay columns of their own.
    """
    changes = dict(texts.changes)
    choices: dict[str, list[pa.ChunkedArray]] = {}
    for name in texts.rows.column_names:
        choices.setdefault(column_of(name), []).append(texts.rows[name])
    for column in ID_COLUMNS:
        choices[column] = [ids.cast(pa.string()) for ids in choices.get(column, [])]
        _warn_of_rounded(texts.name, column, choices[column])
    for column in category_columns(texts, schema):
        if column in tails:
            choices[column] = [_without_tails(ids.cast(pa.string()), column, changes) for ids in choices[column]]
    rows: dict[str, pa.ChunkedArray] = {}
    for name, group in choices.items():
        if (texts.name, name) == ("interactions", "user_id"):
            rows |= {choice_name(name, n): ids for n, ids in enumerate(group)}
        elif group:
            rows[name] = _combine(name, group)
    for field in schema:
        if field.name in rows and _is_number(field.type):
            rows[field.name] = _to_numbers(rows[field.name], field, texts, changes)
        elif field.name in rows and is_vector(field.type):
            rows[field.name] = _to_vectors(rows[field.name], field, texts.name, changes)
        elif field.name in rows and pa.types.is_boolean(field.type):
            rows[field.name], unread = read_flags(rows[field.name])
            _add(changes, f"unreadable {field.name}", unread)
    return Values(texts.name, pa.table(rows), changes)


def align_users(tables: Sequence[pa.Table], sources: Sequence[tuple[str, ...]]) -> list[pa.Table]:
    """Name the choices of a user id in all tables as in the one with most.

    `sources` are the file columns of each table's user id. A table with a cookie alone then has it
    as a further choice, as the orders beside it do, and no first one.
    """
    widest = max(sources, key=len)
    aligned = []
    for rows, names in zip(tables, sources, strict=True):
        if names != widest[: len(names)] and set(names) <= set(widest):
            choices = {choice_name("user_id", n): choice_name("user_id", widest.index(s)) for n, s in enumerate(names)}
            rows = rows.rename_columns([choices.get(name, name) for name in rows.column_names])
        if "user_id" not in rows.column_names:
            rows = rows.append_column("user_id", pa.nulls(rows.num_rows, pa.string()))
        aligned.append(rows)
    return aligned


def join_users(rows: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Combine the choices of a user id, the anonymous events joined to the user that signs in."""
    names = [name for name in rows.column_names if column_of(name) == "user_id"]
    if len(names) == 1:
        return rows, {}
    columns = [rows[name] for name in sorted(names)]
    if mixed := mixed_ids(columns):
        _LOGGER.warning(
            f"{len(mixed):,} ids stand in the first column of user_id and alone in a further one, for example "
            f"{mixed[0]!r}: each is one user; if they are not the same, as an account and a cookie of one number, "
            "put a letter before those of one column"
        )
    users, joined = join_anonymous(columns)
    return replace_column(rows.drop_columns(sorted(names)[1:]), "user_id", users), {_JOINED: joined} if joined else {}


def add_changes(changes: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sum of the changes by rule."""
    total: dict[str, int] = {}
    for part in changes:
        for rule, count in part.items():
            _add(total, rule, count)
    return total


def replace_column(rows: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    """The rows with another column in the same position."""
    return rows.set_column(rows.column_names.index(name), name, column)


def _combine(name: str, choices: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    if len(choices) == 1:
        return choices[0]
    return _join_levels(choices) if name == "category" else first_known(choices)


def _join_levels(levels: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    # Arrow 18's binary_join_element_wise(null_handling="skip") loses rows of nulls alone.
    texts = [level.cast(pa.string()) for level in levels]
    prefixed = [pc.fill_null(pc.binary_join_element_wise(CATEGORY_SEPARATOR, text, ""), "") for text in texts]
    return pc.utf8_slice_codeunits(pc.binary_join_element_wise(*prefixed, ""), len(CATEGORY_SEPARATOR))


def _without_tails(ids: pa.ChunkedArray, column: str, changes: dict[str, int]) -> pa.ChunkedArray:
    ids, count = remove_tails(ids)
    _add(changes, f"'.0' removed from {column}", count)
    return ids


def _warn_of_rounded(table: str, column: str, choices: list[pa.ChunkedArray]) -> None:
    rounded = [text for ids in choices for text in rounded_ids(ids)]
    if rounded:
        _LOGGER.warning(
            f"{table}.{column}: {len(rounded):,} ids lost digits, for example {rounded[0]!r}, so several may be one "
            "now; export the ids as text, as Excel and floating-point numbers round them"
        )


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _to_numbers(column: pa.ChunkedArray, field: pa.Field, texts: Values, changes: dict[str, int]) -> pa.ChunkedArray:
    if field.name == "quantity":
        column = pc.replace_substring_regex(column.cast(pa.string()), _RETURNED, r"\1")
    table, numbers = texts.name, read_numbers(column, field.type, texts.file_rows)
    known = len(column) - numbers.values.null_count
    if not known and numbers.unreadable >= _REFUSED_ROWS:
        raise DataError(
            f"{table}.{field.name} holds no {_noun(field)} in {numbers.unreadable:,} rows, for example "
            f"{numbers.example!r}; map another column, or remove {field.name} from the mapping"
        )
    if numbers.unclear:
        _LOGGER.warning(
            f"{table}.{field.name}: {numbers.unclear!r} may be a thousand or a fraction, and no value of its file says "
            "which; a comma is read as between thousands, a point as before a fraction; write two decimals to say so"
        )
    if numbers.unreadable:
        share = numbers.unreadable / (known + numbers.unreadable)
        _LOGGER.warning(
            f"{table}.{field.name}: {numbers.unreadable:,} values ({share:.1%}) are no {_noun(field)} and count as "
            f"unknown, for example {numbers.example!r}"
        )
    _add(changes, f"missing word as {field.name}", numbers.missing)
    _add(changes, f"unreadable {field.name}", numbers.unreadable)
    return numbers.values


def _to_vectors(column: pa.ChunkedArray, field: pa.Field, table: str, changes: dict[str, int]) -> pa.ChunkedArray:
    vectors = read_vectors(column)
    if not vectors.length:
        raise DataError(
            f"{table}.{field.name} holds no vector, for example {vectors.example[:_EXAMPLE_CHARACTERS]!r}; map lists "
            f"of numbers, or remove {field.name} from the mapping"
        )
    if vectors.unreadable:
        _LOGGER.warning(
            f"{table}.{field.name}: {vectors.unreadable:,} values are no vectors of {vectors.length} numbers and count "
            f"as unknown, for example {vectors.example[:_EXAMPLE_CHARACTERS]!r}"
        )
    _add(changes, f"unreadable {field.name}", vectors.unreadable)
    return vectors.values


def _noun(field: pa.Field) -> str:
    return "whole number" if pa.types.is_integer(field.type) else "number"


def _add(changes: dict[str, int], rule: str, count: int) -> None:
    if count:
        changes[rule] = changes.get(rule, 0) + count
