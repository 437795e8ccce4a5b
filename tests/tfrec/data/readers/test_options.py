"""Options of files in a mapping, valid and refused."""

from __future__ import annotations

from typing import Any

import pytest

from tfrec.data.readers.options import FileOptions, parse_options
from tfrec.errors import ConfigError


def test_without_options_the_defaults_count() -> None:
    assert parse_options({}, "items") == FileOptions()


@pytest.mark.parametrize(
    ("written", "delimiter"),
    [
        (";", ";"),
        ("\t", "\t"),
        ("\\t", "\t"),
        ("tab", "\t"),
        ("TAB", "\t"),
        ("whitespace", "\\s+"),
        ("\\s+", "\\s+"),
        ("semicolon", ";"),
        ("\\x01", "\x01"),
        ("\\u0001", "\x01"),
        ("::", "::"),
        ("\\", "\\"),
        ("§", "§"),
    ],
)
def test_delimiters_are_taken_as_written_as_escapes_or_as_words(written: str, delimiter: str) -> None:
    assert parse_options({"delimiter": written}, "items").delimiter == delimiter


@pytest.mark.parametrize(
    ("written", "share"), [("1 %", 0.01), ("0.5%", 0.005), ("0.01", 0.01), ("0", 0), ("0 %", 0), ("100 %", 1)]
)
def test_bad_rows_is_a_percentage(written: str, share: float) -> None:
    assert parse_options({"bad_rows": written}, "items").bad_rows == share


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("format", "xlsx", "items.format is 'xlsx', expected one of csv, json, parquet"),
        ("encoding", "utf-88", "items.encoding is 'utf-88', which is unknown to Python"),
        ("encoding", "base64", "items.encoding is 'base64', which is unknown to Python"),
        ("delimiter", "tabulator", "items.delimiter is 'tabulator', expected punctuation such as"),
        ("delimiter", "\n", "items.delimiter is .* or one of whitespace, tab, comma, semicolon"),
        ("delimiter", '"', "items.delimiter is '\"'"),
        ("quote", "no", "items.quote is 'no', expected one punctuation character, or `none`"),
        ("escape", "\\\\", "items.escape is .* expected one punctuation character"),
        ("header", "a, b", "items.header is 'a, b', expected the names of the columns .* write header: \\["),
        ("skip_rows", "-1", "items.skip_rows is '-1', expected the number of lines before the header"),
        ("bad_rows", "1", "items.bad_rows is '1', expected a share of the rows from 0 % to 100 %"),
        ("bad_rows", "101 %", "items.bad_rows is '101 %'"),
        ("explode", ["items"], "items.explode is .* write explode: items"),
    ],
)
def test_a_wrong_option_is_refused_with_the_right_ones(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_options({key: value}, "items")
