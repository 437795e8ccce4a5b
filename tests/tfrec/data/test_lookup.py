"""Lookup of users and items in partitioned tables."""

from __future__ import annotations

import pytest

from tfrec.data.lookup import read_items, read_user
from tfrec.errors import DataError
from tfrec.schema import TableSet

FEBRUARY_10 = 1_707_588_000  # 2024-02-10 18:00:00 UTC: 19,763 days and 64,800 s after 1970


def test_a_user_has_its_profile_and_its_events_in_order(shop: TableSet) -> None:
    ann = read_user(shop, "ann")
    assert ann.profile == {"age": "25-34", "city": "Lyon"}
    assert ann.history["item_id"].tolist() == ["pasta", "sauce", "tea", "tea", "pasta", "fern"]


def test_unknown_values_and_missing_profiles_are_left_out(shop: TableSet) -> None:
    assert read_user(shop, "bob").profile == {"age": "35-44"}
    assert read_user(shop, "eve").profile == {}


def test_a_history_is_split_before_a_timestamp(shop: TableSet) -> None:
    ann = read_user(shop, "ann")
    assert ann.until(FEBRUARY_10).history["item_id"].tolist() == ["pasta", "sauce", "tea"]
    assert ann.since(FEBRUARY_10)["item_id"].tolist() == ["tea", "pasta", "fern"]
    assert len(ann.until(FEBRUARY_10 + 1).history) == 4


def test_an_unknown_user_is_refused(shop: TableSet) -> None:
    with pytest.raises(DataError, match=r"user 'zoe' is not in .*; give a user id of these tables"):
        read_user(shop, "zoe")


def test_items_are_read_by_id_and_unknown_ids_are_left_out(shop: TableSet) -> None:
    items = read_items(shop, ["tea", "soap", "tea", "ghost"])
    assert items["title"].to_dict() == {"tea": "西湖龙井 绿茶", "soap": "Soap"}
    assert read_items(shop, []).empty
