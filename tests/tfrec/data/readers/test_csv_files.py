"""CSV files: headers, delimiters, quotes and rows that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.data.readers.file_rows import FileRows
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.read import read_file
from tfrec.errors import DataError

HEADER = "user,item,query\n"


def _read(folder: Path, content: str | bytes, *columns: str, **options: object) -> FileRows:
    path = folder / "log.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_file(path, columns, FileOptions(**options))  # type: ignore[arg-type]


def _broken(read: FileRows) -> list[tuple[int, str]]:
    return [(row.line, row.text) for row in read.broken]


def _lines(count: int) -> str:
    return "".join(f"u{n},i{n},tea\n" for n in range(count))


def test_a_row_with_more_or_fewer_columns_is_broken_and_the_others_are_read(tmp_path: Path) -> None:
    read = _read(tmp_path, HEADER + _lines(3) + "u3,i3,tea,oops\n" + _lines(3) + "(7 rows)\n", "user", "item")
    assert read.rows.to_pydict() == {"user": ["u0", "u1", "u2"] * 2, "item": ["i0", "i1", "i2"] * 2}
    assert _broken(read) == [(5, "u3,i3,tea,oops"), (9, "(7 rows)")]
    assert read.broken[0].reason == "has 4 columns, expected 3"


def test_the_line_of_a_broken_row_counts_blank_lines_and_lines_within_values(tmp_path: Path) -> None:
    # Lines: 1 header, 2-3 a title over two lines, 4 blank, 5 broken, 6 good.
    read = _read(tmp_path, 'id,title,n\n1,"Oak\nboard",7\n\n2,Cup\n3,Plate,8\n', "id", "title")
    assert read.rows.to_pydict() == {"id": ["1", "3"], "title": ["Oak\nboard", "Plate"]}
    assert _broken(read) == [(5, "2,Cup")]


def test_every_line_of_a_broken_row_is_listed(tmp_path: Path) -> None:
    # Lines 3 and 4 are one row, whose quote closes before its value ends; line 6 is broken too.
    read = _read(tmp_path, HEADER + 'u0,i0,tea\nu1,i1,"Oak\n 12" board"\nu2,i2,tea\nx\n' + _lines(3), "user")
    assert _broken(read) == [(3, 'u1,i1,"Oak'), (4, ' 12" board"'), (6, "x")]
    assert read.rows["user"].to_pylist() == ["u0", "u2", "u0", "u1", "u2"]


def test_a_quote_that_is_never_closed_breaks_its_line_alone(tmp_path: Path) -> None:
    lines = _lines(300).splitlines(keepends=True)
    lines[10] = 'u10,i10,"12 inch pan\n'
    lines[200] = 'u200,i200,"15 inch pan\n'
    read = _read(tmp_path, HEADER + "".join(lines), "user")
    assert read.rows.num_rows == 298
    assert _broken(read) == [(12, 'u10,i10,"12 inch pan'), (202, 'u200,i200,"15 inch pan')]
    assert "quote: none" in read.broken[0].cure


def test_a_stray_quote_that_an_inch_mark_closes_breaks_its_line_alone(tmp_path: Path) -> None:
    read = _read(tmp_path, HEADER + _lines(5) + 'u5,i5,"12 inch\nu6,i6,screen 15"\n' + _lines(5), "user")
    assert read.rows["user"].to_pylist() == ["u0", "u1", "u2", "u3", "u4", "u6", "u0", "u1", "u2", "u3", "u4"]
    assert _broken(read) == [(7, 'u5,i5,"12 inch')]


def test_a_stray_quote_between_rows_without_digits_breaks_its_line_alone(tmp_path: Path) -> None:
    content = 'user,query\nanna,tea\nbob,"inch\ncarl,five"\n' + "dora,pan\n" * 3
    read = _read(tmp_path, content, "user", "query")
    assert read.rows["user"].to_pylist() == ["anna", "carl", "dora", "dora", "dora"]
    assert _broken(read) == [(3, 'bob,"inch')]


@pytest.mark.parametrize("line", ['"u5,i5,tea\n', 'u5,"i5,tea\n', 'u5,i5,"tea\n'])
def test_a_stray_quote_in_any_column_breaks_its_line_alone(tmp_path: Path, line: str) -> None:
    read = _read(tmp_path, HEADER + _lines(5) + line + _lines(4) + 'u9,i9,"nut, bolt"\n', "user")
    assert read.rows.num_rows == 10
    assert _broken(read) == [(7, line.strip())]


@pytest.mark.parametrize("after", ["b0,a, tv,2\n", "\nb0,a,tv,2\n", "b0,a\nb0,a,tv,2\n"])
def test_a_stray_quote_before_a_line_unlike_the_others_breaks_its_line_alone(tmp_path: Path, after: str) -> None:
    rows = "".join(f"u{n},a,tv {n},2\n" for n in range(99))
    content = "user,item,query,n\nu,a,tv,2\n" + 'u0,a,"55 inch tv,2\n' + after + rows + 'u9,a,tv 32",3\n'
    read = _read(tmp_path, content, "user")
    # u, b0, the 99 rows and u9; a line of two fields is broken too.
    assert read.rows["user"].to_pylist() == ["u", "b0", *(f"u{n}" for n in range(99)), "u9"]
    assert _broken(read)[0] == (3, 'u0,a,"55 inch tv,2')
    assert len(read.broken) == (2 if after.startswith("b0,a\n") else 1)


def test_a_stray_quote_before_a_value_of_many_lines_breaks_its_line_alone(tmp_path: Path) -> None:
    value = '"soft\nwarm\ncozy\nred"'
    read = _read(tmp_path, HEADER + f'u0,i0,"55 inch\nu1,i1,tea\nu2,"i, 2",{value}\nu3,i3,tea\n', "user", "query")
    assert read.rows["user"].to_pylist() == ["u1", "u2", "u3"]
    assert read.rows["query"].to_pylist()[1] == "soft\nwarm\ncozy\nred"
    assert _broken(read) == [(2, 'u0,i0,"55 inch')]


def test_a_stray_quote_between_ids_of_two_shapes_breaks_its_line_alone(tmp_path: Path) -> None:
    content = 'id,title\nA-1,"12 inch\n' + "".join(f"{n},Cup {n}\n" for n in range(20)) + 'B-1,wide 9"\nB-2,Cup\n'
    read = _read(tmp_path, content, "id")
    assert read.rows["id"].to_pylist() == [*map(str, range(20)), "B-1", "B-2"]
    assert _broken(read) == [(2, 'A-1,"12 inch')]


def test_a_stray_quote_between_padded_prices_breaks_its_line_alone(tmp_path: Path) -> None:
    rows = "".join(f"i{n},Cup,   9.{n % 10}9\n" for n in range(20))
    read = _read(tmp_path, 'id,title,price\ni,"12 inch,   9.99\n' + rows + 'j,wide 9",  19.99\n', "id")
    assert read.rows["id"].to_pylist() == [*(f"i{n}" for n in range(20)), "j"]


def test_a_quote_that_no_later_line_closes_breaks_its_line_alone(tmp_path: Path) -> None:
    # Most lines after the quote are no rows: only the end of the file tells that it is stray.
    read = _read(tmp_path, HEADER + _lines(9) + 'u9,i9,"tea\nx\nx\n' + "v,i,tea\n", "user", bad_rows=0.5)
    assert _broken(read) == [(11, 'u9,i9,"tea'), (12, "x"), (13, "x")]
    assert read.rows["user"].to_pylist()[-1] == "v"


def test_prose_with_a_comma_on_each_line_is_one_value(tmp_path: Path) -> None:
    prose = ['"Color, red\nSize, M\nHeight, tall"', '"Chair\nweight 1,2 kg\nwidth 30,5 cm"']
    read = _read(tmp_path, f"id,text\n1,{prose[0]}\n2,{prose[1]}\n3,x\n", "id", "text")
    assert read.rows["id"].to_pylist() == ["1", "2", "3"]
    assert read.rows["text"].to_pylist()[1] == "Chair\nweight 1,2 kg\nwidth 30,5 cm"


def test_many_stray_quotes_stop_the_reading_with_a_cure(tmp_path: Path) -> None:
    lines = HEADER + _lines(100) + 'u,i,"1\n' * 5
    with pytest.raises(DataError, match=r"log\.csv line 102 opens a quote .*; close the quote, or set `quote: none`"):
        _read(tmp_path, lines, "user")
    read = _read(tmp_path, lines, "query", quote="none")
    assert read.rows["query"].to_pylist()[-5:] == ['"1'] * 5


def test_values_of_several_lines_are_read_and_a_named_quote_is_trusted(tmp_path: Path) -> None:
    content = 'id,text,n\n1,"Oak, solid\n2 shelves, 3 doors\n",4\n2,"Cup\n3,x\ny",5\n'
    assert _read(tmp_path, content, "id", "n").rows.to_pydict() == {"id": ["1", "2"], "n": ["4", "5"]}
    # The lines of this value look like rows: only a quote named in the options makes them one.
    content = 'id,text,n\n1,"a,1\n2,b",2\n3,c,3\n4,d,4\n'
    assert _read(tmp_path, content, "id").rows["id"].to_pylist() == ["2", "3", "4"]
    assert _read(tmp_path, content, "id", quote='"').rows["id"].to_pylist() == ["1", "3", "4"]


def test_a_quoted_value_of_over_a_thousand_lines_is_broken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2 begins a quoted value of 1,002 lines"):
        _read(tmp_path, 'id,text\n1,"' + "word\n" * 1001 + '"\n2,x\n', "id")


def test_a_quoted_value_of_over_a_million_characters_is_broken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2 has a value of over 1,048,576 characters .*close the quote"):
        _read(tmp_path, 'id,text\n1,"' + "word " * 300_000 + "\n2,x\n", "id", bad_rows=0)


def test_escaped_quotes_are_read_with_escape_and_hint_at_it_without(tmp_path: Path) -> None:
    content = 'id,title\n"1","Board 12\\" oak"\n"2","Bowl, \\"deep\\", red"\n"3",\\N\n"4","C:\\\\"\n'
    read = _read(tmp_path, content, "id", "title", escape="\\")
    assert read.rows["title"].to_pylist() == ['Board 12" oak', 'Bowl, "deep", red', None, "C:\\"]
    with pytest.raises(DataError, match=r"line 2 closes a quote before the end of a value .* set `escape: '\\'`"):
        _read(tmp_path, content, "id", "title")


def test_a_backslash_at_the_end_of_a_quoted_value_is_no_escape(tmp_path: Path) -> None:
    assert _read(tmp_path, 'id,path\n1,"C:\\"\n2,x\n', "path").rows["path"].to_pylist() == ["C:\\", "x"]


@pytest.mark.parametrize("bad_rows", [0.01, 0.5])
def test_broken_rows_up_to_the_share_are_left_out(tmp_path: Path, bad_rows: float) -> None:
    # 1 % of 400 rows are 4, half of them 200; 5 are broken.
    content = HEADER + _lines(395) + "x\n" * 5
    if bad_rows == 0.5:
        assert len(_read(tmp_path, content, "user", bad_rows=bad_rows).broken) == 5
    else:
        with pytest.raises(DataError, match=r"line 397 .* 5 of 400 rows are broken, more than `bad_rows: 1 %` allows"):
            _read(tmp_path, content, "user", bad_rows=bad_rows)


def test_three_broken_rows_are_left_out_of_a_small_file_unless_the_share_is_zero(tmp_path: Path) -> None:
    content = HEADER + _lines(4) + "x\n" * 3
    assert len(_read(tmp_path, content, "user").broken) == 3
    with pytest.raises(DataError, match=r"3 of 7 rows are broken, more than `bad_rows: 0 %` allows"):
        _read(tmp_path, content, "user", bad_rows=0.0)
    with pytest.raises(DataError, match=r"3 of 6 rows are broken"):  # no more good ones than broken ones
        _read(tmp_path, HEADER + _lines(3) + "x\n" * 3, "user")


def test_bytes_that_are_no_text_break_their_row_alone(tmp_path: Path) -> None:
    content = (HEADER + _lines(9)).encode() + b"u\xff,i,tea\n" + b"u9,i9,caf\xe9\n"
    read = _read(tmp_path, content, "user", "item")
    assert read.rows["user"].to_pylist()[-2:] == ["u8", "u9"]  # no byte of column query is read
    assert [(row.line, row.reason) for row in read.broken] == [(11, "is not utf-8 text")]
    content = (HEADER + _lines(9)).encode() + "u9,i9,咖啡\n".encode("gb18030") + b"u\xff\xff,i,tea\n"
    read = _read(tmp_path, content, "query", encoding="gb18030")
    assert read.rows["query"].to_pylist()[-2:] == ["咖啡", "tea"]
    read = _read(tmp_path, content, "user", encoding="gb18030")
    assert [(row.line, row.reason) for row in read.broken] == [(12, "is not gb18030 text")]


def test_delimiters_at_the_end_of_lines_add_no_column(tmp_path: Path) -> None:
    assert _read(tmp_path, "user,item\nu1,a,\nu2,b,\n", "item").rows["item"].to_pylist() == ["a", "b"]
    assert _read(tmp_path, "user,item,\nu1,a,\nu2,b\n", "item").rows["item"].to_pylist() == ["a", "b"]
    read = _read(tmp_path, "user,item\nu1,a\nu2,b,\nu3,c,,\nu4,d,,x\n", "item")
    assert (read.rows["item"].to_pylist(), _broken(read)) == (["a", "b", "c"], [(5, "u4,d,,x")])


def test_lines_before_the_header_are_skipped(tmp_path: Path) -> None:
    title = "Export of 2024-03-05\nStore 7, Berlin\n\n"
    assert _read(tmp_path, title + HEADER + _lines(1), "user", "query").rows.num_rows == 1
    assert _read(tmp_path, title + HEADER + _lines(1), "query", skip_rows=3).rows.num_rows == 1
    assert _read(tmp_path, "item,user\n" + HEADER + _lines(1), "user", skip_rows=1).rows["user"].to_pylist() == ["u0"]


@pytest.mark.parametrize("line", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n'])
def test_the_first_line_of_excel_names_the_delimiter(tmp_path: Path, line: str) -> None:
    assert _read(tmp_path, line + "user;item\nu1;a\n", "item").rows["item"].to_pylist() == ["a"]


def test_blanks_around_names_are_stripped_and_those_before_quotes_skipped(tmp_path: Path) -> None:
    read = _read(tmp_path, 'user, item, "query"\nu1, a, "red, soft"\n', "item", "query")
    assert read.rows.to_pydict() == {"item": ["a"], "query": ["red, soft"]}


@pytest.mark.parametrize("delimiter", ["::", "§", "||", "\t", "\x01", " "])
def test_delimiters_of_any_characters_part_the_columns(tmp_path: Path, delimiter: str) -> None:
    content = f'user{delimiter}item\nu1{delimiter}"a{delimiter}b"\nu2{delimiter}c\nx\n'
    read = _read(tmp_path, content, "item", delimiter=delimiter)
    assert read.rows["item"].to_pylist() == [f"a{delimiter}b", "c"]
    read = _read(tmp_path, content + f'u3{delimiter}"a\nb{delimiter}"\n', "item", delimiter=delimiter)
    assert read.rows["item"].to_pylist() == [f"a{delimiter}b", "c", f"a\nb{delimiter}"]
    assert _broken(read) == [(4, "x")]


def test_columns_parted_by_any_number_of_blanks_are_read(tmp_path: Path) -> None:
    content = " 00001 19970101  1   11.77\n 00002 19970112\t12 77.00  \r\n"
    read = _read(tmp_path, content, "id", "price", header=("id", "day", "n", "price"), delimiter="\\s+")
    assert read.rows.to_pydict() == {"id": ["00001", "00002"], "price": ["11.77", "77.00"]}
    read = _read(tmp_path, "1 'a b'\n2  c\nx\n3 'd\n", "title", header=("id", "title"), delimiter="\\s+", quote="'")
    assert read.rows["title"].to_pylist()[:2] == ["a b", "c"]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_a_usual_delimiter_that_parts_the_names_is_detected(tmp_path: Path, delimiter: str) -> None:
    content = "Sales, all stores\nuser;item;n\nu1;a,b;c\n"
    read = _read(tmp_path, content.replace(";", delimiter), "user", "item")
    assert read.rows.to_pydict() == {"user": ["u1"], "item": ["a,b"]}
    assert _read(tmp_path, "user;item\nu1;a\n", "user", delimiter=",").absent == ("user",)


def test_blank_lines_are_no_rows_and_a_repeated_header_is_broken(tmp_path: Path) -> None:
    read = _read(tmp_path, HEADER + _lines(2) + "   \n" + HEADER + _lines(2) + "\n \n\n", "user", "query")
    assert read.rows["user"].to_pylist() == ["u0", "u1"] * 2
    assert [(row.line, row.reason) for row in read.broken] == [(5, "repeats the header")]


@pytest.mark.parametrize("columns", [("user", "item"), ("item",)])
@pytest.mark.parametrize("line", ["user,item\n", "u3,c\n"])
def test_a_byte_order_mark_between_joined_files_is_no_text(tmp_path: Path, line: str, columns: tuple[str, ...]) -> None:
    read = _read(tmp_path, f"\ufeffuser,item\nu1,a\n\ufeff{line}u2,b\n", *columns)
    users = ["u1", "u2"] if "user" in line else ["u1", "u3", "u2"]
    assert read.rows.column("user" if "user" in columns else "item").to_pylist() == (
        users if "user" in columns else [{"u1": "a", "u2": "b", "u3": "c"}[user] for user in users]
    )
    assert [row.reason for row in read.broken] == (["repeats the header"] if "user" in line else [])


def test_a_header_that_lacks_a_column_is_found_below_a_title(tmp_path: Path) -> None:
    read = _read(tmp_path, "Report\n" + HEADER + _lines(1), "user", "query", "price")
    assert (read.rows["query"].to_pylist(), read.absent) == (["tea"], ("price",))


def test_a_file_without_header_has_the_names_of_the_options(tmp_path: Path) -> None:
    content = "1,2014-04-07,214,0\n2,2014-04-07,215,0\n"
    names = ("session", "time", "item")
    read = _read(tmp_path, content, "session", "item", header=names)
    assert read.rows.to_pydict() == {"session": ["1", "2"], "item": ["214", "215"]}
    read = _read(tmp_path, "session,time,item\n" + content.replace(",0", ""), "item", header=names)
    assert read.rows["item"].to_pylist() == ["214", "215"]


def test_the_first_of_two_columns_of_one_name_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert _read(tmp_path, "id,n,id\n1,2,3\n", "id").rows["id"].to_pylist() == ["1"]
    assert "has 2 columns named 'id'; the first is read" in caplog.text


def test_line_ends_of_an_old_macintosh_are_read(tmp_path: Path) -> None:
    assert _read(tmp_path, "user,item\ru1,a\ru2,b\r", "item").rows["item"].to_pylist() == ["a", "b"]


def test_rows_beyond_a_chunk_are_counted_and_read(tmp_path: Path) -> None:
    # 300,000 lines are 4 MB: several chunks; with a delimiter of two characters, cut anywhere.
    lines = "".join(f"u{n}::i{n % 7}\n" for n in range(300_000))
    read = _read(tmp_path, "user::item\n" + lines + "u::i::j\n", "user", delimiter="::")
    assert read.rows["user"].to_pylist() == [f"u{n}" for n in range(300_000)]
    assert [row.line for row in read.broken] == [300_002]
