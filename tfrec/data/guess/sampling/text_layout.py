"""Layout of a text file, guessed from its first lines: delimiter, quotes, header."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter

import pandas as pd

from tfrec.data.guess.lexicon import is_known_name
from tfrec.data.guess.sampling.column import to_numbers

_DELIMITERS = (",", "\t", ";", "|", "::", "\x01", "^", "~", "¦", "§")
_MOST_LINES = 400
_MOST_SKIPPED = 20
_UNIFORM = 0.9  # share of the rows that have the same number of fields


@dataclasses.dataclass(frozen=True)
class TextLayout:
    """How to cut a text file into rows and fields."""

    delimiter: str
    quote: str = '"'  # "none": quotes are ordinary characters
    escape: str = ""
    skip_rows: int = 0
    header: tuple[str, ...] = ()  # () if the file has no header line
    n_fields: int = 1
    has_multiline_values: bool = False
    has_trailing_delimiter: bool = False  # each line but the header ends with one more


def guess_layout(text: str) -> TextLayout:
    """Guess the layout of a text that ends at the end of a line."""
    lines = text.splitlines()[:_MOST_LINES]
    hint = re.match(r"^sep=(.+)$", lines[0].strip("\ufeff")) if lines else None
    body = [line for line in lines if line.strip()] if not hint else [line for line in lines[1:] if line.strip()]
    delimiter = hint.group(1) if hint else _choose_delimiter(body)
    quote, escape = _choose_quote(body, delimiter)
    rows = _cut(body, delimiter, quote, escape)
    n_fields = _mode([len(row) for row in rows])
    is_trailing = n_fields > 1 and not any(row[-1] for row in rows if len(row) == n_fields)
    is_trailing = is_trailing and len(rows[0]) == n_fields - 1
    n_fields -= is_trailing
    first = next((i for i, row in enumerate(rows[:_MOST_SKIPPED]) if len(row) == n_fields), 0)
    header = tuple(name.strip("\ufeff \t") for name in rows[first]) if rows and _is_header(rows[first:]) else ()
    is_multiline = len(rows) < 0.99 * len(body)
    n_skipped = _physical(lines, first)
    return TextLayout(delimiter, quote, escape, n_skipped, header, n_fields, is_multiline, is_trailing)


def _choose_delimiter(lines: list[str]) -> str:
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in _cut(lines, delimiter, '"', "")]
        mode = _mode(counts)
        share = counts.count(mode) / max(len(counts), 1)
        score = 0.0 if mode < 2 else share + 0.01 * min(mode, 20)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _choose_quote(lines: list[str], delimiter: str) -> tuple[str, str]:
    """Quotes are ordinary characters where the lines are uniform without them and not with them."""
    quoted, plain = (_cut(lines, delimiter, quote, "") for quote in ('"', "none"))
    has_quoted_field = any(re.search(rf'(^|{re.escape(delimiter)})"[^"]*"({re.escape(delimiter)}|$)', x) for x in lines)
    if _uniform_share(plain) >= 0.99 and len(quoted) < len(plain) and not has_quoted_field:
        return "none", ""
    if any('\\"' in line for line in lines):
        escaped = _cut(lines, delimiter, '"', "\\")
        if _uniform_share(escaped) >= _uniform_share(quoted):
            return '"', "\\"
    return '"', ""


def _cut(lines: list[str], delimiter: str, quote: str, escape: str) -> list[list[str]]:
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines]
    ended = [line + "\n" for line in lines]
    try:
        if quote == "none":
            return list(csv.reader(ended, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        return list(csv.reader(ended, delimiter=delimiter, escapechar=escape or None))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _uniform_share(rows: list[list[str]]) -> float:
    counts = [len(row) for row in rows]
    return counts.count(_mode(counts)) / max(len(counts), 1)


def _mode(counts: list[int]) -> int:
    return Counter(counts).most_common(1)[0][0] if counts else 1


def _physical(lines: list[str], first: int) -> int:
    """Number of lines before the header, blank lines included."""
    if first == 0:
        return 0
    seen, skipped = 0, 0
    for line in lines:
        if line.strip():
            if seen == first:
                break
            seen += 1
        skipped += 1
    return skipped


def _is_header(rows: list[list[str]]) -> bool:
    """Names are texts of which none repeats; a row of values holds a number or repeats below."""
    names, body = [name.strip() for name in rows[0]], rows[1:]
    filled = [name for name in names if name]
    if not filled or len(set(names)) < len(filled) or any(re.match(r"^[-+]?[\d.]", name) for name in filled):
        return False
    if sum(is_known_name(name) for name in filled) * 2 >= min(len(filled), 4):
        return True
    for index, name in enumerate(names):
        values = [row[index] for row in body if index < len(row)]
        if name in values:
            return False
        if values and pd.notna(to_numbers(pd.Series(values))).mean() > 0.9:
            return True
    return len(filled) == len(names) and all(len(name) < 40 for name in names) and bool(body)
