"""Text of fixed width: a Chinese character takes two columns, as in a terminal."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """Columns of the text in a terminal: 2 for a wide character, 0 for a combining one."""
    return sum(_char_width(char) for char in text)


def fit(text: str, width: int) -> str:
    """The text padded with spaces to `width` columns, or cut to it with an ellipsis at its end."""
    if display_width(text) > width:
        kept, used = "", 1
        for char in text:
            used += _char_width(char)
            if used > width:
                break
            kept += char
        text = kept + "…"
    return text + " " * (width - display_width(text))


def one_line(text: str) -> str:
    """The text without line breaks, tabs or terminal escapes."""
    return " ".join("".join(" " if unicodedata.category(char) == "Cc" else char for char in text).split())


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
