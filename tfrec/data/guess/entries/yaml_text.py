"""Entries of a guessed mapping, written as YAML with the reason of each in a comment."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator

ELEMENT = "-"
"""Key of an entry that is an element of a list."""

_WIDTH = 100
_PLAIN = r"[^\W\d_][\w ./*+$()-]*|[\w./][\w./*-]*"
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "none", "~")
_REASON_CHARACTERS = 160


@dataclasses.dataclass(frozen=True)
class Entry:
    """A key of the mapping, its value and why it is guessed."""

    key: str
    value: str | tuple[str, ...] | tuple[Entry, ...] = ""
    reason: str = ""
    doubt: str = ""
    """What is to be checked and how it is corrected; "" if nothing."""


def render(entries: tuple[Entry, ...], indent: int = 0) -> str:
    """YAML of the entries, a line each."""
    return "".join(f"{line.rstrip()}\n" for entry in entries for line in _lines(entry, indent))


def comment(text: str, mark: str = "#", indent: int = 0) -> list[str]:
    """Comment lines of at most 100 characters; a mark `# ?` starts the first of them."""
    pad = " " * indent
    following = f"{pad}#{' ' * len(mark)}"
    return textwrap.wrap(
        _clean(text), _WIDTH, initial_indent=f"{pad}{mark} ", subsequent_indent=following, break_on_hyphens=False
    )


def count_doubts(entries: tuple[Entry, ...]) -> int:
    """Number of entries, at any depth, that are to be checked."""
    return sum(bool(entry.doubt) + count_doubts(children(entry)) for entry in entries)


def note(text: str) -> Entry:
    """A comment that stands alone."""
    return Entry("", reason=text)


def percent(share: float) -> str:
    """A share in words: 0.123 is "12 %"."""
    return "under 0.1 %" if 0 < share < 0.001 else f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def scalar(text: str) -> str:
    """A YAML scalar of a text, quoted where it needs to be."""
    is_plain = re.fullmatch(_PLAIN, text) and text == text.strip() and text.lower() not in _WORDS
    if is_plain and " #" not in text and ": " not in text and not text.endswith(":"):
        return text
    if not text.isprintable():
        return json.dumps(text, ensure_ascii=True)
    return "'" + text.replace("'", "''") + "'"


def _lines(entry: Entry, indent: int) -> Iterator[str]:
    pad = " " * indent
    if entry.doubt:
        yield from comment(entry.doubt, "# ?", indent)
    if not entry.key:
        yield from comment(entry.reason, "#", indent) if entry.reason else ()
        return
    below = children(entry)
    if entry.key == ELEMENT:
        yield from _element([line for child in below for line in _lines(child, indent + 2)], pad)
        return
    head = f"{pad}{scalar(entry.key)}:"
    line = head if below else f"{head} {_value(entry.value)}"
    reason = _clean(entry.reason)
    if reason and len(line) + len(reason) + 4 > _WIDTH:
        yield from comment(reason, "#", indent)
        yield from _wrap_list(line)
    else:
        yield f"{line}  # {reason}" if reason else line
    for child in below:
        yield from _lines(child, indent + 2)


def _wrap_list(line: str) -> Iterator[str]:
    """A long list in brackets over several lines, below its first value."""
    start = line.find(": [") + 3
    if start < 3:
        yield line
        return
    parts, head = line[start:].split(", "), line[:start]
    for number, part in enumerate(parts):
        text = part if number == len(parts) - 1 else f"{part},"
        if len(head) + len(text) > _WIDTH and head.strip():
            yield head
            head = " " * start
        head += text if head.endswith("[") or not head.strip() else f" {text}"
    yield head


def _element(lines: list[str], pad: str) -> Iterator[str]:
    """Lines of a list's element: the first key of it follows a dash."""
    first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
    lines[first] = f"{pad}- {lines[first].lstrip()}"
    yield from lines


def children(entry: Entry) -> tuple[Entry, ...]:
    """Entries below an entry; none below a scalar or a list of scalars."""
    return tuple(child for child in entry.value if isinstance(child, Entry)) if isinstance(entry.value, tuple) else ()


def _value(value: str | tuple[str, ...] | tuple[Entry, ...]) -> str:
    if isinstance(value, str):
        return scalar(value)
    return "[" + ", ".join(scalar(part) for part in value if isinstance(part, str)) + "]"


def _clean(text: str) -> str:
    """One line of printable characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= 4 * _REASON_CHARACTERS else line[: 4 * _REASON_CHARACTERS] + "..."
