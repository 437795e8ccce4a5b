"""Files found, read and grouped, whatever their encoding and compression."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tfrec.data.guess.sampling.file_paths import DataFiles, find_data_files
from tfrec.data.guess.sampling.groups import Group, group_files

ROWS = "user_id,item_id,title\nu1,a,Tee\nu2,b,Crème\n"


def groups_of(folder: Path) -> list[Group]:
    return group_files(find_data_files([folder]))[0]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ROWS, "utf-8"),
        (ROWS, "utf-16"),
        (ROWS, "cp1252"),
        (ROWS.replace("Crème", "西湖龙井绿茶").replace("Tee", "绿茶茶叶"), "gb18030"),
    ],
)
def test_an_encoding_is_guessed(tmp_path, text, encoding):
    (tmp_path / "log.csv").write_bytes(text.encode(encoding))
    [group] = groups_of(tmp_path)
    assert group.first.encoding == encoding
    title = group.column("title")
    assert title is not None
    assert title.values.tolist() == [line.split(",")[2] for line in text.splitlines()[1:]]


def test_compressed_files_are_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    with zipfile.ZipFile(tmp_path / "b.csv.zip", "w") as archive:
        archive.writestr("b.csv", ROWS.replace("u1", "u3"))
    [group] = groups_of(tmp_path)
    assert group.rows == 4


def test_parquet_and_json_are_read(tmp_path):
    pd.DataFrame({"user_id": [1.0, None], "item_id": ["a", "b"]}).to_parquet(tmp_path / "log.parquet")
    (tmp_path / "items.json").write_text('[{"sku": "007", "names": {"en": "Tea"}}, {"sku": "8"}]', encoding="utf-8")
    items, log = groups_of(tmp_path)
    assert [column.name for column in items.columns] == ["sku", "names.en"]
    assert items.columns[0].values.tolist() == ["007", "8"]
    assert log.columns[0].values.tolist() == ["1", None]


def test_files_that_are_no_tables_are_named(tmp_path):
    (tmp_path / "photo.bin").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 10)
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    (tmp_path / "README.md").write_text("not data", encoding="utf-8")
    groups, unread = group_files(find_data_files([tmp_path]))
    assert groups == []
    assert {path.name: reason for path, reason in unread.items()} == {
        "photo.bin": "is neither text nor Parquet; leave it out, or export it as CSV",
        "sheet.xlsx": "is a workbook; save its sheets as CSV",
    }


def test_tables_and_runs_of_tfrec_itself_are_no_data_of_the_shop(tmp_path):
    for name in (
        "data/shop/snapshots/1/users.csv",
        "data/shop/manifest.json",
        "out/pipelines/shop/work/a.csv",
        "log.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(ROWS, encoding="utf-8")
    assert find_data_files([tmp_path]) == [tmp_path / "log.csv"]


def test_of_many_parts_six_are_sampled(tmp_path):
    for number in range(10):
        name = f"part-{number:05}-7f3c{number}aee-91b2-4c1d.csv"
        (tmp_path / name).write_text(ROWS, encoding="utf-8")
    [group] = groups_of(tmp_path)
    assert (len(group.files), len(group.samples), group.rows, group.is_complete) == (10, 6, 20, False)


@pytest.mark.parametrize(
    ("names", "others", "path"),
    [
        (["log.csv"], [], ("log.csv",)),
        (["logs/d1.csv", "logs/d2.csv"], ["items.csv"], ("logs/d*.csv",)),
        (["a/x.csv", "a/b/y.csv"], ["items.csv"], ("a",)),
        (["x.csv", "xy.csv"], ["xz.csv"], ("x.csv", "xy.csv")),
        (["[a]/d1.csv", "[a]/d2.csv"], ["items.csv"], ("[a]",)),
        (["x.dat", "y.dat"], [], ("*.dat",)),
        (["log[1].csv", "log[2].csv"], ["items.csv"], ("log[[]*].csv",)),
    ],
)
def test_files_are_named_by_the_shortest_path_that_means_no_others(tmp_path, names, others, path):
    files = DataFiles(tuple(tmp_path / name for name in (*names, *others)), tmp_path)
    assert files.path_of(tuple(tmp_path / name for name in names)) == path


def test_a_later_day_with_a_column_more_is_part_of_the_log(tmp_path):
    (tmp_path / "d1.csv").write_text("user_id,item_id,time\nu1,a,2024-01-05\n", encoding="utf-8")
    (tmp_path / "d2.csv").write_text("user_id,item_id,time,price\nu1,a,2024-01-06,5\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text("item_id,title\na,Tea\n", encoding="utf-8")
    log, items = groups_of(tmp_path)
    assert (len(log.files), len(items.files)) == (2, 1)
    assert log.columns[3].values.tolist() == [None, "5"]
