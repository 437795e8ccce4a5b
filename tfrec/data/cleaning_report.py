"""Effect of each cleaning rule on a table: rows dropped, changed and kept, and the dropped rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import is_vector

_EXAMPLE_CHARACTERS = 160

_BROKEN_ROW = "broken row"
_LEFT_OUT = "left out by only"


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule and its effect, in rows."""

    table: str
    rule: str
    dropped: int
    kept: int  # rows in the table after the rule
    changed: int = 0  # rows added or altered


class CleaningReport:
    """Rules of one table in the order applied, and the rows that they dropped."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.rules: list[Rule] = []
        self.rejected = pa.table({"rule": pa.array([], pa.string()), "row": pa.array([], pa.int64())})
        self._broken: pa.Table | None = None

    def drop(self, rows: pa.Table, violations: dict[str, np.ndarray]) -> np.ndarray:
        """Record the rows that break a rule, and return [rows] bool, true where a row breaks none.

        `violations` is rule -> [rows] bool; a row counts for the first rule that it breaks. Dropped
        rows go to `rejected` as text, after their rule and their number among the raw rows, from 1.
        """
        first = np.full(rows.num_rows, len(violations))
        for index, is_violation in reversed(list(enumerate(violations.values()))):
            first[is_violation] = index
        kept = rows.num_rows
        for rule, dropped in zip(violations, np.bincount(first, minlength=len(violations)).tolist(), strict=False):
            kept -= dropped
            self.rules.append(Rule(self.table, rule, dropped, kept))
        is_kept = first == len(violations)
        self.rejected = _collect_rejected(rows, list(violations), first, ~is_kept)
        return is_kept

    def add_left_out(self, count: int, kept: int) -> None:
        """Record rows that the mapping leaves out: they are not among the rejected ones."""
        self.rules.append(Rule(self.table, _LEFT_OUT, count, kept))

    def add_broken(self, broken: pa.Table, kept: int) -> None:
        """Record rows that could not be read: their file, line, reason and text."""
        self.rules.append(Rule(self.table, _BROKEN_ROW, broken.num_rows, kept))
        self._broken = broken

    def all_rejected(self) -> pa.Table:
        """Rows dropped by all rules; broken ones have file, line, reason and text for values."""
        if self._broken is None:
            return self.rejected
        rules = pa.array([_BROKEN_ROW] * self._broken.num_rows, pa.string())
        broken = self._broken.add_column(0, "rule", rules)
        return pa.concat_tables([self.rejected.slice(0, 0), broken, self.rejected], promote_options="default")

    def add_change(self, rule: str, changed: int, kept: int) -> None:
        """Record a rule that adds or alters rows and drops none."""
        self.rules.append(Rule(self.table, rule, 0, kept, changed))

    def example(self, rule: str) -> str:
        """Text of the first row that a rule dropped."""
        row = self.rejected.filter(pc.equal(self.rejected["rule"], rule)).slice(0, 1).to_pylist()[0]
        return ", ".join(f"{name}={value!r}" for name, value in row.items() if name != "rule")[:_EXAMPLE_CHARACTERS]


def _collect_rejected(rows: pa.Table, rules: list[str], first: np.ndarray, is_dropped: np.ndarray) -> pa.Table:
    dropped = rows.filter(pa.array(is_dropped))
    names = np.array([*rules, ""], dtype=object)[first[is_dropped]]
    columns = {
        "rule": pa.array(names, pa.string()),
        "row": pa.array(np.flatnonzero(is_dropped) + 1, pa.int64()),
    }
    return pa.table(columns | {name: _to_text(dropped[name]) for name in rows.column_names})


def _to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if is_vector(column.type):
        texts = [None if vector is None else str(vector) for vector in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(pa.string())
