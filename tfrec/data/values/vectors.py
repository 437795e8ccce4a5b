"""Vectors, such as the embedding of an image: text of numbers in, lists of float32 out.

A vector is a list of JSON or Parquet, or text such as "[0.1, 0.2]", "0.1 0.2" or "0.1;0.2". Where
blanks or semicolons part the numbers, commas are decimal: "0,1 0,2".
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.arrow import to_bools

_BRACKETS = r"^[\s\[({]+|[\s\])}]+$"
_BETWEEN = r"\s*[,;|>]\s*|\s+"  # ">" is how the readers join a list
_PARTED = r"[;|>]|\d\s+[-+.\d]"  # by something else than commas
_NO_DECIMALS = r",\s|\s,|\.|,[^,;|>\s]*,"  # a comma beside a blank, points, two commas in a number


@dataclasses.dataclass(frozen=True)
class Vectors:
    """A column of vectors of one length."""

    values: pa.ChunkedArray  # [rows] list<float32>, null where unknown
    length: int
    unreadable: int  # rows with text that is no vector, or one of another length
    example: str = ""  # a text of these


def read_vectors(column: pa.ChunkedArray) -> Vectors:
    """Read a column of vectors; the most common length is that of all."""
    text = column.cast(pa.string()).combine_chunks()
    numbered = _with_points(pc.replace_substring_regex(text, _BRACKETS, ""))
    parts = pc.split_pattern_regex(numbered, _BETWEEN)
    lengths = pc.fill_null(pc.list_value_length(parts), 0).to_numpy()
    numbers = _to_floats(parts.flatten())
    is_wrong = np.bincount(np.repeat(np.arange(len(text)), lengths), ~np.isfinite(numbers), len(text)) > 0
    is_known = to_bools(text.is_valid())
    sizes = np.bincount(lengths[is_known & ~is_wrong], minlength=1)
    length = int(sizes.argmax())
    is_vector = is_known & ~is_wrong & (lengths == length)
    unread = np.flatnonzero(is_known & ~is_vector)
    kept = numbers[np.repeat(is_vector, lengths)]
    offsets = np.append(0, np.cumsum(np.where(is_vector, length, 0))).astype("int32")
    values = pa.ListArray.from_arrays(pa.array(offsets), pa.array(kept, pa.float32()), mask=pa.array(~is_vector))
    return Vectors(pa.chunked_array([values]), length, len(unread), text[unread[0]].as_py() if len(unread) else "")


def _with_points(text: pa.Array) -> pa.Array:
    """Write decimal commas as points."""
    is_parted = pc.match_substring_regex(text, _PARTED)
    is_decimal = pc.and_not(is_parted, pc.match_substring_regex(text, _NO_DECIMALS))
    return pc.if_else(is_decimal, pc.replace_substring(text, ",", "."), text)


def _to_floats(texts: pa.Array) -> np.ndarray:
    """[values] float32, NaN where a text is no number."""
    try:
        return texts.cast(pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy("float64")
    with np.errstate(over="ignore"):
        return numbers.astype("float32")
