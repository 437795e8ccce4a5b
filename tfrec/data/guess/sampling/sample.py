"""Samples of a shop's files: the head of each and, where the file is large, parts of its rest."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tfrec.data.guess.sampling.file_bytes import decode, read_bytes
from tfrec.data.guess.sampling.nested import flatten, list_to_explode, parse_json_rows
from tfrec.data.guess.sampling.text_layout import TextLayout, guess_layout
from tfrec.data.readers.messages import translated_errors
from tfrec.data.readers.read import detect_format
from tfrec.errors import DataError

_PARTS = 8  # of a Parquet file
_MOST_ROWS = 200_000
_MOST_NESTED_ROWS = 20_000
_EXACT = 2.0**53  # floats below are exact integers
_LOOKED_AT = 1 << 20  # characters in which a zero tells that a file is no text
_WORKBOOKS = (".xlsx", ".xls", ".ods")
_UNIT = "\x1f"


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Sampled rows of a file and how to read it."""

    path: Path
    format: str  # csv, json or parquet
    frame: pd.DataFrame  # text, None where missing
    rows: int  # of the whole file, estimated where `is_complete` is false
    is_complete: bool
    layout: TextLayout | None = None  # of a CSV file
    encoding: str = "utf-8"
    explode: str = ""
    has_spread: bool = False  # whether parts of the whole file are sampled

    @property
    def has_names(self) -> bool:
        """Whether the file names its columns."""
        return self.layout is None or bool(self.layout.header)


def read_sample(path: Path) -> Sample:
    """Read a sample of a file; DataError if it holds no table."""
    sample = _read_content(path)
    partitions = [part.split("=", 1) for part in path.parent.parts if re.fullmatch(r"\w+=.+", part)]
    frame = sample.frame.assign(**{name: value for name, value in partitions if name not in sample.frame})
    return dataclasses.replace(sample, frame=frame)


def _read_content(path: Path) -> Sample:
    if path.suffix.lower() in _WORKBOOKS:
        raise DataError(f"{path} is a workbook; save its sheets as CSV")
    with translated_errors(path):
        if detect_format(path) == "parquet":
            return _sample_parquet(path)
        data, share, spread = read_bytes(path)
    text, encoding = decode(data if share == 1.0 else data[: data.rfind(b"\n") + 1] or data)
    if not text.strip("\ufeff\x00 \t\r\n"):
        raise DataError(f"{path} is empty; leave it out")
    if "\x00" in text[:_LOOKED_AT].rstrip("\x00"):
        raise DataError(f"{path} is neither text nor Parquet; leave it out, or export it as CSV")
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return _sample_json(path, text, encoding, share)
    return _sample_text(path, text, encoding, share, spread)


def _sample_text(path: Path, text: str, encoding: str, share: float, spread: list[bytes]) -> Sample:
    layout = guess_layout(text)
    names = layout.header or tuple(f"column_{index + 1}" for index in range(layout.n_fields))
    lines = text.splitlines(keepends=True)
    n_hints = 1 if lines[0].strip("\ufeff").startswith("sep=") else 0
    body = "".join(lines[max(layout.skip_rows, n_hints) + bool(layout.header) :])
    parts = [] if layout.has_multiline_values or encoding == "utf-16" else spread
    tables = [_parse(body, names, layout), *(_parse(part.decode(encoding, "replace"), names, layout) for part in parts)]
    frame = pa.concat_tables(tables).slice(0, 5 * _MOST_ROWS).to_pandas()
    rows = tables[0].num_rows if share == 1.0 else round(tables[0].num_rows / share)
    frame = frame.loc[:, [bool(name) and not name.startswith(_UNIT) for name in frame.columns]]
    return Sample(path, "csv", frame, rows, share == 1.0, layout, encoding, has_spread=bool(parts))


