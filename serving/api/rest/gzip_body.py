"""Gzip bodies of REST requests, unpacked up to a limit: a kilobyte can hold a gigabyte of zeros."""

from __future__ import annotations

import zlib

from serving.api.rest import errors

MAX_BYTES = 2**28
_GZIP = 16 + zlib.MAX_WBITS


def unzipped(body: bytes) -> bytes:
    """The unpacked body; StatusError when it is not gzip, cut off, or larger than MAX_BYTES."""
    unzip = zlib.decompressobj(_GZIP)
    try:
        content = unzip.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise errors.invalid_gzip(str(error)) from error
    if unzip.unconsumed_tail:
        raise errors.gzip_too_large(MAX_BYTES)
    if not unzip.eof:
        raise errors.truncated_gzip()
    return content
