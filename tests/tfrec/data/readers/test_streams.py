"""Compressed and encoded files, recognized by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.readers.read import detect_format, read_file
from tfrec.errors import DataError

CONTENT = "user,item\nu1,a\nü2,b\n"


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def _items(folder: Path, name: str, content: bytes) -> list[str]:
    (folder / name).write_bytes(content)
    return read_file(folder / name, ["user"]).rows["user"].to_pylist()


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.dat", "log.zip"])
@pytest.mark.parametrize(
    "content",
    [
        CONTENT.encode(),
        gzip.compress(CONTENT.encode()),
        gzip.compress(CONTENT.encode()) + bytes(512),
        gzip.compress(CONTENT[:12].encode()) + gzip.compress(CONTENT[12:].encode()),
        bz2.compress(CONTENT.encode()),
        lzma.compress(CONTENT.encode()),
        pa.compress(CONTENT.encode(), "zstd", asbytes=True),
        _zip(log__csv=CONTENT.encode(), __MACOSX=b"x"),
        _zip(log__csv__gz=gzip.compress(CONTENT.encode())),
        CONTENT.encode("utf-16"),
        b"\xfe\xff" + CONTENT.encode("utf-16-be"),
        CONTENT.encode("utf-32"),
        gzip.compress(CONTENT.encode("utf-16")),
    ],
    ids=[
        "plain",
        "gzip",
        "padded",
        "members",
        "bz2",
        "xz",
        "zstd",
        "zip",
        "zip-gzip",
        "utf16",
        "utf16be",
        "utf32",
        "gz16",
    ],
)
def test_compressions_and_byte_order_marks_are_recognized_by_the_first_bytes(
    tmp_path: Path, name: str, content: bytes
) -> None:
    assert _items(tmp_path, name, content) == ["u1", "ü2"]


def test_json_and_parquet_are_recognized_by_the_first_bytes(tmp_path: Path) -> None:
    assert _items(tmp_path, "log.csv", b'{"user": "u1"}\n{"user": "u2"}\n') == ["u1", "u2"]
    assert _items(tmp_path, "log.txt.gz", gzip.compress(b' [\n{"user": 1}]')) == ["1"]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"user": ["u1"]}), buffer)
    assert _items(tmp_path, "log.csv", buffer.getvalue()) == ["u1"]
    assert _items(tmp_path, "log.parquet.gz", gzip.compress(buffer.getvalue())) == ["u1"]
    (tmp_path / "items.csv").write_text("[a],b\n")
    assert detect_format(tmp_path / "items.csv") == "csv"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_zip(a__csv=b"x", b__csv=b"y"), "is a zip archive of 2 files, expected one; unpack it"),
        (_zip(**{"[Content_Types]__xml": b"<x/>", "xl/workbook__xml": b"<x/>"}), "is an Excel workbook .*; save its"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook or another Office document"),
        (b"%PDF-1.7", "is a PDF document, expected CSV, JSON or Parquet"),
        (b"\n<!DOCTYPE html><html>", "is an HTML page, .* an export may want a login"),
        (b'<?xml version="1.0"?><rows/>', "is an XML or HTML document"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, .*; unpack it"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (b"Obj\x01", "is an Avro file, .*; convert it to Parquet"),
        (b"ORC\n", "is an ORC file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (CONTENT.encode("utf-16-le"), "zero byte beside each letter, .* set `encoding: utf-16-le`"),
        (CONTENT.encode("utf-16-be"), "set `encoding: utf-16-be`"),
        (gzip.compress(CONTENT.encode(), mtime=0)[:-9], "can't be read .* if it is cut off"),
        (gzip.compress(CONTENT.encode(), mtime=0) + b"more", "can't be read .*gzip"),
        (_zip(log__csv=CONTENT.encode() * 99)[:200], "can't be read .*zip"),
    ],
)
def test_other_formats_are_refused_with_their_name_and_a_cure(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"log\.csv .*{sentence}") as raised:
        _items(tmp_path, "log.csv", content)
    assert str(raised.value).isprintable()
