"""Events, users and items as the tensors of a signature."""

from __future__ import annotations

import pytest

from serving.client import Event
from serving.client.types import EVENT_KINDS, User
from tfrec import schema
from tfrec.errors import ServingError

HISTORY = [Event("b", "purchase", 200), Event("a", "view", 100, 2.5), Event("b", "click", 300)]


def test_an_unknown_event_kind_is_refused() -> None:
    with pytest.raises(ServingError, match="kind is 'bought' but must be one of view, click"):
        Event("a", "bought")


def test_event_kinds_equal_those_of_the_schema() -> None:
    assert EVENT_KINDS == schema.EVENT_KINDS


@pytest.mark.parametrize(
    ("length", "item_ids", "kinds", "times"),
    [
        (0, ["a", "b", "b"], ["view", "purchase", "click"], [100, 200, 300]),
        (2, ["b", "b"], ["purchase", "click"], [200, 300]),
        (5, ["a", "b", "b", "", ""], ["view", "purchase", "click", "", ""], [100, 200, 300, 0, 0]),
    ],
    ids=["any length", "shorter than the history", "longer than the history"],
)
def test_a_model_with_a_fixed_history_length_gets_the_latest_events(
    length: int, item_ids: list[str], kinds: list[str], times: list[int]
) -> None:
    names = ["event_item_id", "event_kind", "event_timestamp"]
    inputs = User(HISTORY, now=400).inputs(names, length)
    assert [value.decode() for value in inputs["event_item_id"][0]] == item_ids
    assert [value.decode() for value in inputs["event_kind"][0]] == kinds
    assert inputs["event_timestamp"].tolist() == [times]
