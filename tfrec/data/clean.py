"""Cleaning rules: raw tables in, the three tables of schema.py and the effect of every rule out.

A row is dropped by the first rule that it breaks, in the order of the report. An exact duplicate
equals an earlier row in every mapped column, so a shop that maps its basket or session keeps equal
lines of different baskets. An item described twice keeps its first row; later rows fill the gaps. A
user described twice keeps the first row. Text loses control characters and surrounding blanks and
is never shortened. All tables are held in memory, with at most 2 GiB of text in a column (Arrow's
strings).
"""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from tfrec.data.clean_dated import clean_item_states, clean_reviews
from tfrec.data.clean_descriptions import clean_items, clean_users
from tfrec.data.clean_interactions import clean_interactions
from tfrec.data.cleaning_report import CleaningReport, Rule
from tfrec.data.raw_tables import RawTables
from tfrec.schema import TABLES

_CLEAN_DATED = {"item_states": clean_item_states, "reviews": clean_reviews}


@dataclasses.dataclass(frozen=True)
class CleanTables:
    """Tables with the columns of schema.py, not yet sorted, and the effect of each rule."""

    interactions: pa.Table
    items: pa.Table
    users: pa.Table
    rejected: dict[str, pa.Table]  # table -> dropped rows as text, with their rule
    read: dict[str, int]  # table -> raw rows
    rules: tuple[Rule, ...]
    dated: dict[str, pa.Table]  # tables of schema.DATED_TABLES that the shop has

    def by_name(self) -> dict[str, pa.Table]:
        """All tables by name."""
        return {"interactions": self.interactions, "items": self.items, "users": self.users, **self.dated}


def clean(raw: RawTables) -> CleanTables:
    """Apply every rule to the raw tables; DataError if no interaction is left."""
    reports = [_begin_report(raw, name) for name in (*TABLES, *raw.dated)]
    interactions = clean_interactions(raw, reports[0])
    items = clean_items(raw.items, interactions["item_id"], reports[1])
    users = clean_users(raw.users, reports[2])
    dated = {
        report.table: _CLEAN_DATED[report.table](raw.dated[report.table], items["item_id"], report)
        for report in reports[3:]
    }
    return CleanTables(
        interactions,
        items,
        users,
        rejected={report.table: report.all_rejected() for report in reports},
        read={report.table: _count_read(raw, report.table) for report in reports},
        rules=tuple(rule for report in reports for rule in report.rules),
        dated=dated,
    )


def _begin_report(raw: RawTables, table: str) -> CleaningReport:
    report = CleaningReport(table)
    kept, left_out = raw.rows_of(table), raw.left_out.get(table, 0)
    if _count_broken(raw, table):
        report.add_broken(raw.broken[table], kept + left_out)
    if left_out:
        report.add_left_out(left_out, kept)
    for rule, changed in raw.changes.get(table, {}).items():
        report.add_change(rule, changed, raw.rows_of(table))
    return report


def _count_read(raw: RawTables, table: str) -> int:
    return raw.rows_of(table) + raw.left_out.get(table, 0) + _count_broken(raw, table)


def _count_broken(raw: RawTables, table: str) -> int:
    return raw.broken[table].num_rows if table in raw.broken else 0
