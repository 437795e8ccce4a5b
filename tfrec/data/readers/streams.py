"""Bytes of a data file: decompressed by its first bytes, whatever its name; text as UTF-8."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from tfrec.data.readers.messages import UNDECODABLE
from tfrec.errors import DataError

CHUNK_BYTES = 1 << 20
MARK_UNDECODABLE = "tfrec.mark_undecodable"  # handler of decoding errors
codecs.register_error(MARK_UNDECODABLE, lambda error: (UNDECODABLE, getattr(error, "end", 0)))

_HEAD_BYTES = 512
_MOST_LAYERS = 3  # a gzip file inside of a zip file
_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # skips zero bytes at the end
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: _open_by_arrow(file, "zstd"),
    b"\x04\x22\x4d\x18": lambda file: _open_by_arrow(file, "lz4"),
}
_REFUSED = {
    b"\xd0\xcf\x11\xe0": ("an Excel workbook or another Office document", "save its sheet as CSV"),
    b"%PDF": ("a PDF document", "export the data as CSV"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"SQLite format 3": ("an SQLite database", "export the table as CSV"),
    b"Obj\x01": ("an Avro file", "convert it to Parquet"),
    b"ORC": ("an ORC file", "convert it to Parquet"),
    b"ARROW1": ("an Arrow (Feather) file", "convert it to Parquet"),
    b"FEA1": ("a Feather file", "convert it to Parquet"),
    b"\x89HDF": ("an HDF5 file", "convert it to Parquet"),
    b"\x80\x04\x95": ("a Python pickle", "write it as Parquet"),
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_file(path: Path) -> io.BufferedReader:
    """Open a file's bytes; gzip, bz2, xz, zstd, lz4 and zip of one file are decompressed.

    DataError for a known format that is no table of text or Parquet.
    """
    stream: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(path), CHUNK_BYTES)
    for _ in range(_MOST_LAYERS):
        head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
        if head.startswith(b"PK\x03\x04"):
            stream = io.BufferedReader(_open_member(path, stream), CHUNK_BYTES)
        elif opener:
            stream = io.BufferedReader(opener(stream), CHUNK_BYTES)
        else:
            _check_known(path, head)
            break
    return stream


def open_text(path: Path, encoding: str) -> io.BufferedReader:
    """Open a file's text as UTF-8 bytes without byte-order mark.

    Bytes that are not text in the encoding become bytes that are not UTF-8.
    """
    stream = open_file(path)
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    encoding = marked or codecs.lookup(encoding).name
    if encoding == "utf-8-sig" and marked:
        stream.read(len(codecs.BOM_UTF8))
    elif encoding not in ("utf-8", "utf-8-sig"):
        return chunks_to_stream(_transcode(stream, encoding))
    elif not marked:
        _check_zero_bytes(path, head)
    return stream


def decode(stream: io.BufferedReader) -> io.TextIOWrapper:
    """Text of UTF-8 bytes with the line ends as written and UNDECODABLE for other bytes."""
    return io.TextIOWrapper(stream, "utf-8", MARK_UNDECODABLE, newline="")


def read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a stream in chunks."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def chunks_to_stream(chunks: Iterator[bytes]) -> io.BufferedReader:
    """Make a stream of chunks."""
    return io.BufferedReader(_ChunkStream(chunks), CHUNK_BYTES)


class _ChunkStream(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _transcode(stream: io.BufferedReader, encoding: str) -> Iterator[bytes]:
    text = io.TextIOWrapper(stream, encoding, MARK_UNDECODABLE, newline="")
    while chunk := text.read(CHUNK_BYTES):
        yield chunk.encode("utf-8", "surrogatepass")


def _open_by_arrow(file: IO[bytes], compression: str) -> IO[bytes]:
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), compression)


def _open_member(path: Path, stream: io.BufferedReader) -> IO[bytes]:
    archive = zipfile.ZipFile(stream)
    names = archive.namelist()
    if "[Content_Types].xml" in names:
        raise DataError(f"{path} is an Excel workbook or another Office document; save its sheet as CSV")
    members = [name for name in names if _is_data_member(name)]
    if len(members) != 1:
        raise DataError(
            f"{path} is a zip archive of {len(members)} files, expected one; unpack it and give the folder as path"
        )
    try:
        return archive.open(members[0])
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path} is a zip archive that can't be opened ({error}); unpack it") from None


def _is_data_member(name: str) -> bool:
    return not name.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _check_known(path: Path, head: bytes) -> None:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:15].lower()
    what, cure = next((known for magic, known in _REFUSED.items() if head.startswith(magic)), ("", ""))
    if start.startswith((b"<!doctype html", b"<html")):
        what, cure = "an HTML page", "download the file itself, an export may want a login"
    elif start.startswith(b"<"):
        what, cure = "an XML or HTML document", "export the data as CSV or JSON"
    elif head[257:262] == b"ustar":
        what, cure = "a tar archive", "unpack it and give the folder as path"
    elif head.startswith(b"version https://git-lfs"):
        what, cure = "a pointer of Git LFS", "fetch the file itself by `git lfs pull`"
    if what:
        raise DataError(f"{path} is {what}, expected CSV, JSON or Parquet; {cure}")


def _check_zero_bytes(path: Path, head: bytes) -> None:
    if len(head) >= 4 and head.count(0) >= len(head) // 3:
        order = "utf-16-le" if head[1] == 0 else "utf-16-be"
        raise DataError(f"{path} holds a zero byte beside each letter, as UTF-16 does; set `encoding: {order}`")
