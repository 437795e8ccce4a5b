"""Facts of sampled columns."""

from __future__ import annotations

import pandas as pd
import pytest

from tfrec.data.guess.sampling.column import Column, dependence


def column(*values: str | None) -> Column:
    return Column("x", pd.Series(list(values), dtype=object))


def test_missing_values_and_words_for_them_do_not_count():
    values = column("a", "NULL", None, "a", "b")
    assert (values.known, values.distinct, values.known_share, values.missing_words) == (3, 2, 0.6, ("NULL",))


def test_a_key_that_says_no_more_than_the_most_common_value_decides_nothing():
    # 4 of 5 rows are UK anyway; the item does not tell which one is not.
    items, countries = column("a", "a", "a", "b", "b"), column("UK", "UK", "FR", "UK", "UK")
    assert dependence(items, countries) == 0.0


def test_a_key_that_decides_every_value():
    assert dependence(column("a", "a", "b", "b"), column("x", "x", "y", "y")) == 1.0


def test_a_key_that_decides_half_of_what_is_open():
    # Alone, x is right 3 times of 6. By key: a 2 of 2, b 2 of 2, c 1 of 2, so 5 of 6:
    # (5/6 - 3/6) / (1 - 3/6).
    keys, values = column("a", "a", "b", "b", "c", "c"), column("x", "x", "y", "y", "x", "z")
    assert dependence(keys, values) == pytest.approx(2 / 3)


def test_a_key_that_never_stands_beside_a_value_decides_nothing():
    assert dependence(column("a", None), column(None, "x")) == 0.0


def test_shares_are_those_of_rows():
    ids, described = column("a", "a", "a", "b"), column("a", "c")
    assert ids.share_in(described) == 0.75
    assert ids.likeness(described) == pytest.approx(1 / 3)  # a of a, b and c


def test_numbers_are_read_as_people_write_them():
    prices = column("1.234,50", "19,00", "€ 7,50", "5 stars")
    assert prices.number_share == 0.75
    assert prices.median == 19.0
