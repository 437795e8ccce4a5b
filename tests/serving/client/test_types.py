"""Events, users and items as the tensors of a signature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from serving.client import Event
from serving.client.types import EVENT_KINDS, User
from tfrec import schema
from tfrec.errors import ServingError

HISTORY = [Event("b", "purchase", 200), Event("a", "view", 100, 2.5), Event("b", "click", 300)]


def test_an_unknown_event_kind_is_refused() -> None:
    with pytest.raises(ServingError, match="kind is 'bought' but must be one of view, click"):
        Event("a", "bought")


@pytest.mark.parametrize(
    "timestamp",
    [
        1_512_000_000_000,
        32_503_680_000,
        -1_512_000_000_000,
        float("nan"),
        datetime(2017, 11, 30, tzinfo=UTC),
        "1512000000",
    ],
)
def test_a_time_that_is_not_in_seconds_is_refused(timestamp: Any) -> None:
    # 32,503,680,000 is 3000-01-01.
    for name, make in (("timestamp", lambda: Event("a", timestamp=timestamp)), ("now", lambda: User([], timestamp))):
        with pytest.raises(ServingError, match=f"{name} is .* but must be in seconds since the epoch, before the year"):
            make()


def test_times_up_to_the_year_3000_pass() -> None:
    assert Event("a", timestamp=32_503_679_999).timestamp == 32_503_679_999
    assert User([Event("a", timestamp=np.int64(1_512_000_000))], now=0).now == 0


def test_a_query_time_before_1970_is_refused() -> None:
    with pytest.raises(ServingError, match="now is -1 but no query was before 1970; 0 is the server's clock"):
        User([], now=-1)


def test_a_blank_query_is_sent_as_none() -> None:
    assert User([], 0, query=" \u3000").inputs(["query"])["query"].tolist() == [b""]
    assert User([], 0, query=" 茶 ").inputs(["query"])["query"].tolist() == [" 茶 ".encode()]


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


def test_the_latest_event_says_where_a_request_without_context_comes_from():
    history = [Event("a", timestamp=2, context={"store": "north"}), Event("b", timestamp=1, context={"store": "south"})]
    names = ["event_item_id", "user_store", "user_city"]
    inputs = User(history, now=3, profile={"city": "Bern"}).inputs(names)
    assert (inputs["user_store"].tolist(), inputs["user_city"].tolist()) == ([b"north"], [b"Bern"])
    assert User(history, now=3, profile={"store": "east"}).inputs(names)["user_store"].tolist() == [b"east"]
    assert User(history, now=3, profile={"store": ""}).inputs(names)["user_store"].tolist() == [b""]
    assert User([], now=3).inputs(names)["user_store"].tolist() == [b""]
