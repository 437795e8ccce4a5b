"""How the files of a table are written: the keys of a mapping that the readers obey."""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import Any, Literal, get_args

from tfrec.errors import ConfigError

Format = Literal["csv", "json", "parquet"]
OPTION_KEYS = (*("format", "encoding", "delimiter", "quote", "escape", "header", "skip_rows", "bad_rows", "explode"),)
NO_QUOTE = "none"
FEW_BAD_ROWS = 3
"""Broken rows that a file of any size may hold, unless `bad_rows` is 0."""

WHITESPACE = "\\s+"  # any number of blanks and tabs
_DELIMITER_WORDS = {"whitespace": WHITESPACE, "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """How the files of one table are written."""

    format: Format | Literal[""] = ""  # "": by the first bytes, then by the name
    encoding: str = "utf-8"  # a byte-order mark takes precedence
    delimiter: str = ""  # "": a tab in files named .tsv, a comma in others; several characters are allowed
    quote: str = ""
    """Character around values; "none": quotes are part of the text.

    "": a double quote, where a quoted value whose lines look like rows counts as never closed.
    """
    escape: str = ""  # character that takes the next one literally
    header: tuple[str, ...] = ()  # names of the columns, for files without a header line
    skip_rows: int = 0  # lines before the header
    bad_rows: float = 0.01  # share of a file's rows that may be broken; FEW_BAD_ROWS always may
    explode: str = ""  # path on which the elements of each list become a row each
    item_paths: tuple[str, ...] = ()
    """Paths of the item, of which the first with a value is exploded if `explode` is ""."""
    single: tuple[str, ...] = ()
    """Paths that hold one value a row, such as ids: a list of several is an error."""

    @property
    def exploded(self) -> tuple[str, ...]:
        """Paths of which one is exploded in each row."""
        return (self.explode,) if self.explode else self.item_paths


DEFAULT_OPTIONS = FileOptions()


def parse_options(raw: dict[str, Any], table: str) -> FileOptions:
    """Parse the options in a table's part of a mapping; ConfigError for a wrong value."""
    return FileOptions(
        format=_parse_format(raw.get("format", ""), table),
        encoding=_parse_encoding(raw.get("encoding", "utf-8"), table),
        delimiter=_parse_delimiter(raw.get("delimiter", ""), table),
        quote=_parse_quote(raw.get("quote", ""), table),
        escape=_parse_escape(raw.get("escape", ""), table),
        header=_parse_header(raw.get("header", []), table),
        skip_rows=_parse_skip_rows(raw.get("skip_rows", "0"), table),
        bad_rows=_parse_bad_rows(raw.get("bad_rows", "1 %"), table),
        explode=_parse_explode(raw.get("explode", ""), table),
    )


def _parse_format(raw: Any, table: str) -> Any:
    if raw not in ("", *get_args(Format)):
        known = ", ".join(get_args(Format))
        raise ConfigError(
            f"{table}.format is {raw!r}, expected one of {known}; remove it to go by the files' first bytes"
        )
    return raw


def _parse_encoding(raw: Any, table: str) -> str:
    try:
        if not codecs.lookup(raw)._is_text_encoding:
            raise LookupError
    except (LookupError, TypeError):
        raise ConfigError(
            f"{table}.encoding is {raw!r}, which is unknown to Python; try utf-8, latin-1 or gb18030"
        ) from None
    return str(raw)


def _parse_delimiter(raw: Any, table: str) -> str:
    delimiter = _DELIMITER_WORDS.get(str(raw).lower(), raw)
    if delimiter == WHITESPACE:
        return WHITESPACE
    if isinstance(delimiter, str) and delimiter.startswith("\\") and len(delimiter) > 1:
        delimiter = _decode_escape(delimiter)  # '\t' in single quotes is a backslash and a t in YAML
    if not isinstance(delimiter, str) or re.search(r"[\w\"\r\n]", delimiter):
        raise ConfigError(
            f"{table}.delimiter is {raw!r}, expected punctuation such as ';', '|' or '::', or one of "
            f"{', '.join(_DELIMITER_WORDS)}; write what stands between two columns in the file"
        )
    return delimiter


def _decode_escape(text: str) -> str:
    try:
        return text.encode("ascii").decode("unicode_escape")
    except UnicodeError:
        return text


def _parse_quote(raw: Any, table: str) -> str:
    if raw in ("", NO_QUOTE) or (isinstance(raw, str) and re.fullmatch(r"[!-/:-@\[-`{-~]", raw)):
        return str(raw)
    raise ConfigError(
        f"{table}.quote is {raw!r}, expected one punctuation character, or `none` where quotes are part of the text; "
        "write quote: none"
    )


def _parse_escape(raw: Any, table: str) -> str:
    if isinstance(raw, str) and re.fullmatch(r"[!-/:-@\[-`{-~]?", raw):
        return raw
    raise ConfigError(f"{table}.escape is {raw!r}, expected one punctuation character; write escape: '\\'")


def _parse_header(raw: Any, table: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw):
        raise ConfigError(
            f"{table}.header is {raw!r}, expected the names of the columns of files without a header line; "
            "write header: [session, time, item]"
        )
    return tuple(raw)


def _parse_skip_rows(raw: Any, table: str) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,6}", raw):
        return int(raw)
    raise ConfigError(f"{table}.skip_rows is {raw!r}, expected the number of lines before the header; write 2")


def _parse_bad_rows(raw: Any, table: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%|(0?\.[0-9]+|0)", raw) if isinstance(raw, str) else None
    share = (float(match[1]) / 100 if match[1] else float(match[2])) if match else -1
    if not 0 <= share <= 1:
        raise ConfigError(
            f"{table}.bad_rows is {raw!r}, expected a share of the rows from 0 % to 100 %; write 1 %, or 0 to stop "
            "at the first broken row"
        )
    return share


def _parse_explode(raw: Any, table: str) -> str:
    if not isinstance(raw, str):
        raise ConfigError(f"{table}.explode is {raw!r}, expected the name of one list of objects; write explode: items")
    return raw
