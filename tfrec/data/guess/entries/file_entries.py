"""Entries of a table that say where its files are and how to read them."""

from __future__ import annotations

from collections.abc import Iterable

from tfrec.data.guess.entries.yaml_text import Entry
from tfrec.data.guess.headerless import is_placeholder
from tfrec.data.guess.sampling.column import Column
from tfrec.data.guess.sampling.file_paths import DataFiles
from tfrec.data.guess.sampling.groups import Group
from tfrec.data.readers.find import data_suffix
from tfrec.data.readers.read import detect_format
from tfrec.data.values.missing import MISSING_WORDS


def file_entries(group: Group, files: DataFiles) -> tuple[Entry, ...]:
    """Path, format, encoding and layout of a table's files."""
    sample, layout = group.first, group.first.layout
    paths = files.path_of(group.files)
    entries = [Entry("path", paths[0] if len(paths) == 1 else paths, _size(group))]
    if detect_format(sample.path) != sample.format:
        entries.append(Entry("format", sample.format, "by the content; the file's name says another one"))
    if sample.encoding not in ("utf-8", "utf-16"):
        entries.append(_encoding(sample.encoding))
    if sample.explode:
        entries.append(Entry("explode", sample.explode, "a row for each element of this list"))
    if layout is None:
        return tuple(entries)
    if layout.delimiter != ("\t" if data_suffix(sample.path) == ".tsv" else ","):
        entries.append(Entry("delimiter", "tab" if layout.delimiter == "\t" else layout.delimiter))
    if layout.quote == "none":
        entries.append(Entry("quote", "none", "quotes stand alone in values, such as inch marks"))
    if layout.escape:
        entries.append(Entry("escape", layout.escape, 'quotes in values are written as \\"'))
    if layout.skip_rows:
        entries.append(Entry("skip_rows", str(layout.skip_rows), "lines before the header"))
    if not layout.header:
        names = tuple(str(name) for name in sample.frame.columns if "=" not in str(name))[: layout.n_fields]
        unnamed = [name for name in names if is_placeholder(name)]
        doubt = f"not used: {', '.join(unnamed)}; give these columns names and map them to use them" if unnamed else ""
        entries.append(Entry("header", names, "the file has no header; names by the values", doubt))
    return tuple(entries)


def missing_entry(columns: Iterable[Column]) -> tuple[Entry, ...]:
    """Words for "unknown" among ids and categories, without those that ingest knows by itself."""
    words = {word.strip() for column in columns for word in column.missing_words}
    further = tuple(sorted(word for word in words if word.lower() not in MISSING_WORDS))
    return (Entry("missing", further, "words for a value that is not known"),) if further else ()


def _size(group: Group) -> str:
    n_files = f"{len(group.files):,} files, " if len(group.files) > 1 else ""
    if group.is_complete:
        return f"{n_files}{group.rows:,} row{'s' * (group.rows != 1)}"
    return f"{n_files}about {group.rows:,} rows, of which {group.sampled_rows:,} are sampled"


def _encoding(encoding: str) -> Entry:
    if encoding in ("cp1252", "latin-1"):
        return Entry(
            "encoding", encoding, "not UTF-8", "check the accents in the titles; cp1250 is another of this kind"
        )
    return Entry("encoding", encoding, "not UTF-8; its letters are those of this encoding")
