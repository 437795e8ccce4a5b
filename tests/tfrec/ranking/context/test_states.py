"""States of two items as of query times, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.catalog import StateTable
from tfrec.ranking.context.states import StateFeatures

NOW = 1_700_000_000

#  row, second, price, in_stock
CHANGES = [
    (2, NOW - 100, 2.0, 1.0),
    (2, NOW, 3.0, 1.0),
    (2, NOW + 100, 9.0, -1.0),
    (5, NOW - 50, 7.0, 0.0),
]


def table(changes: list[tuple[int, int, float, float]]) -> StateTable:
    row, start, price, in_stock = (np.array(column) for column in zip(*changes, strict=True))
    values = {"price": price.astype(np.float32), "in_stock": in_stock.astype(np.float32)}
    return StateTable(row.astype(np.int64), start.astype(np.int64), values)


def compute(features: StateFeatures, *query_times: int) -> list[list[list[float]]]:
    """[query times, rows 0, 1, 2, 5 and 6, price and stock]."""
    rows = tf.repeat(tf.constant([[0, 1, 2, 5, 6]], tf.int64), len(query_times), axis=0)
    return features.compute(tf.constant(query_times, tf.int64), rows).numpy().tolist()


def test_an_item_has_the_values_of_its_last_change():
    features = StateFeatures(table(CHANGES))
    assert features.names == ("state_price", "state_in_stock")
    no_state = [0.0, 0.0]
    assert compute(features, NOW - 101, NOW - 1, NOW + 100) == [
        [no_state] * 5,
        [no_state, no_state, [2, 1], [7, 0], no_state],
        [no_state, no_state, [9, -1], [7, 0], no_state],
    ]


def test_a_state_that_begins_after_the_query_time_changes_no_feature():
    known, later = StateFeatures(table(CHANGES[:2])), StateFeatures(table([*CHANGES[:3]]))
    assert compute(later, NOW, NOW + 99) == compute(known, NOW, NOW + 99)
    assert compute(later, NOW + 100) != compute(known, NOW + 100)


@pytest.mark.parametrize("query_time", [-1, 0, 2**40])
def test_any_query_time_finds_only_states_of_the_item_itself(query_time):
    features = StateFeatures(table(CHANGES))
    expected = [[9, -1], [7, 0]] if query_time > NOW else [[0, 0], [0, 0]]
    assert compute(features, query_time)[0] == [[0, 0], [0, 0], *expected, [0, 0]]


def test_states_that_no_later_query_sees_are_dropped():
    features = StateFeatures(table(CHANGES))
    before = compute(features, NOW + 5, NOW + 200)
    features.drop_before(NOW + 5)
    assert compute(features, NOW + 5, NOW + 200) == before
    assert compute(features, NOW - 1)[0][2] == [0, 0]  # its change at NOW - 100 was replaced at NOW
    features.drop_before(NOW + 500)
    assert compute(features, NOW + 500)[0][2:4] == [[9, -1], [7, 0]]
    features.restore()
    assert compute(features, NOW - 1)[0][2] == [2, 1]


def test_a_shop_without_states_has_no_feature():
    assert StateFeatures(None).names == ()
