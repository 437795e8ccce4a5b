"""JSON files: lines, arrays and paths into nested values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfrec.data.readers.file_rows import FileRows
from tfrec.data.readers.json_paths import ABSENT, Step, explode, parse_path, to_text, value_at
from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.read import read_file, read_files
from tfrec.errors import DataError

SESSION = "event_params[key=ga_session_id]"
ANALYTICS = [
    {
        "user_pseudo_id": "1.2",
        "event_params": [
            {"key": "page", "value": {"string_value": "/", "int_value": None}},
            {"key": "ga_session_id", "value": {"string_value": None, "int_value": 77}},
        ],
        "items": [{"item_id": "A", "price": 1.50}, {"item_id": "B"}],
    },
    {"user_pseudo_id": "1.3", "event_params": [], "items": []},
    {"user_pseudo_id": "1.4"},
]


def _read(folder: Path, text: str, *columns: str, name: str = "log.json", **options: object) -> FileRows:
    (folder / name).write_text(text, encoding="utf-8")
    return read_file(folder / name, columns, FileOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        '[\n {"id": 1.50, "n": 2},\n {"id": 007, "n": 3}\n]\n',
        '[{"id":1.50},{"id":007}]',
        '{"id": 1.50}\n{"id": 007}\n',
        '{\n  "id": 1.50\n}\n{\n  "id": 007\n}\n',
        '{\n"id": 1.50\n},\n{"id": 007}',
        '{"id": 1.50}{"id": 007}',
        '{"id": 1.50},\n{"id": 007}\n',
    ],
)
def test_lines_an_array_and_objects_over_several_lines_are_read(tmp_path: Path, text: str) -> None:
    text = text.replace("007", '"007"')
    assert _read(tmp_path, text, "id").rows["id"].to_pylist() == ["1.50", "007"]


def test_an_array_longer_than_a_chunk_is_read(tmp_path: Path) -> None:
    # 60,000 members of about 50 characters are 3 MB on one line.
    rows = [{"id": str(number), "title": "word " * 5} for number in range(60_000)]
    assert _read(tmp_path, json.dumps(rows), "id").rows["id"].to_pylist() == [row["id"] for row in rows]


def test_a_line_that_is_no_json_is_broken_and_the_others_are_read(tmp_path: Path) -> None:
    read = _read(tmp_path, '{"id": 1}\n{"id": \n\n[2]\n{"id": 3}\n{"id": 4}\n', "id")
    assert read.rows["id"].to_pylist() == ["1", "3", "4"]
    assert [row.line for row in read.broken] == [2, 4]


def test_a_broken_first_line_is_broken_alone_and_control_characters_are_text(tmp_path: Path) -> None:
    read = _read(tmp_path, '{"id": \n\n{"id": "a\tb"}\n{"id": 3}\n', "id")
    assert read.rows["id"].to_pylist() == ["a\tb", "3"]
    assert [row.line for row in read.broken] == [1]


def test_a_value_of_thousands_of_lists_is_broken_or_refused(tmp_path: Path) -> None:
    deep = "[" * 5000
    read = _read(tmp_path, f'{{"id": 1}}\n{{"id": {deep}\n{{"id": 3}}\n', "id")
    assert read.rows["id"].to_pylist() == ["1", "3"]
    assert [(row.line, row.reason) for row in read.broken] == [(2, "is nested too deeply")]
    with pytest.raises(DataError, match=r"line 2 is nested too deeply; write one \{\.\.\.\} a row"):
        _read(tmp_path, f'[{{"id": 1}},\n{{"id": {deep}\n', "id")


def test_a_list_of_objects_is_exploded_and_outer_fields_repeat(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ANALYTICS))
    read = _read(tmp_path, lines, "user_pseudo_id", "items.item_id", "items.price", SESSION, explode="items")
    assert read.rows.to_pydict() == {
        "user_pseudo_id": ["1.2", "1.2", "1.3", "1.4"],  # no items: one row, without an item
        "items.item_id": ["A", "B", None, None],
        "items.price": ["1.5", None, None, None],
        SESSION: ["77", "77", None, None],
    }


def test_a_list_that_is_not_exploded_is_joined(tmp_path: Path) -> None:
    text = '{"id": 1, "path": [{"name": "Food"}, {"name": null}, {"name": "Dry"}]}'
    assert _read(tmp_path, text, "path.name").rows["path.name"].to_pylist() == ["Food > Dry"]


def test_several_values_of_a_single_one_are_refused(tmp_path: Path) -> None:
    lines = '{"user": ["u1"]}\n{"user": []}\n'
    assert _read(tmp_path, lines, "user", single=("user",)).rows["user"].to_pylist() == ["u1", None]
    with pytest.raises(DataError, match=r"line 3 has a list of several values as 'user', .*; set `explode: user`"):
        _read(tmp_path, lines + '{"user": ["u1", "u2"]}\n', "user", single=("user",))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('[["Electronics", "Audio"], ["Sale"]]', "Electronics > Audio"),
        ('[["Sale"], ["Toys", "Cars"]]', "Toys > Cars"),
        ('[["A"], ["B"]]', "A"),
        ('[["A", null], []]', "A"),
    ],
)
def test_the_deepest_of_several_paths_in_a_list_is_read(value: str, path: str) -> None:
    assert to_text(json.loads(value)) == path


def test_lists_within_lists_are_exploded_in_turn(tmp_path: Path) -> None:
    text = (
        '{"user": "u1", "orders": [{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 2, "lines": []}]}\n'
        '{"user": "u2", "orders": [{"id": 3, "lines": [{"sku": "c"}]}]}\n'
        '{"user": "u3"}\n'
    )
    paths = ("user", "orders.id", "orders.lines.sku")
    for options in ({"explode": "orders.lines"}, {"item_paths": ("orders.lines.sku",)}):
        assert _read(tmp_path, text, *paths, **options).rows.to_pydict() == {
            "user": ["u1", "u1", "u1", "u2", "u3"],
            "orders.id": ["1", "1", "2", "3", None],
            "orders.lines.sku": ["a", "b", None, "c", None],
        }


def test_a_list_that_is_the_item_is_exploded(tmp_path: Path) -> None:
    text = '{"user": 1, "items": ["a", "b"]}\n{"user": 2, "items": []}\n{"user": 3, "items": "c"}\n'
    read = _read(tmp_path, text, "user", "items", item_paths=("items",))
    assert read.rows.to_pydict() == {"user": ["1", "1", "2", "3"], "items": ["a", "b", None, "c"]}


def test_the_list_of_a_second_choice_is_exploded_where_the_first_is_unknown(tmp_path: Path) -> None:
    order = '"order": {"id": 7, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}'
    choices = ("sku", "order.items.sku")
    paths = (*choices, "order.id", "order.items.n")
    read = _read(tmp_path, f'{{"sku": "s", {order}}}\n{{{order}}}\n', *paths, item_paths=choices, single=paths)
    assert read.rows.to_pydict() == {
        "sku": ["s", None, None],
        "order.items.sku": [None, "a", "b"],
        "order.id": ["7", "7", "7"],
        "order.items.n": [None, "1", "2"],
    }


def test_extended_json_of_mongodb_is_the_value_in_it(tmp_path: Path) -> None:
    text = (
        '{"_id": {"$oid": "a1"}, "n": {"$numberLong": "7"}, "at": {"$date": "2024-03-01T10:00:00Z"}}\n'
        '{"_id": {"$oid": "a2"}, "n": 8, "at": {"$date": {"$numberLong": "1709373600000"}}}\n'
    )
    read = _read(tmp_path, text, "_id", "_id.$oid", "n", "at", "at.$date")
    assert read.rows.to_pydict() == {
        "_id": ["a1", "a2"],
        "_id.$oid": ["a1", "a2"],
        "n": ["7", "8"],
        "at": ["2024-03-01T10:00:00Z", "1709373600000"],
        "at.$date": ["2024-03-01T10:00:00Z", "1709373600000"],
    }


def test_a_key_with_a_point_is_a_name_of_its_own(tmp_path: Path) -> None:
    assert _read(tmp_path, '{"a.b": 1, "a": {"b": 2}}', "a.b").rows["a.b"].to_pylist() == ["1"]


def test_a_key_that_a_whole_file_lacks_is_null_if_another_file_has_it(tmp_path: Path) -> None:
    (tmp_path / "d1.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "d2.jsonl").write_text('{"id": 2, "query": "tea"}\n')
    paths = [tmp_path / "d1.jsonl", tmp_path / "d2.jsonl"]
    rows = [read.rows.to_pydict() for read in read_files(paths, ["id", "query"], ["id", "query"])]
    assert rows == [{"id": ["1"], "query": [None]}, {"id": ["2"], "query": ["tea"]}]
    with pytest.raises(DataError, match=r"d1\.jsonl has no column 'word', it has 'id'"):
        list(read_files(paths, ["id", "word"], []))


def test_bytes_that_are_no_text_break_their_line_alone(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b'{"id": 1}\n{"id": "\xe9"}\n{"id": 3}\n')
    read = read_file(tmp_path / "log.jsonl", ["id"])
    assert read.rows["id"].to_pylist() == ["1", "3"]
    assert [(row.line, row.reason) for row in read.broken] == [(2, "is not utf-8 text")]


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("id", (Step("id"),)),
        ("items.item_id", (Step("items"), Step("item_id"))),
        ("p[key=a.b].value", (Step("p", "key", "a.b"), Step("value"))),
        ("price (EUR)", (Step("price (EUR)"),)),
        ("a..b", (Step("a..b"),)),
        ("Unnamed: 0.", (Step("Unnamed: 0."),)),
    ],
)
def test_a_path_has_a_step_for_each_key_and_other_names_have_one(name: str, steps: tuple[Step, ...]) -> None:
    assert parse_path(name) == steps


def test_a_selected_member_is_its_value_or_followed_further() -> None:
    row = {"p": [{"key": "a", "value": {"int_value": 1, "string_value": None}}, {"key": "b", "size": 2}]}
    assert to_text(value_at(row, "", parse_path("p[key=a]"))) == "1"
    assert value_at(row, "", parse_path("p[key=a].int_value")) == 1
    assert value_at(row, "", parse_path("p[key=b].size")) == 2
    assert value_at(row, "", parse_path("p[key=c]")) is ABSENT


def test_a_nested_list_is_exploded_in_a_copy_of_the_row() -> None:
    row = {"order": {"id": 1, "lines": ["a", "b"]}}
    rows = list(explode(row, parse_path("order.lines")))
    assert rows == [{"order": {"id": 1, "lines": "a"}}, {"order": {"id": 1, "lines": "b"}}]
    assert row == {"order": {"id": 1, "lines": ["a", "b"]}}
