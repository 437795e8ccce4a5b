"""The condition on the first clicks, and its sentences."""

from __future__ import annotations

import math

from tfrec.evaluation.details import ColdStart, ColdStartPoint, PairedDifference
from tfrec.evaluation.scores import SliceScores
from tfrec.evaluation.verdict.first_clicks import best_list, checks

LISTS = {"recent_popularity": 0.15, "popularity": 0.157, "item_knn": 0.2}


def part(ndcg: float, users: int = 250) -> SliceScores:
    return SliceScores(users, 0.01, {"ndcg@20": ndcg, "recall@20": ndcg})


def point(events: int | None, ndcg: float, novel: float = 0.05, novel_users: int = 200) -> ColdStartPoint:
    """A point whose intervals reach 0.01 to either side."""
    slices = {"all": part(ndcg), "novel": part(novel, novel_users)}
    differences = {
        name: {
            slice_: PairedDifference(value - base, value - base - 0.01, value - base + 0.01)
            for slice_, value, base in (("all", ndcg, reference), ("novel", novel, reference / 3))
            if slices[slice_].users
        }
        for name, reference in LISTS.items()
    }
    return ColdStartPoint(events, slices, differences)


def curve(*points: ColdStartPoint) -> ColdStart:
    baselines = {name: {"all": part(value), "novel": part(value / 3)} for name, value in LISTS.items()}
    return ColdStart(250, points, baselines["recent_popularity"], baselines)


def test_a_first_click_that_makes_the_list_surely_worse_is_refused():
    (check,) = checks("model", curve(point(0, 0.157), point(1, 0.11), point(None, 0.35)))
    assert not check.passed
    assert check.reason == (
        "model has ndcg@20 0.1100 on all after 1 event of history, surely below the 0.1570 of the list popularity: "
        "by -0.0470, 95 % interval -0.0570 to -0.0370"
    )


def test_a_loss_on_novel_items_alone_is_refused():
    (check,) = checks("model", curve(point(2, 0.2, novel=0.03)))
    assert not check.passed
    assert "0.0300 on novel after 2 events of history" in check.reason


def test_a_point_below_the_list_within_the_noise_passes():
    # By 0.009, with intervals of 0.01 to either side. Item-kNN, at 0.2, is no popular list.
    (check,) = checks("model", curve(point(0, 0.157), point(1, 0.148), point(20, 0.2), point(None, 0.35)))
    assert check.passed
    assert check.reason == (
        "model is nowhere surely below the most popular items after 0, 1, 20 or all events of history"
    )


def test_of_many_points_one_may_be_slightly_below():
    # By 0.012, with intervals of 0.01 to either side: alone surely below, as one of 16 comparisons
    # the interval reaches 1.5 times as far.
    (alone,) = checks("model", curve(point(1, 0.145, novel_users=0)))
    assert not alone.passed
    others = [point(events, 0.2) for events in (0, 2, 3, 5, 10, 20, None)]
    assert all(check.passed for check in checks("model", curve(point(1, 0.145), *others)))


def test_a_slice_without_users_is_left_out():
    (check,) = checks("model", curve(point(1, 0.2, novel=math.nan, novel_users=0)))
    assert check.passed


def test_the_better_list_counts():
    assert best_list(curve(point(0, 0.2)), "all") == "popularity"
