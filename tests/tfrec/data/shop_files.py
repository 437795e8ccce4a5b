"""Files of a small shop, and its tables after an ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.ingest import IngestReport, ingest
from tfrec.data.mapping import mapping_from_flags, read_mapping
from tfrec.schema import TableSet

HEADER = "user,item,what,when,n,price,basket\n"
# Line 1 is good; each of the next 10 lines breaks one rule, in the order of the rules.
LINES = """\
u1,a,buy,2024-01-01 10:00:00,2,1.5,b1
,a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,,buy,2024-01-01 10:00:00,2,1.5,b1
"u\x011",a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,a,lick,2024-01-01 10:00:00,2,1.5,b1
u1,a,buy,soon,2,1.5,b1
u1,a,buy,2199-01-01 10:00:00,2,1.5,b1
u1,a,buy,1970-01-01T00:00:00Z,2,1.5,b1
u1,a,buy,2024-01-01 10:00:00,-2,1.5,Cb1
u1,a,buy,2024-01-01 10:00:00,0,1.5,b1
u1,a,buy,2024-01-01 10:00:00,2,1.5,b1
u1,a,buy,2024-01-01 10:00:00,2,1.5,b2
u1,,look,2024-01-01 09:00:00,,,b1
"""
RULES = [
    "missing user_id",
    "missing item_id",
    "control character in an id",
    "unknown kind",
    "bad timestamp",
    "timestamp in the future",
    "timestamp before 1990",
    "cancellation or return",
    "quantity not positive",
    "exact duplicate",
]
MAPPING = """\
interactions:
  path: log.csv
  columns:
    {user_id: user, item_id: item, kind: what, timestamp: when, quantity: n, price: price, session: basket}
  kinds: {buy: purchase, look: search}
  cancelled: {column: basket, prefix: C}
items:
  path: items.csv
  columns: {item_id: sku, title: name, category: [aisle, shelf]}
  extra: [size]
users:
  path: users.jsonl
  profile: [age]
"""
ITEM_LINES = "sku,name,aisle,shelf,size\na,Spaghetti,Food,Pasta,1 kg\n"
USER_LINES = '{"user_id": "u1", "age": 34}\n'


def write_shop(
    folder: Path, lines: str = LINES, items: str = ITEM_LINES, users: str = USER_LINES, mapping: str = MAPPING
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "log.csv").write_text(HEADER + lines, encoding="utf-8")
    (folder / "items.csv").write_text(items, encoding="utf-8")
    (folder / "users.jsonl").write_text(users, encoding="utf-8")
    (folder / "shop.yaml").write_text(mapping, encoding="utf-8")
    return folder / "shop.yaml"


def ingested(tmp_path: Path, partitions: int = 2, **files: str) -> IngestReport:
    return ingest(read_mapping(write_shop(tmp_path / "shop", **files)), tmp_path / "out", partitions)


def rows_of(tables: TableSet, table: str) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path).read() for path in tables.parts(table)])


def rule_of(report: IngestReport, table: str, rule: str) -> dict[str, Any]:
    return next(r for r in report.tables.manifest.rules if (r["table"], r["rule"]) == (table, rule))


def line_of(user: str = "u1", item: str = "a", when: str = "2024-01-01 10:00:00", basket: str = "b1") -> str:
    return f"{user},{item},buy,{when},1,1.5,{basket}\n"


def ingest_days(tmp_path: Path, *days: str, items: str = "") -> IngestReport:
    (tmp_path / "log").mkdir()
    for number, lines in enumerate(days):
        (tmp_path / f"log/{number}.csv").write_text("user_id,item_id,timestamp\n" + lines)
    (tmp_path / "items.csv").write_text("item_id,title\n" + items)
    mapping = mapping_from_flags(str(tmp_path / "log"), str(tmp_path / "items.csv") if items else None, kind="view")
    return ingest(mapping, tmp_path / "out")


def ids_of(report: IngestReport, table: str, column: str) -> list[str]:
    return sorted(set(rows_of(report.tables, table)[column].to_pylist()))
