"""States of items summed over stores, worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.examples.item_states import ItemStates, read_states
from tfrec.schema import ITEM_STATES

IDS = pa.array([b"pasta", b"tea"], pa.large_binary())


def state(item: str, begin: float, end: float | None = None, **values: Any) -> dict[str, Any]:
    """A state from second `begin` until second `end`."""
    return {"item_id": item, "from": int(begin * 1000), "until": None if end is None else int(end * 1000)} | values


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), ITEM_STATES)


def changes(*rows: dict[str, Any], since: int | None = None, words: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Item -> its changes, each (from, {column that is not 0: value})."""
    offsets, columns = ItemStates(table(*rows), since, words).of_items(IDS)
    of_item = {}
    for number, item in enumerate(IDS.to_pylist()):
        changes = range(offsets[number], offsets[number + 1])
        values = [
            {name: round(column[index].as_py(), 4) for name, column in columns.items() if column[index].as_py()}
            for index in changes
        ]
        of_item[item.decode()] = [(value.pop("from", 0), value) for value in values]
    return of_item


def test_a_state_holds_from_its_start_to_its_end():
    rows = [
        state("tea", 10, 20, in_stock=True),
        state("tea", 30, None, in_stock=False),
        state("soap", 5, in_stock=True),
    ]
    assert changes(*rows) == {"pasta": [], "tea": [(10, {"in_stock": 1}), (20, {}), (30, {"in_stock": -1})]}


def test_a_state_from_before_1970_holds_from_the_start():
    rows = [state("tea", -2_208_988_800, None, price=2.0), state("pasta", 10, None, price=3.0)]  # 1900-01-01
    assert changes(*rows) == {"pasta": [(10, {"price": 3.0})], "tea": [(0, {"price": 2.0})]}


def test_a_state_without_an_end_lasts_until_the_next_one_of_its_store():
    rows = [
        state("tea", 10, price=2.0, store="north"),
        state("tea", 30, price=4.0, store="north"),
        state("tea", 20, price=3.0, store="south"),
    ]
    # Means 2, 2.5 and 3.5. Changes log(2 / 2), log(2.5 / 2.25), log(3.5 * 3 / (2 + 2.5 + 3.5)).
    assert changes(*rows)["tea"] == [
        (10, {"price": 2.0}),
        (20, {"price": 2.5, "price_change": round(math.log(2.5 / 2.25), 4)}),
        (30, {"price": 3.5, "price_change": round(math.log(3.5 * 3 / 8), 4)}),
    ]


def test_promotions_of_stores_and_of_all_stores_count_apart_and_by_word():
    rows = [
        state("pasta", 10, 20, promotion="display 9", store="north"),
        state("pasta", 10, 30, promotion="Display 2, mailer A", store="south"),
        state("pasta", 15, 20, promotion="coupon"),
    ]
    assert changes(*rows, words=("display", "mailer"))["pasta"] == [
        (10, {"promotion_stores": 2, "promotion_display": 2, "promotion_mailer": 1}),
        (15, {"promotion_stores": 2, "promotion_everywhere": 1, "promotion_display": 2, "promotion_mailer": 1}),
        (20, {"promotion_stores": 1, "promotion_display": 1, "promotion_mailer": 1}),
        (30, {}),
    ]


def test_a_state_begins_in_the_first_whole_second_that_knows_it():
    # It begins 0.4 s after second 10: a query at second 10 must not see it.
    assert changes(state("tea", 10.4, 20, price=2.0))["tea"][0] == (11, {"price": 2.0})


def test_a_later_state_changes_no_earlier_row():
    rows = [state("tea", 10, None, price=2.0), state("tea", 20, 40, price=8.0, promotion="mailer")]
    later = state("tea", 30, 50, price=1.0, promotion="mailer", in_stock=False, store="north")
    alone, both = changes(*rows)["tea"], changes(*rows, later)["tea"]
    assert both[:2] == alone[:2]
    assert [begin for begin, _ in both] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize(("since", "expected"), [(None, [10, 20, 30]), (20, [20, 30]), (30, [])])
def test_states_that_end_before_they_are_needed_are_not_read(tmp_path: Path, since: int | None, expected: list[int]):
    path = tmp_path / "part.parquet"
    pq.write_table(table(state("tea", 10, 20, price=2.0), state("tea", 20, 30, price=3.0)), path)
    states = read_states(path, since)
    assert states.of_items(IDS)[1]["from"].to_pylist() == expected
