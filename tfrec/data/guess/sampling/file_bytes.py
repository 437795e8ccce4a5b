"""The head of a file and parts of its rest, decompressed and decoded."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import IO

from tfrec.data.readers.streams import open_file

_HEAD_BYTES = 8 << 20
_PART_BYTES = 512 << 10
_PARTS = 8
_STEP_BYTES = 4 << 20  # between parts of a compressed file
_MOST_UNZIPPED = 1 << 30  # bytes of a compressed file that are looked through


def read_bytes(path: Path) -> tuple[bytes, float, list[bytes]]:
    """The head, its share of the file, and parts of the rest, decompressed."""
    with open_file(path) as stream:
        head = stream.read(_HEAD_BYTES)
        if not isinstance(stream.raw, io.FileIO):
            return _read_stream(stream, head)
        size = path.stat().st_size
        if len(head) >= size:
            return head, 1.0, []
        return head, len(head) / size, [_read_part(stream, size, index) for index in range(1, _PARTS + 1)]


def _read_stream(stream: IO[bytes], head: bytes) -> tuple[bytes, float, list[bytes]]:
    """As `read_bytes` for what can only be read in order, up to a number of bytes."""
    size, parts = len(head), []
    while size < _MOST_UNZIPPED and (block := stream.read(_STEP_BYTES)):
        size += len(block)
        parts.append(_whole_lines(block[:_PART_BYTES]))
    spread = parts if len(parts) <= _PARTS else [parts[i * (len(parts) - 1) // (_PARTS - 1)] for i in range(_PARTS)]
    return head, len(head) / max(size, 1) if parts else 1.0, spread


def _read_part(file: IO[bytes], size: int, index: int) -> bytes:
    """Whole lines from the index-th of the parts behind the head."""
    file.seek(_HEAD_BYTES + (size - _HEAD_BYTES - _PART_BYTES) * index // _PARTS)
    return _whole_lines(file.read(_PART_BYTES))


def _whole_lines(part: bytes) -> bytes:
    return part[part.find(b"\n") + 1 : part.rfind(b"\n") + 1]


def decode(data: bytes) -> tuple[str, str]:
    """Text and encoding: UTF-8, UTF-16 by its mark, or the likeliest other one."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), "utf-16"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # a character that the end of the head cuts
            return data[: error.start].decode("utf-8"), "utf-8"
    for encoding in ("gb18030", "shift_jis", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp1252" or _is_east_asian(text):
            return text, encoding
    return data.decode("latin-1"), "latin-1"


def _is_east_asian(text: str) -> bool:
    """Whether most characters beyond ASCII are common Chinese or Japanese ones."""
    beyond = [letter for letter in text[:200_000] if letter > "\x7f"]
    common = sum("\u3040" <= letter <= "\u30ff" or "\u4e00" <= letter <= "\u9fff" for letter in beyond)
    pairs = sum(a > "\x7f" and b > "\x7f" for a, b in itertools.pairwise(text[:200_000]))
    return bool(beyond) and common > 0.8 * len(beyond) and pairs > 0.4 * len(beyond)
