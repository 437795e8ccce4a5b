"""A gzip body of a REST request, unpacked within bounds: a kilobyte can hold a gigabyte of zeros."""

from __future__ import annotations

import zlib

from serving.request.status import Code, StatusError, invalid

MAX_BYTES = 2**28
_GZIP = 16 + zlib.MAX_WBITS


def unzipped(body: bytes) -> bytes:
    """The content of a gzip file in memory; StatusError when it is none, is cut off, or holds over MAX_BYTES."""
    unzip = zlib.decompressobj(_GZIP)
    try:
        content = unzip.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise invalid(f"the body is said to be gzip but can't be unpacked ({error})") from error
    if unzip.unconsumed_tail:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"the body unpacks to more than {MAX_BYTES} bytes; send it in parts")
    if not unzip.eof:
        raise invalid("the body is said to be gzip but it ends in the middle")
    return content
