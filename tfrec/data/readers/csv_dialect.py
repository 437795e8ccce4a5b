"""Dialect of a CSV file: its delimiter, quote and escape characters."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from tfrec.data.readers.options import NO_QUOTE, WHITESPACE, FileOptions

_STAND_IN = "\x1f"  # both parsers need a delimiter of one ASCII character; no text holds this one
_QUOTE = '"'
_BLANKS = re.compile(r"[ \t]+")
_OUTER_BLANKS = re.compile(r"^[ \t]+|[ \t]+(?=\r?$)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Dialect:
    """Characters that part columns and enclose values."""

    delimiter: str  # one ASCII character
    quote: str  # "": none
    escape: str  # "": none
    replaced: str = ""  # what stands for `delimiter` in the file, if it isn't one ASCII character
    skips_blanks: bool = False  # after a delimiter
    trusts_quotes: bool = False  # values of many lines that look like rows are meant

    @property
    def names_null(self) -> bool:
        r"""True where \N stands for a missing value, as MySQL writes it."""
        return self.escape == "\\"

    def translate(self, text: str) -> str:
        """Text with `delimiter` in place of `replaced`, and without the word for null."""
        if self.replaced == WHITESPACE:
            text = _BLANKS.sub(self.delimiter, _OUTER_BLANKS.sub("", text))
        elif self.replaced:
            text = text.replace(self.replaced, self.delimiter)
        return self._null.sub("", text) if self.names_null else text

    @property
    def quoted(self) -> str:
        """What `delimiter` stands for within a quoted value."""
        return " " if self.replaced == WHITESPACE else self.replaced or self.delimiter

    def restore(self, text: str) -> str:
        """Translated text as it is in the file, but for blanks."""
        return text.replace(self.delimiter, self.quoted)

    def translate_bytes(self, text: bytes) -> bytes:
        """Bytes of whole lines, as `translate`."""
        return self.translate(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    @property
    def _null(self) -> re.Pattern[str]:
        between = re.escape(self.delimiter)
        return re.compile(rf"(?:(?<=^)|(?<=[{between}\n]))\\N(?=[{between}\r\n]|$)")

    def reader(self, lines: Iterable[str], strict: bool = False) -> Any:
        """Parser of Python's csv module."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            skipinitialspace=self.skips_blanks,
            strict=strict,
        )


def make_dialect(options: FileOptions, delimiter: str) -> Dialect:
    """Make the dialect of a file whose columns are parted by `delimiter`."""
    is_single = len(delimiter) == 1 and delimiter.isascii()
    return Dialect(
        delimiter=delimiter if is_single else _STAND_IN,
        quote="" if options.quote == NO_QUOTE else options.quote or _QUOTE,
        escape=options.escape,
        replaced="" if is_single else delimiter,
        trusts_quotes=options.quote not in ("", NO_QUOTE),
    )