def _parse(text: str, names: tuple[str, ...], layout: TextLayout) -> pa.Table:
    """All columns as text; rows of another length are left out."""
    unique = [name if name not in names[:i] else f"{_UNIT}{i}" for i, name in enumerate(names)]
    delimiter = layout.delimiter
    if len(delimiter) > 1 or not delimiter.isascii():
        text, delimiter = text.replace(delimiter, _UNIT), _UNIT
    if not text.strip():
        return pa.table({name: pa.array([], pa.string()) for name in unique})
    unique = [*unique, f"{_UNIT}end"] if layout.has_trailing_delimiter else unique
    quote = False if layout.quote == "none" else layout.quote
    table = pacsv.read_csv(
        io.BytesIO(text.encode("utf-8", "replace")),
        pacsv.ReadOptions(column_names=unique, block_size=64 << 20),
        pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote,
            escape_char=layout.escape or False,
            newlines_in_values=layout.has_multiline_values,
            invalid_row_handler=lambda _: "skip",
        ),
        pacsv.ConvertOptions(
            column_types={name: pa.string() for name in unique},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table


def _sample_json(path: Path, text: str, encoding: str, share: float) -> Sample:
    rows = parse_json_rows(text, _MOST_NESTED_ROWS)
    if not rows:
        raise DataError(f"{path} holds no JSON object; leave it out or write an object a line")
    is_complete = share == 1.0 and len(rows) < _MOST_NESTED_ROWS
    explode = list_to_explode(rows)
    if len(rows) == 1 and explode and list_to_explode(rows[0][explode]):
        cure = f"write them one a line: jq -c '.{explode}[]' {path.name} > {explode}.jsonl"
        raise DataError(f"{path} holds all of its {explode} in one object, with lists in them; {cure}")
    frame = flatten(rows, explode)
    n_lines = text.count("\n")
    total = len(frame) if is_complete else round(max(len(frame), n_lines) / share)
    return Sample(path, "json", frame, total, is_complete, encoding=encoding, explode=explode)


def _sample_parquet(path: Path) -> Sample:
    file = pq.ParquetFile(path)
    n_rows = file.metadata.num_rows
    is_nested = any(pa.types.is_nested(field.type) for field in file.schema_arrow)
    table = _read_batches(file, _MOST_NESTED_ROWS if is_nested else _MOST_ROWS)
    rows = table.to_pylist() if is_nested else []
    explode = list_to_explode(rows) if is_nested else ""
    frame = flatten(rows, explode) if is_nested else _to_text_frame(table)
    return Sample(path, "parquet", frame, n_rows, table.num_rows == n_rows, explode=explode, has_spread=True)


def _read_batches(file: pq.ParquetFile, most: int) -> pa.Table:
    """About so many rows, in batches from the whole file."""
    groups = range(file.metadata.num_row_groups)
    kept_groups = sorted({round(i * (len(groups) - 1) / (_PARTS - 1)) for i in range(_PARTS)}) if groups else []
    batches: list[pa.RecordBatch] = []
    for group in kept_groups:
        rows = file.metadata.row_group(group).num_rows
        size = max(most // len(kept_groups) // _PARTS, 1)
        step = max(rows // size // _PARTS, 1)
        found = enumerate(file.iter_batches(batch_size=size, row_groups=[group]))
        batches += [batch for index, batch in found if index % step == 0]
    return pa.Table.from_batches(batches, schema=file.schema_arrow) if batches else file.schema_arrow.empty_table()


def _to_text_frame(table: pa.Table) -> pd.DataFrame:
    return pd.DataFrame({name: _to_text(table[name]).to_pandas() for name in table.column_names})


def _to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """[rows] text, null where empty; whole floats, as pandas writes ids with gaps, as integers."""
    if pa.types.is_binary(column.type):
        texts = [value.decode("utf-8", "replace") if value is not None else None for value in column.to_pylist()]
        column = pa.chunked_array([pa.array(texts, pa.string())])
    text = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        numbers = column.cast(pa.float64())
        is_whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), _EXACT)).fill_null(False)
        whole = pc.if_else(is_whole, numbers, 0.0).cast(pa.int64()).cast(pa.string())
        text = pc.if_else(pc.is_nan(numbers).fill_null(False), None, pc.if_else(is_whole, whole, text))
    return pc.if_else(pc.equal(text, ""), None, text)
