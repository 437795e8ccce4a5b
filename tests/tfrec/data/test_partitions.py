"""Partitions and their order."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests.tfrec.data.shop_files import (
    ingested,
    line_of,
)
from tfrec.schema import ITEMS, partition_of


def test_partitions_hold_their_ids_sorted_by_user_time_and_line(tmp_path: Path) -> None:
    days = ("2024-01-03", "2024-01-01", "2024-01-03")
    lines = [line_of(f"u{user}", item, day) for user in range(20) for item, day in zip("cab", days, strict=True)]
    tables = ingested(tmp_path, partitions=4, lines="".join(lines)).tables
    for index in range(4):
        part = pq.read_table(tables.part("interactions", index))
        assert set(partition_of(part["user_id"].to_pandas(), 4)) <= {index}
        users = sorted(set(part["user_id"].to_pylist()))
        # a came first; c and b share a day, c stands earlier in the file.
        assert part["user_id"].to_pylist() == [user for user in users for _ in range(3)]
        assert part["item_id"].to_pylist() == ["a", "c", "b"] * len(users)
    assert tables.manifest.rows["interactions"] == 60


def test_an_empty_partition_has_a_file_with_all_columns(tmp_path: Path) -> None:
    tables = ingested(tmp_path, partitions=64, lines=line_of()).tables
    for table in ("interactions", "items", "users"):
        sizes = [pq.read_metadata(path).num_rows for path in tables.parts(table)]
        assert sorted(sizes) == [0] * 63 + [1]
    assert pq.read_schema(tables.part("users", 0)).names == ["user_id", "age"]
    assert pq.read_schema(tables.part("items", 0)).names == [*ITEMS.names, "size"]
    assert tables.manifest.item_columns == ("size",)


def test_the_report_lists_each_rule_and_the_folder_of_dropped_rows(tmp_path: Path) -> None:
    report = ingested(tmp_path)
    lines = str(report).splitlines()
    assert lines[0].split() == ["table", "rule", "dropped", "changed", "kept"]
    assert lines[1].split() == ["interactions", "rows", "read", "13"]
    assert lines[11].split() == ["exact", "duplicate", "1", "-", "3"]
    assert f"dropped rows in {report.rejected}" in lines[-1]
    assert (report.rejected / "users.parquet").is_file()
