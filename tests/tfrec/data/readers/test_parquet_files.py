"""Parquet files: lists, structs, maps and folders that name a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.readers.options import FileOptions
from tfrec.data.readers.read import read_file, read_files
from tfrec.errors import DataError

VALUE = pa.struct([("string_value", pa.string()), ("int_value", pa.int64()), ("double_value", pa.float64())])
PARAMS = pa.list_(pa.struct([("key", pa.string()), ("value", VALUE)]))


def _read(folder: Path, table: dict[str, Any], *columns: str, **options: Any) -> dict[str, list[Any]]:
    pq.write_table(pa.table(table), folder / "log.parquet")
    return read_file(folder / "log.parquet", columns, FileOptions(**options)).rows.to_pydict()


def test_nulls_and_empty_texts_in_a_list_are_no_levels(tmp_path: Path) -> None:
    lists = [["Food", None, "Dry"], ["Food", ""], [], None, [None], ["A"]]
    expected = ["Food > Dry", "Food", None, None, None, "A"]
    for kind in (pa.list_(pa.string()), pa.large_list(pa.string())):
        assert _read(tmp_path, {"path": pa.array(lists, kind)}, "path") == {"path": expected}
    assert _read(tmp_path, {"n": [[1.0, None], [2.0]]}, "n") == {"n": ["1", "2"]}


def test_the_deepest_of_several_paths_in_a_list_is_read(tmp_path: Path) -> None:
    paths = [[["Electronics", "Audio"], ["Sale"]], None, [], [["A"], ["B"]], [None, ["Sale"], ["Toys", "Cars"]]]
    kind = pa.list_(pa.list_(pa.string()))
    expected = ["Electronics > Audio", None, None, "A", "Toys > Cars"]
    assert _read(tmp_path, {"path": pa.array(paths, kind)}, "path") == {"path": expected}


def test_a_list_of_structs_is_exploded_and_outer_columns_repeat(tmp_path: Path) -> None:
    items = [[{"id": "A", "price": 1.5}, {"id": "B", "price": None}], [], None, [{"id": "C", "price": 2.0}]]
    table = {"user": ["u1", "u2", "u3", "u4"], "items": items}
    assert _read(tmp_path, table, "user", "items.id", "items.price", explode="items") == {
        "user": ["u1", "u1", "u2", "u3", "u4"],
        "items.id": ["A", "B", None, None, "C"],
        "items.price": ["1.5", None, None, None, "2"],
    }


def test_a_list_that_is_not_exploded_is_joined(tmp_path: Path) -> None:
    table = {"path": [[{"name": "Food"}, {"name": None}, {"name": "Dry"}], None]}
    assert _read(tmp_path, table, "path.name") == {"path.name": ["Food > Dry", None]}


def test_several_values_of_a_single_one_are_refused(tmp_path: Path) -> None:
    assert _read(tmp_path, {"user": [["u1", None], [], None]}, "user", single=("user",)) == {"user": ["u1", None, None]}
    with pytest.raises(DataError, match=r"a list of several values as 'user', expected one a row; set `explode: user`"):
        _read(tmp_path, {"user": [["u1", "u2"]]}, "user", single=("user",))


def test_lists_within_lists_are_exploded_in_turn(tmp_path: Path) -> None:
    orders = [
        [{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 2, "lines": []}],
        [{"id": 3, "lines": [{"sku": "c"}]}],
        None,
    ]
    table = {"user": ["u1", "u2", "u3"], "orders": orders}
    assert _read(tmp_path, table, "user", "orders.id", "orders.lines.sku", explode="orders.lines") == {
        "user": ["u1", "u1", "u1", "u2", "u3"],
        "orders.id": ["1", "1", "2", "3", None],
        "orders.lines.sku": ["a", "b", None, "c", None],
    }


def test_a_list_that_is_the_item_is_exploded(tmp_path: Path) -> None:
    table = {"user": ["u1", "u2"], "items": [["a", "b"], []]}
    assert _read(tmp_path, table, "user", "items", item_paths=("items",)) == {
        "user": ["u1", "u1", "u2"],
        "items": ["a", "b", None],
    }


def test_the_list_of_a_second_choice_is_exploded_where_the_first_is_unknown(tmp_path: Path) -> None:
    order = {"id": 7, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}
    choices = ("sku", "order.items.sku")
    paths = (*choices, "order.id", "order.items.n")
    assert _read(tmp_path, {"sku": ["s", None], "order": [order] * 2}, *paths, item_paths=choices, single=paths) == {
        "sku": ["s", None, None],
        "order.items.sku": [None, "a", "b"],
        "order.id": ["7", "7", "7"],
        "order.items.n": [None, "1", "2"],
    }


def test_the_first_of_two_columns_of_one_name_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pa.table([["u1"], ["a"], ["b"]], names=["user", "item", "item"])
    pq.write_table(table, tmp_path / "log.parquet")
    read = read_file(tmp_path / "log.parquet", ["item", "user"])
    assert read.rows.to_pydict() == {"item": ["a"], "user": ["u1"]}
    assert "has 2 columns named 'item'; the first is read" in caplog.text


def test_a_nested_list_is_exploded(tmp_path: Path) -> None:
    orders = [{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 2, "lines": None}, None]
    assert _read(tmp_path, {"order": orders}, "order.id", "order.lines.sku", explode="order.lines") == {
        "order.id": ["1", "1", "2", None],
        "order.lines.sku": ["a", "b", None, None],
    }


def test_the_member_of_a_list_is_selected_by_its_key(tmp_path: Path) -> None:
    def param(key: str, **value: Any) -> dict[str, Any]:
        return {"key": key, "value": value}

    params = [
        [param("page", string_value="/"), param("session", int_value=7)],
        None,
        [param("session", string_value="s8"), param("session", int_value=9)],
        [param("session", double_value=2.5)],
    ]
    table = {"params": pa.array(params, PARAMS)}
    assert _read(tmp_path, table, "params[key=session]", "params[key=page].string_value") == {
        "params[key=session]": ["7", None, "s8", "2.5"],
        "params[key=page].string_value": ["/", None, None, None],
    }


def test_a_key_of_a_map_is_a_path(tmp_path: Path) -> None:
    maps = pa.array([[("color", "red"), ("size", "M")], [], None], pa.map_(pa.string(), pa.string()))
    for path in ("params.color", "params[key=color]"):
        assert _read(tmp_path, {"params": maps}, path) == {path: ["red", None, None]}


def test_a_path_of_no_column_is_missing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"items": [[{"id": "A"}]]}), tmp_path / "log.parquet")
    assert read_file(tmp_path / "log.parquet", ["items.sku", "x", "items.id"]).absent == ("items.sku", "x")
    with pytest.raises(DataError, match=r"it has 'items', 'items\.id'; .* for example items\.id, with"):
        list(read_files([tmp_path / "log.parquet"], ["id"], []))


def test_folders_name_columns_unless_the_file_has_them(tmp_path: Path) -> None:
    paths = []
    for day in ("2024-03-01", "2024-03-02"):
        paths.append(tmp_path / f"dt={day}/shop=B%C3%BCro/part-0.parquet")
        paths[-1].parent.mkdir(parents=True)
        pq.write_table(pa.table({"user": ["u1"], "shop": ["x"]}), paths[-1])
    rows = [read.rows.to_pydict() for read in read_files(paths, ["dt", "user", "shop"], ["dt"])]
    assert rows[1] == {"dt": ["2024-03-02"], "user": ["u1"], "shop": ["x"]}


def test_a_column_that_one_file_lacks_is_null_with_a_warning_unless_it_is_required(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pq.write_table(pa.table({"user": ["u1"], "query": ["tea"]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("user\nu2\n")
    paths = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    assert [read.rows["query"].to_pylist() for read in read_files(paths, ["query", "user"], [])] == [["tea"], [None]]
    assert "b.csv has no column 'query', as other files of the table have; it is null there" in caplog.text
    with pytest.raises(DataError, match=r"b\.csv has no column 'query'"):
        list(read_files(paths, ["query", "user"], ["query"]))
