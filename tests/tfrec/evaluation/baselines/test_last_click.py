"""Item-kNN on the last click, with cosines worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.baselines.last_click import last_click_knn
from tfrec.evaluation.holdout import holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["mug", "pot", "tea"], dtype=object)


def events(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "day"])
    return table.assign(kind="purchase", timestamp=START + table.day * DAY_SECONDS).drop(columns="day")


def test_items_score_by_the_other_users_who_had_the_last_item_too():
    before = [("ann", "tea", -3), ("ann", "pot", -40), ("bob", "tea", -3), ("bob", "mug", -2), ("cai", "tea", -3)]
    holdout = holdout_from_events(events(before), events([("ann", "mug", 1), ("new", "tea", 1)]), ITEMS)
    scores = last_click_knn(holdout, np.array([2, -1]))(np.array([0, 1]))
    # Users: mug 1, pot 1, tea 3. Without ann's own events the tea's users are bob and cai: the mug
    # 1 / sqrt(3), the pot 0, tea 2 / 3. Recent users, mug 1 and tea 3, add a ten-thousandth.
    assert scores[0].tolist() == pytest.approx([1 / math.sqrt(3) + 1e-4 / 3, 0, 2 / 3 + 1e-4])
    # Without a last item: recent popularity.
    assert scores[1].tolist() == pytest.approx([1e-4 / 3, 0, 1e-4])


def test_a_last_item_without_a_label_kind_does_not_subtract_the_users_own_events():
    # ann viewed the tea last, but bought the pot alone: her purchase of it is not of a tea's user.
    before = events([("ann", "pot", -3), ("bob", "tea", -3), ("bob", "pot", -2)])
    holdout = holdout_from_events(before, events([("ann", "mug", 1)]), ITEMS)
    scores = last_click_knn(holdout, np.array([2]))(np.array([0]))
    assert scores[0] == pytest.approx([0, 1 / math.sqrt(2), 1], abs=2e-4)
