"""What each cleaning rule did to a table: rows dropped, changed and kept, and the dropped rows themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule's effect, in rows."""

    table: str
    rule: str
    dropped: int
    kept: int  # rows in the table after the rule
    changed: int = 0  # rows added or altered


class Ledger:
    """The rules of one table, in the order applied."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.rules: list[Rule] = []
        self.rejected = pa.table({"rule": pa.array([], pa.string()), "row": pa.array([], pa.int64())})

    def drop(self, rows: pa.Table, hits: dict[str, np.ndarray]) -> np.ndarray:
        """[rows] bool, true where no rule hits; `hits` is rule -> [rows] bool, the first one drops a row.

        Dropped rows go to `rejected`, as text behind their rule and their number among the raw rows, from 1.
        """
        first = np.full(rows.num_rows, len(hits))
        for index, is_hit in reversed(list(enumerate(hits.values()))):
            first[is_hit] = index
        kept = rows.num_rows
        for rule, dropped in zip(hits, np.bincount(first, minlength=len(hits)).tolist(), strict=False):
            kept -= dropped
            self.rules.append(Rule(self.table, rule, dropped, kept))
        is_kept = first == len(hits)
        self.rejected = _rejected(rows, list(hits), first, ~is_kept)
        return is_kept

    def change(self, rule: str, changed: int, kept: int) -> None:
        """Notes a rule that adds or alters rows and drops none."""
        self.rules.append(Rule(self.table, rule, 0, kept, changed))


def _rejected(rows: pa.Table, rules: list[str], first: np.ndarray, is_dropped: np.ndarray) -> pa.Table:
    dropped = rows.filter(pa.array(is_dropped))
    names = np.array([*rules, ""], dtype=object)[first[is_dropped]]
    columns = {
        "rule": pa.array(names, pa.string()),
        "row": pa.array(np.flatnonzero(is_dropped) + 1, pa.int64()),
    }
    return pa.table(columns | {name: dropped[name].cast(pa.string()) for name in rows.column_names})
