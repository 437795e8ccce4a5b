"""Filters by excluded rows and category names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from tfrec.export.filters import Filters

# Row 0 is no item, 6 has no category, and "Foodstuff" is not below "Food".
PATHS = ["", "Food > Pasta > Dry > Long", "Food > Tea", "Home", "Food > Pasta", "Foodstuff > Pasta", "", "家居 > 茶"]
ALL = [1, 2, 3, 4, 5, 6, 7]


@pytest.fixture(scope="module")
def filters() -> Filters:
    return Filters(np.array([path.encode() for path in PATHS], object))


def names(rows: Sequence[Sequence[str]]) -> tf.Tensor:
    longest = max(map(len, rows))
    return tf.constant([[*row, *[""] * (longest - len(row))] for row in rows], tf.string, [len(rows), longest])


def allowed_rows(
    filters: Filters, excluded: Sequence[int] = (), allow: Sequence[str] = (), deny: Sequence[str] = ()
) -> list[int]:
    """Rows that the filters allow to one user."""
    rows = tf.constant([excluded], tf.int64, [1, len(excluded)])
    return np.flatnonzero(filters.allowed(rows, names([allow]), names([deny]))[0]).tolist()


def test_without_constraints_all_rows_but_0_are_allowed(filters):
    assert allowed_rows(filters) == ALL
    assert allowed_rows(filters, [0], [""], ["", ""]) == ALL


def test_excluded_rows_are_not_allowed(filters):
    assert allowed_rows(filters, [3, 6, 3, 0]) == [1, 2, 4, 5, 7]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("Food", [1, 2, 4]),
        ("Food > Pasta", [1, 4]),
        ("Food > Pasta > Dry", [1]),
        ("Food > Pasta > Dry > Long", [1]),
        ("Home", [3]),
        ("家居", [7]),
        ("Pasta", []),  # a path begins at the widest level
        ("food", []),
        ("Food > ", []),
        ("Nowhere", []),
    ],
)
def test_a_category_includes_all_below_it_and_an_unknown_one_nothing(filters, name, rows):
    assert allowed_rows(filters, allow=[name]) == rows
    assert allowed_rows(filters, deny=[name]) == [row for row in ALL if row not in rows]


def test_names_add_up_and_denied_categories_win_over_allowed_ones(filters):
    assert allowed_rows(filters, allow=["Food > Tea", "Home", "Nowhere"]) == [2, 3]
    assert allowed_rows(filters, deny=["Food", "Food > Tea", "", "Home"]) == [5, 6, 7]
    assert allowed_rows(filters, [4], ["Food"], ["Food > Tea"]) == [1]
    assert allowed_rows(filters, allow=["Food > Tea"], deny=["Food"]) == []


def test_each_user_has_constraints_of_their_own(filters):
    excluded = tf.constant([[1], [0], [0]], tf.int64)
    allowed = filters.allowed(excluded, names([["Food"], [], ["Nowhere"]]), names([[], ["Home", "Food"], []]))
    assert [np.flatnonzero(row).tolist() for row in allowed] == [[2, 4], [5, 6, 7], []]


def test_a_catalog_without_categories_allows_no_named_category():
    filters = Filters(np.array([b"", b"", b""], object))
    assert allowed_rows(filters) == [1, 2]
    assert allowed_rows(filters, allow=["Food"]) == []
    assert allowed_rows(filters, deny=["Food"]) == [1, 2]
