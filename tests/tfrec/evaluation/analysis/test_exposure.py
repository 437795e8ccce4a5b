"""Exposure of two brands, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.analysis.exposure import exposure
from tfrec.evaluation.details import GroupExposure
from tfrec.evaluation.groups import Partition
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.scores import Scores

BRANDS = {"brand": Partition(("own", "others"), np.array([0, 1, 1, 1]))}


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """Items a to d; the labels are a and b of u, a and c of v."""
    columns = ["user_id", "item_id", "kind", "timestamp"]
    before = pd.DataFrame([("u", "d", "purchase", 10**9)], columns=columns)
    labels = [(user, item, "purchase", 2 * 10**9) for user, item in ("ua", "ub", "va", "vc")]
    during = pd.DataFrame(labels, columns=columns)
    return holdout_from_events(before, during, np.array(list("abcd"), object), candidates="catalog")


def scores(lists: list[list[int]]) -> Scores:
    return Scores("lists", {}, 0.0, lists=np.array(lists, np.int64))


def test_shares_are_those_of_the_catalog_the_labels_and_both_lists(holdout):
    # a is one item of four, and two of four labels. The model shows it in one position of five,
    # where -1 is none, the baseline in two of four.
    model, baseline = scores([[0, 1, 2], [3, 2, -1]]), scores([[0, 1], [0, 2]])
    assert exposure(holdout, model, baseline, BRANDS) == (
        GroupExposure("brand", "own", 0.25, 0.5, 0.2, 0.5),
        GroupExposure("brand", "others", 0.75, 0.5, 0.8, 0.5),
    )


def test_lists_without_an_item_have_no_shares(holdout):
    rows = exposure(holdout, scores([[-1, -1], [-1, -1]]), scores([[0, 1], [0, 2]]), BRANDS)
    assert all(math.isnan(row.model) for row in rows)
    assert [row.baseline for row in rows] == [0.5, 0.5]
