"""Readers of every file format, with valid and broken files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.file_readers import find_files, read_file, read_headerless
from tfrec.errors import DataError

TRICKY_IDS = ["a,b", '"quoted"', "it's", "商品 1", "NA", "null", "007", "1e5", "ünï", "two\nlines", "😀"]


def _file(folder: Path, name: str, content: bytes | str) -> Path:
    raw = content.encode("utf-8") if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return folder / name


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_every_format_keeps_ids_with_commas_quotes_and_chinese(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"id": TRICKY_IDS, "more": ["x"] * len(TRICKY_IDS)})
    path = tmp_path / name
    if "csv" in name or "tsv" in name:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    elif "jsonl" in name:
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)
    assert read_file(path, ["id"]).to_pydict() == {"id": TRICKY_IDS}


def test_a_byte_order_mark_and_windows_line_ends_are_skipped(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", b"\xef\xbb\xbfid,n\r\n1,2\r\n")
    assert read_file(path, ["n", "id"]).to_pydict() == {"n": ["2"], "id": ["1"]}
    path = _file(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"id": 1}\r\n\r\n')
    assert read_file(path, ["id"]).to_pydict() == {"id": ["1"]}


def test_json_values_become_text_as_written(tmp_path: Path) -> None:
    rows = [
        '{"v": 1.50}',
        '{"v": true}',
        '{"w": 1}',
        '{"v": ["Food", "Pasta"]}',
        '{"v": NaN}',
        r'{"v": "\ud83d"}',
    ]
    path = _file(tmp_path, "a.jsonl", "\n".join(rows))
    assert read_file(path, ["v"])["v"].to_pylist() == ["1.50", "true", None, "Food > Pasta", None, "?"]


def test_parquet_values_become_text_and_whole_floats_become_integers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "float_id": [17850.0, None],
            "price": [2.5, float("nan")],
            "number": pa.array([7, 8], pa.int32()),
            "path": [["Food", "Pasta"], None],
            "day": pa.array([0, 1], pa.date32()),
            "word": pa.array(["x", ""]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_file(tmp_path / "a.parquet", table.column_names)
    assert read["day"].type == pa.timestamp("ms")
    assert read.drop_columns("day").to_pydict() == {
        "float_id": ["17850", None],
        "price": ["2.5", None],
        "number": ["7", "8"],
        "path": ["Food > Pasta", None],
        "word": ["x", None],
    }


def test_a_csv_file_is_read_with_its_encoding_and_delimiter(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "id,title\n1,中文\n".encode("gb18030"))
    assert read_file(path, ["title"], encoding="gb18030")["title"].to_pylist() == ["中文"]
    path = _file(tmp_path, "a.csv", "id;title\n1;é\n".encode("latin-1"))
    assert read_file(path, ["title"], encoding="latin-1", delimiter=";")["title"].to_pylist() == ["é"]


def test_a_file_without_header_is_read_with_a_separator_of_two_characters(tmp_path: Path) -> None:
    path = _file(tmp_path, "movies.dat", '1::Fée: "La"::A|B\n2::::C\n'.encode("latin-1"))
    table = read_headerless(path, ["id", "title", "genres"], "::", "latin-1")
    assert table.to_pydict() == {"id": ["1", "2"], "title": ['Fée: "La"', None], "genres": ["A|B", "C"]}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "a.csv is empty, expected a header and rows"),
        ("a.csv", b"\n\n", "a.csv is empty, expected a header and rows"),
        ("a.csv.gz", b"", "a.csv.gz is empty, expected a header and rows"),
        (
            "a.csv",
            b"id,n\n1,2\n3,4,5\n",
            r"Row #3: Expected 2 columns, got 3: 3,4,5\); correct or delete that row",
        ),
        ("a.csv", b"id,n\n1,2\n3\n", r"Row #3: Expected 2 columns, got 1: 3\); correct"),
        ("a.csv", b'id,n\n"1,2\n3,4\n', r"a.csv can't be read .*; correct or delete that row"),
        ("a.csv", b"name,n\n1,2\n", "has no column 'id', it has name, n; name the right one under `columns`"),
        ("a.csv", b"id;n\n1;2\n", "has no column 'id', it has id;n; .* or set `delimiter`"),
        ("a.csv", "id,n\né,2\n".encode("latin-1"), r"is not utf-8 text \(.*Row #2.*; set `encoding`"),
        (
            "a.csv",
            "id,n\n中文,2\n".encode("gb18030"),
            "is not utf-8 text .* such as latin-1, cp1252 or gb18030",
        ),
        ("a.jsonl", "{}\n中".encode("gb18030"), "a.jsonl is not utf-8 text"),
        ("a.jsonl", b'{"id": 1}\n{"id": 2\n', r"a.jsonl line 2 is not JSON .*; correct or delete the line"),
        ("a.json", b'[\n{"id": 1}\n]', "a.json line 1 is not JSON"),
        ("a.json", b'[{"id": 1}]', r"line 1 is not a JSON object; write one \{...\} a line"),
        ("a.jsonl", b'{"name": 1}\n', "has no column 'id', it has name"),
        ("a.parquet", b"id,n\n1,2\n", "a.parquet can't be read .*Parquet"),
        ("a.xlsx", b"PK", "ends in '.xlsx', which is none of .csv, .tsv"),
    ],
)
def test_the_error_for_a_broken_file_is_one_line_with_its_name_and_cure(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as raised:
        read_file(_file(tmp_path, name, content), ["id"])
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    rows = "".join(json.dumps({"id": str(number)}) + "\n" for number in range(9999))
    path = _file(tmp_path, name, rows if "json" in name else rows.replace('{"id": ', "").replace("}", ""))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="write the file again if it is cut off"):
        read_file(path, ["0" if "csv" in name else "id"])


def test_a_missing_parquet_column_and_a_nested_one_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": [{"en": "x"}]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has no column 'id', it has name"):
        read_file(tmp_path / "a.parquet", ["id"])
    with pytest.raises(DataError, match=r"a.parquet can't be read .*struct"):
        read_file(tmp_path / "a.parquet", ["name"])


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    raw = pa.array([b"\xff\xfe"], pa.binary())
    claimed = pa.StringArray.from_buffers(1, *raw.buffers()[1:])
    for column in (raw, claimed):
        pq.write_table(pa.table({"id": column}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=r"a\.parquet is not utf-8 text"):
            read_file(tmp_path / "a.parquet", ["id"])


def test_data_files_of_a_folder_and_a_glob_are_sorted(tmp_path: Path) -> None:
    (tmp_path / "2024/_tmp").mkdir(parents=True)
    for name in (
        "b.csv",
        "a.csv.gz",
        "_SUCCESS",
        ".hidden.csv",
        "notes.md",
        "2024/c.parquet",
        "2024/_tmp/d.csv",
    ):
        (tmp_path / name).touch()
    folder = [str(path.relative_to(tmp_path)) for path in find_files(tmp_path)]
    assert folder == ["2024/c.parquet", "a.csv.gz", "b.csv"]
    assert [path.name for path in find_files(tmp_path / "*.csv*")] == ["a.csv.gz", "b.csv"]
    with pytest.raises(DataError, match=r"none.csv matches no CSV, JSONL or Parquet file; correct the path"):
        find_files(tmp_path / "none.csv")
