"""Delimiters, quotes and headers of text files."""

from __future__ import annotations

import pytest

from tfrec.data.guess.sampling.text_layout import guess_layout


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::", "\x01", "¦"])
def test_a_delimiter_is_guessed(delimiter):
    rows = [["user_id", "item_id", "time"], ["u1", "a", "2024-03-01"], ["u2", "b", "2024-03-02"]]
    layout = guess_layout("".join(delimiter.join(row) + "\n" for row in rows))
    assert (layout.delimiter, layout.header) == (delimiter, ("user_id", "item_id", "time"))


def test_a_comma_in_quotes_is_no_delimiter():
    layout = guess_layout('id;title\n1;"a, b, c"\n2;"d, e, f"\n')
    assert (layout.delimiter, layout.n_fields) == (";", 2)


def test_numbers_in_the_first_line_are_no_header():
    assert guess_layout("1,2268318,pv\n1,2333346,buy\n").header == ()


def test_words_that_repeat_below_are_no_header():
    assert guess_layout("pv,tea\nbuy,mug\npv,mug\n").header == ()


def test_foreign_names_above_numbers_are_a_header():
    assert guess_layout("foo,bar\n1,2\n3,4\n").header == ("foo", "bar")


def test_lines_before_the_header_are_counted():
    layout = guess_layout("Sales report\n\nuser_id,item_id\nu1,a\nu2,b\n")
    assert (layout.skip_rows, layout.header) == (2, ("user_id", "item_id"))


def test_the_line_of_excel_names_the_delimiter():
    layout = guess_layout("sep=;\nuser_id;item_id\nu1;a\n")
    assert (layout.delimiter, layout.header, layout.skip_rows) == (";", ("user_id", "item_id"), 0)


def test_inch_marks_are_no_quotes():
    lines = "".join(f'u{i},board 12" oak\n' if i % 2 else f'u{i},"3 nails\n' for i in range(20))
    assert guess_layout("user_id,query\n" + lines).quote == "none"


def test_backslashes_before_quotes_are_an_escape():
    assert guess_layout('id,title\n1,"Board 12\\" oak, planed"\n2,"Nail"\n').escape == "\\"


def test_a_delimiter_at_the_end_of_each_row_is_no_column():
    layout = guess_layout("user_id,item_id\nu1,a,\nu2,b,\n")
    assert (layout.header, layout.n_fields, layout.has_trailing_delimiter) == (("user_id", "item_id"), 2, True)
