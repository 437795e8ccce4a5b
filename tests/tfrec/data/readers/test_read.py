"""Readers of every file format, with valid and broken files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.read import read_file, read_files
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
    assert read_file(path, ["id"]).rows.to_pydict() == {"id": TRICKY_IDS}


def test_a_byte_order_mark_and_windows_line_ends_are_skipped(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", b"\xef\xbb\xbfid,n\r\n1,2\r\n")
    assert read_file(path, ["n", "id"]).rows.to_pydict() == {"n": ["2"], "id": ["1"]}
    path = _file(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"id": 1}\r\n\r\n')
    assert read_file(path, ["id"]).rows.to_pydict() == {"id": ["1"]}


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
    assert read_file(path, ["v"]).rows["v"].to_pylist() == ["1.50", "true", None, "Food > Pasta", None, "?"]


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
    read = read_file(tmp_path / "a.parquet", table.column_names).rows
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
    assert read_file(path, ["title"], FileOptions(encoding="gb18030")).rows["title"].to_pylist() == ["中文"]
    path = _file(tmp_path, "a.csv", "id;title\n1;é\n".encode("latin-1"))
    assert read_file(path, ["title"], FileOptions(encoding="latin-1", delimiter=";")).rows["title"].to_pylist() == ["é"]


def test_a_file_without_header_is_read_with_a_separator_of_two_characters(tmp_path: Path) -> None:
    path = _file(tmp_path, "movies.dat", '1::Fée: "La"::A|B\n2::::C\n'.encode("latin-1"))
    names = ("id", "title", "genres")
    table = read_file(path, names, FileOptions(delimiter="::", encoding="latin-1", header=names, quote="none")).rows
    assert table.to_pydict() == {"id": ["1", "2"], "title": ['Fée: "La"', None], "genres": ["A|B", "C"]}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "a.csv is empty, expected a header and rows"),
        ("a.csv", b"\n\n", "a.csv is empty, expected a header and rows"),
        ("a.csv.gz", b"", "a.csv.gz is empty, expected a header and rows"),
        ("a.csv", b"id,n\n1,2\n3,4,5\n", r"line 3 has 3 columns, expected 2 \(3,4,5\), .*; correct or delete that row"),
        ("a.csv", b"id,n\n1,2\n3\n", r"line 3 has 1 column, expected 2 \(3\), .* 1 of 2 rows are broken"),
        ("a.csv", b'id,n\n"1,2\n3,4\n', "line 2 opens a quote that is not closed before line 3 .* `quote: none`"),
        ("a.csv", "id,n\né,2\n".encode("latin-1"), "line 2 is not utf-8 text .*; set `encoding`"),
        ("a.csv", "id,n\n中文,2\n".encode("gb18030"), "is not utf-8 text .* such as latin-1, cp1252 or gb18030"),
        ("a.jsonl", "{}\n中".encode("gb18030"), "a.jsonl line 2 is not utf-8 text"),
        ("a.jsonl", b'{"id": 1}\n{"id": 2\n', r"a.jsonl line 2 is not JSON.*; correct or delete the line"),
        ("a.json", b'[{"id": 1},\n {"id": 2}', "a.json ends within its array; write the file again"),
        ("a.json", b'[{"id": 1},\n {"id" 2}]', "a.json line 2 is not JSON .*; correct it"),
        ("a.json", b'[{"id": 1}] more', "line 1 has text after its array"),
        ("a.json", b"[1, 2]", "line 1 is not a JSON object"),
        ("a.json", b'{"id": {"en": 1, "de": 2}}', "line 1 has an object as 'id', with en, de; name the value .* id.en"),
        ("a.parquet", b"id,n\n1,2\n", "a.parquet can't be read .*Parquet"),
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


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.csv", b"name , n\n1,2\n", "'name', 'n'"),
        ("a.csv", b"id/n\n1/2\n", "'id/n'; .* or set `delimiter`"),
        ("a.csv", b"1,2\n3,4\n", "'1', '2'; .* or `header` if these are the first row"),
        ("a.jsonl", b'{"name": 1, "uid": {"$oid": "x"}}\n', "'name', 'uid', 'uid.$oid'"),
        ("a.json", b'{"data": [{"id": 1}]}', "'data', 'data.id'"),
    ],
)
def test_the_error_for_a_missing_column_shows_the_names_in_quotes(
    tmp_path: Path, name: str, content: bytes, names: str
) -> None:
    with pytest.raises(DataError, match=f"has no column 'id', it has {names.replace('$', chr(92) + '$')}"):
        list(read_files([_file(tmp_path, name, content)], ["id"], ["id"]))


def test_a_missing_parquet_column_and_a_struct_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": [{"en": "x", "de": "y"}]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"has no column 'id', it has 'name', 'name\.de', 'name\.en'"):
        list(read_files([tmp_path / "a.parquet"], ["id"], ["id"]))
    with pytest.raises(DataError, match=r"a.parquet has structs as 'name', with de, en; .* such as name\.de"):
        read_file(tmp_path / "a.parquet", ["name"])


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    raw = pa.array([b"\xff\xfe"], pa.binary())
    claimed = pa.StringArray.from_buffers(1, *raw.buffers()[1:])
    for column in (raw, claimed):
        pq.write_table(pa.table({"id": column}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=r"a\.parquet is not utf-8 text"):
            read_file(tmp_path / "a.parquet", ["id"])
