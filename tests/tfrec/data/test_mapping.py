"""Mappings from YAML files and flags, valid and refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfrec.data.mapping import Cancellation, mapping_from_flags, read_mapping
from tfrec.errors import ConfigError

ROOT = Path(__file__).parents[3]


def _read(folder: Path, text: str):
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    return read_mapping(folder / "shop.yaml")


def test_paths_are_relative_to_the_yaml_file_and_required_columns_keep_their_names(tmp_path: Path) -> None:
    mapping = _read(
        tmp_path,
        "interactions: {path: logs/*.csv, kind: view, columns: {user_id: 用户}}\n"
        "items: {path: /shop/items.csv, columns: {category: [aisle, shelf]}, extra: [size]}\n"
        "users: {path: users.jsonl, profile: [age]}\n",
    )
    assert mapping.source == "shop.yaml"
    (events,) = mapping.interactions
    assert events.paths == (tmp_path / "logs/*.csv",)
    assert events.columns == {
        "user_id": ("用户",),
        "item_id": ("item_id",),
        "timestamp": ("timestamp",),
    }
    assert mapping.items is not None
    assert mapping.items.paths == (Path("/shop/items.csv"),)
    assert mapping.items.columns["category"] == ("aisle", "shelf")
    assert mapping.items.columns["size"] == ("size",)
    assert mapping.users is not None
    assert mapping.users.columns == {"user_id": ("user_id",), "age": ("age",)}


def test_a_path_may_be_a_list_and_interactions_a_list_of_tables(tmp_path: Path) -> None:
    mapping = _read(
        tmp_path,
        "interactions: [{path: [a.csv, b/*.csv], kind: purchase}, {path: c, kind: click, columns: {item_id: sku}}]",
    )
    orders, clicks = mapping.interactions
    assert orders.paths == (tmp_path / "a.csv", tmp_path / "b/*.csv")
    assert (clicks.kind, clicks.columns["item_id"]) == ("click", ("sku",))


def test_yaml_scalars_stay_text(tmp_path: Path) -> None:
    mapping = _read(
        tmp_path,
        "interactions: {path: a.csv, columns: {kind: no, user_id: 007}, kinds: {yes: purchase, 1: view}}",
    )
    assert mapping.interactions[0].columns["kind"] == ("no",)
    assert mapping.interactions[0].columns["user_id"] == ("007",)
    assert mapping.interactions[0].kinds == {"yes": "purchase", "1": "view"}


def test_the_example_files_are_valid_mappings() -> None:
    retail = read_mapping(ROOT / "examples/online_retail.yaml")
    assert retail.interactions[0].cancelled == Cancellation("InvoiceNo", "C")
    beauty = read_mapping(ROOT / "examples/amazon_beauty.yaml")
    assert (beauty.interactions[0].clock, beauty.interactions[0].columns["timestamp"]) == ("order", ("position",))


def test_a_column_flag_applies_to_its_table_or_to_all_tables_with_that_column() -> None:
    mapping = mapping_from_flags(
        "log.csv",
        items="items.csv",
        users="users.csv",
        columns=["user_id=CustomerID", "item_id=Code", "items.title=a=b", "users.age=Age"],
        kind="purchase",
        order="n",
    )
    assert mapping.interactions[0].columns == {
        "user_id": ("CustomerID",),
        "item_id": ("Code",),
        "timestamp": ("n",),
    }
    assert mapping.items is not None
    assert mapping.items.columns == {"item_id": ("Code",), "title": ("a=b",)}
    assert mapping.users is not None
    assert mapping.users.columns == {"user_id": ("CustomerID",), "age": ("Age",)}
    assert mapping.source == "flags"


@pytest.mark.parametrize("pair", ["user_id", "user_id=", "Age=age", "items.title=Description", "shop.a=b"])
def test_a_column_flag_that_fits_no_table_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match=r"expected COLUMN=FILE_COLUMN .* write user_id=CustomerID"):
        mapping_from_flags("log.csv", columns=[pair], kind="view")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "mapping shop.yaml is None, expected a table of settings"),
        ("a: [", "is not YAML"),
        ("items: {path: a.csv}", "has no `interactions`"),
        ("interactions: {kind: view}", "interactions.path is missing"),
        ("interactions: {kind: view, path: []}", "interactions.path is missing; give .* or a list of these"),
        ("interactions: []", "interactions is an empty list"),
        (
            "interactions: [{path: a, kind: view}, {path: b, kind: view, order: n}]",
            "has `order` in one table and timestamps in another",
        ),
        (
            "interactions: {path: a, kind: view, colums: {}}",
            r"unknown 'colums' \(did you mean 'columns'\?\); it takes path, columns",
        ),
        (
            "interactions: {path: a, kind: view, columns: {stars: b}}",
            "names 'stars', expected one of user_id, .*, rating, .*; remove it, or name it under `context`",
        ),
        (
            "interactions: {path: a, kind: view, columns: [user_id]}",
            "expected pairs of a schema column and a file column",
        ),
        (
            "interactions: {path: a, kind: view, columns: {user_id: {a: b}}}",
            "expected pairs of a schema column and a file column",
        ),
        (
            "interactions: {path: a, kind: view}\nitems: {path: b, category_paths: ','}",
            "items.category_paths needs `category` to be one column, it is none",
        ),
        (
            "interactions: {path: a, kind: view}\nitems: {path: b, columns: {category: c}, category_levels: ''}",
            "items.category_levels is '', expected what stands between two of them",
        ),
        ("interactions: {path: a, kind: view, delimiter: tabs}", "interactions.delimiter is 'tabs'"),
        ("interactions: {path: a}", "either `kind`, the kind of every row, or a column `kind`"),
        ("interactions: {path: a, kind: view, columns: {kind: b}}", "not both or none"),
        ("interactions: {path: a, kind: buy}", "kind is 'buy', expected one of view, click, cart, purchase"),
        ("interactions: {path: a, columns: {kind: b}, kinds: {x: buy}}", "kind is 'buy', expected one of"),
        ("interactions: {path: a, kind: view, encoding: utf-88}", "'utf-88', which is unknown to Python"),
        ("interactions: {path: a, kind: view, timestamp_format: days}", "strptime pattern; write %d/%m/%Y"),
        (
            "interactions: {path: a, kind: view, timezone: Europe/Berlni}",
            "expected a zone .* did you mean Europe/Berlin",
        ),
        ("interactions: {path: a, kind: view, missing: {a: b}}", r"interactions.missing is .* write \[NA, '-'\]"),
        (
            "interactions: {path: a, kind: view, order: n, columns: {timestamp: t}}",
            "remove `order`",
        ),
        (
            "interactions: {path: a, kind: view, cancelled: {prefix: C}}",
            "cancelled has no `column`; write {column: can",
        ),
        (
            "interactions: {path: a, kind: view, cancelled: {col: C}}",
            r"cancelled has unknown 'col' \(did you mean 'column'\?\); it takes column, pre",
        ),
        ("interactions: {path: a, kind: view, per_session: [user_id]}", "`per_session` but no column `session`; map"),
        (
            "interactions: {path: a, kind: view, columns: {session: s}, per_session: [cancelled]}",
            "per_session names 'cancelled', expected one of user_id, item_id, timestamp, session; map it",
        ),
        (
            "interactions: {path: a, columns: {kind: b}, kinds: {Buy: purchase, ' buy': cart}}",
            "kinds maps ' buy' to several kinds, as case and blanks do not count; keep one",
        ),
        (
            "interactions: {path: a, kind: view}\nusers: {path: u, profile: age}",
            r"users.profile .* write \[age\]",
        ),
    ],
)
def test_the_error_for_a_wrong_mapping_is_one_line_with_its_cure(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        _read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_the_error_for_a_missing_mapping_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml can't be read \(No such file"):
        read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ("'^a'", "interactions.only is '^a', expected pairs of a file column and a regular expression"),
        ("{sku: [a]}", "interactions.only is {'sku': ['a']}, expected pairs of a file column"),
        ("{sku: '(?!a)'}", "interactions.only of sku is '(?!a)', expected a regular expression of RE2"),
    ],
)
def test_an_invalid_pattern_is_refused(tmp_path: Path, only: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        _read(tmp_path, f"interactions: {{path: a.csv, kind: view, only: {only}}}")
