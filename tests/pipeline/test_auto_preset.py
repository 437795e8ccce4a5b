"""The preset that a shop's interactions suggest."""

from __future__ import annotations

from pathlib import Path

from pipeline.auto_preset import LogFigures, choose_preset, read_figures
from tests.conftest import WriteTables
from tfrec.schema import TableSet


def events(users: int, items: list[str]) -> list[tuple]:
    """Each user buys the items in this order, one a minute."""
    return [
        (f"u{user}", item, "purchase", f"2024-01-01 {minute // 60:02}:{minute % 60:02}:00", *[None] * 5)
        for user in range(users)
        for minute, item in enumerate(items)
    ]


def test_repeats_and_histories_are_counted_without_searches(shop: TableSet) -> None:
    # 23 events with an item. Repeats: pasta and tea of ann, mug of bob, lamp of cai, soap of eve
    # twice, tea of fay. Events of ann 6, bob 3, cai 4, dee 2, eve 4, fay 4: the median is 4.
    assert read_figures(shop) == LogFigures(1 - 16 / 23, 4)


def test_nobody_takes_an_item_twice(tmp_path: Path, write_tables: WriteTables) -> None:
    tables = write_tables(tmp_path, events(3, ["a", "b", "c"]))
    choice = choose_preset(tables)
    assert choice.preset == "discovery"
    assert choice.reason == "0% of the events repeat an item of the user, less than 5%, and the median user has 3 " + (
        "events, fewer than 20"
    )


def test_nobody_takes_one_of_many_items_twice(tmp_path: Path, write_tables: WriteTables) -> None:
    choice = choose_preset(write_tables(tmp_path, events(2, [f"i{n}" for n in range(20)])))
    assert choice.preset == "retail"
    assert choice.reason == "0% of the events repeat an item of the user, less than 5%, but the median user has 20 " + (
        "events, 20 or more"
    )


def test_short_histories_with_repeats(tmp_path: Path, write_tables: WriteTables) -> None:
    # 4 events, 3 items each.
    choice = choose_preset(write_tables(tmp_path, events(3, ["a", "b", "a", "c"])))
    assert choice.preset == "retail"
    assert choice.reason == "25% of the events repeat an item of the user and the median user has 4 events, " + (
        "fewer than 100"
    )


def test_long_histories_with_repeats(tmp_path: Path, write_tables: WriteTables) -> None:
    choice = choose_preset(write_tables(tmp_path, events(2, [f"i{n % 50}" for n in range(100)])))
    assert choice.preset == "grocery"
    assert choice.reason.startswith("50% of the events repeat an item of the user and the median user has 100 events")
