"""Text of a table's files under the schema's names."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.clean import clean
from tfrec.data.mapping import read_mapping
from tfrec.data.sources.own_files import load
from tfrec.data.sources.table_text import TableText, read_text
from tfrec.data.values.timestamps import parse_times
from tfrec.errors import DataError


def _read(folder: Path, mapping: str) -> TableText:
    (folder / "shop.yaml").write_text("interactions:\n" + mapping)
    return read_text(read_mapping(folder / "shop.yaml").interactions[0], "interactions")


def test_each_item_of_a_list_is_a_row_and_a_list_of_users_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user": ["u1"], "items": ["a", "b"], "at": 1700000000}\n')
    mapping = "  {path: log.jsonl, kind: view, columns: {user_id: user, item_id: items, timestamp: at}}"
    assert _read(tmp_path, mapping).rows.to_pydict() == {
        "user_id": ["u1", "u1"],
        "item_id": ["a", "b"],
        "timestamp": ["1700000000"] * 2,
    }
    (tmp_path / "log.jsonl").write_text('{"user": ["u1", "u2"], "items": ["a"], "at": 1700000000}\n')
    with pytest.raises(DataError, match=r"log\.jsonl line 1 has a list of several values as 'user'"):
        _read(tmp_path, mapping)


def test_only_matches_text_without_surrounding_blanks_and_counts_the_others(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,st\nu1,a,1, paid\nu2,b,2,open\nu3,c,3,paid \n")
    text = _read(tmp_path, "  {path: log.csv, kind: purchase, only: {st: '^paid$'}}")
    assert text.rows["user_id"].to_pylist() == ["u1", "u3"]
    assert text.left_out == 1


def test_timestamps_of_parquet_join_dates_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\nu1,a,02/03/2024\nu2,b,soon\n")
    table = {"user_id": ["u3"], "item_id": ["a"], "timestamp": [datetime.datetime(2024, 3, 4, 5, 6, 7)]}
    pq.write_table(pa.table(table), tmp_path / "b.parquet")
    text = _read(
        tmp_path, "  {path: [a.csv, b.parquet], kind: view, timestamp_format: '%d/%m/%Y', timezone: Asia/Tokyo}"
    )
    # Midnight in Tokyo is 15:00 UTC of the day before; text that is no date stays.
    assert text.rows["timestamp"].to_pylist() == ["2024-03-01 15:00:00.000", "soon", "2024-03-03 20:06:07.000"]
    times = parse_times(text.rows["timestamp"], text.times.pattern, text.times.timezone)
    assert str(times[0]) == "2024-03-01T15:00:00.000"
    assert np.isnat(times[1])
    assert str(times[2]) == "2024-03-03T20:06:07.000"


def test_rows_of_all_tables_are_numbered_in_turn_and_parts_read_by_their_numbers(tmp_path: Path) -> None:
    for name, item in (("part-10", "c"), ("part-2", "b"), ("other", "d")):
        (tmp_path / f"{name}.csv").write_text(f"user_id,item_id\nu1,{item}\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n"
        "  - {path: part-*.csv, kind: view, order: row number}\n"
        "  - {path: other.csv, kind: view, order: row number}\n"
    )
    rows = load(read_mapping(tmp_path / "shop.yaml")).interactions
    assert rows.select(["item_id", "timestamp"]).to_pylist() == [
        {"item_id": "b", "timestamp": "0"},
        {"item_id": "c", "timestamp": "1"},
        {"item_id": "d", "timestamp": "2"},
    ]


def test_text_that_is_no_time_is_shown_where_tables_have_several_formats(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\nu1,a,02/03/2024\nu1,b,soon\n")
    (tmp_path / "b.csv").write_text("user_id,item_id,timestamp\nu1,a,1709334000\n")
    (tmp_path / "shop.yaml").write_text(
        "interactions:\n  - {path: a.csv, kind: view, timestamp_format: '%d/%m/%Y'}\n  - {path: b.csv, kind: view}\n"
    )
    tables = clean(load(read_mapping(tmp_path / "shop.yaml")))
    assert tables.rejected["interactions"].to_pylist()[0]["timestamp"] == "soon"
    # 1709334000 is 2024-03-01 23:00 UTC.
    assert [f"{time:%Y-%m-%d %H}" for time in tables.interactions["timestamp"].to_pylist()] == [
        "2024-03-02 00",
        "2024-03-01 23",
    ]
