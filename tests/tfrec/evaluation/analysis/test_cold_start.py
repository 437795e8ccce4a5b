"""Quality by length of history, on a toy model whose scores are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tfrec.evaluation.analysis.cold_start import cold_start, cuts, points
from tfrec.evaluation.baselines.popularity import popularity, recent_popularity
from tfrec.evaluation.details import ColdStart
from tfrec.evaluation.evaluate import Extras, evaluate
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.holdout import Holdout, Scorer, read_holdout
from tfrec.evaluation.per_user import GROUP_METRICS

DAY = 86_400
START = 20_000 * DAY


def lists(holdout: Holdout) -> dict[str, Scorer]:
    return {"recent_popularity": recent_popularity(holdout), "popularity": popularity(holdout)}


def curve_of(exported: ExportedModel, holdout: Holdout) -> ColdStart:
    cut = cuts(exported, 500)
    assert cut is not None
    whole = evaluate("", exported.stages()[-1], holdout, Extras(GROUP_METRICS))
    return cold_start(points(exported, holdout, cut, whole), exported, holdout, lists(holdout), cut)


@pytest.fixture
def long_histories(write_records, tmp_path: Path) -> Path:
    """ann bought tea, searched, and bought a book, then the mug; bob bought a book, cai nothing."""
    events = {"ann": ["tea", "", "book"], "bob": ["book"], "cai": []}
    labels = {"ann": "mug", "bob": "pen", "cai": "tea"}

    def example(user: str, items: list[str], is_target: list[int], first_day: int) -> dict:
        return {
            "user_id": [user],
            "event_item_id": items,
            "event_kind": ["purchase" if item else "search" for item in items],
            "event_timestamp": [START + (first_day + day) * DAY for day in range(len(items))],
            "event_price": [0.0] * len(items),
            "event_is_target": is_target,
        }

    past = [example(user, items, [1] * len(items), -20) for user, items in events.items() if items]
    write_records(tmp_path / "Split-train", past)
    write_records(tmp_path / "Split-validation", [])
    window = [
        example(user, [*items, labels[user]], [0] * len(items) + [1], -len(items)) for user, items in events.items()
    ]
    write_records(tmp_path / "Split-test", window)
    write_records(tmp_path / "Split-catalog", [{"item_id": [item]} for item in ("tea", "mug", "book", "pen")])
    return tmp_path


def test_a_cut_history_holds_the_last_events_with_an_item(toys, long_histories):
    holdout = read_holdout(long_histories, "test", clock="utc")
    exported = ExportedModel(toys["wise"], long_histories, holdout)
    assert exported.history_lengths.tolist() == [2, 1, 0]
    assert exported.last_item_ids.tolist() == ["book", "book", ""]
    # Items: book, mug, pen, tea. The toy recommends the pen after a book, the mug after tea.
    expected = {0: [0, 0, 0, 0], 1: [0, 0, 1, 0], 2: [0, 1, 1, 0], 5: [0, 1, 1, 0], None: [0, 1, 1, 0]}
    for latest, scores in expected.items():
        (score,) = exported.stages(latest)
        np.testing.assert_array_equal(score(np.array([0])), [scores])
    (one,) = exported.stages(1)
    np.testing.assert_array_equal(one(np.array([2, 1])), [[0, 0, 0, 0], [0, 0, 1, 0]])


def test_all_points_are_of_the_same_users_and_the_last_has_whole_histories(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    exported = ExportedModel(toys["wise"], toy_examples, holdout)
    curve = curve_of(exported, holdout)
    assert curve.users == 3
    # Each user bought one item before. With it the toy is right, without it all scores are equal.
    assert [point.events for point in curve.points] == [0, 1, None]
    ndcg = [point.slices["all"].metrics["ndcg@20"] for point in curve.points]
    assert ndcg[1:] == [1, 1]
    assert ndcg[0] < 0.8
    assert curve.points[1].slices["novel"].metrics == {"ndcg@20": 1, "recall@20": 1}
    assert curve.points[1].slices["all"].intervals == {"ndcg@20": (1, 1), "recall@20": (1, 1)}
    # As tests/conftest.py has it: ranks 3, 3 and 4.
    popular = (1 / math.log2(4) * 2 + 1 / math.log2(5)) / 3
    assert curve.non_personalized["all"].metrics["ndcg@20"] == pytest.approx(popular)


def test_each_point_is_compared_with_popular_lists_and_item_knn_user_by_user(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    exported = ExportedModel(toys["wise"], toy_examples, holdout)
    curve = curve_of(exported, holdout)
    assert list(curve.baselines) == ["recent_popularity", "popularity", "item_knn"]
    assert list(curve.points[0].differences) == ["recent_popularity", "popularity"]  # no last item after 0 events
    # Ranks of the labels: 1 by the toy, 3, 3 and 4 by both lists. The gains are 0.5, 0.5 and
    # 0.5693; Student's t of 2 degrees of freedom is 4.3027.
    gain = curve.points[1].differences["popularity"]["all"]
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.5231, 0.4237, 0.6225), abs=1e-4)
    # Item-kNN: of the tea's other users only dee had more: the mug and the book, cosine 1 / sqrt(3)
    # and 1 / sqrt(6). ann and bob get tea 1, mug, book: rank 2. Of the book's, dee again: the mug
    # 1 / sqrt(2) and tea 1 / sqrt(6), and no pen: rank 4 for cai, behind the book's 1 / 2.
    expected = (2 / math.log2(3) + 1 / math.log2(5)) / 3
    assert curve.baselines["item_knn"]["all"].metrics["ndcg@20"] == pytest.approx(expected)


def test_the_point_of_whole_histories_is_that_of_the_evaluation_over_its_users(toys, long_histories):
    # ann alone has two events, but all three users are in the evaluation. She gets the pen, from
    # her book, and the mug, from her tea, before book and tea.
    holdout = read_holdout(long_histories, "test", clock="utc")
    exported = ExportedModel(toys["wise"], long_histories, holdout)
    whole = curve_of(exported, holdout).points[-1].slices["all"]
    again = evaluate("", exported.stages(50)[-1], holdout, Extras(GROUP_METRICS), rows=np.array([0])).slices["all"]
    assert (whole.users, again.users) == (1, 1)
    assert whole.metrics == pytest.approx({metric: again.metrics[metric] for metric in GROUP_METRICS})


def test_a_slice_without_users_has_no_point_of_whole_histories(toys, write_records, tmp_path):
    # Everybody buys the same again, so nothing is novel.
    def example(is_target: list[int], days: list[int]) -> dict:
        return {
            "user_id": ["ann"],
            "event_item_id": ["tea"] * len(days),
            "event_kind": ["purchase"] * len(days),
            "event_timestamp": [START + day * DAY for day in days],
            "event_price": [0.0] * len(days),
            "event_is_target": is_target,
        }

    write_records(tmp_path / "Split-train", [example([1], [-3])])
    write_records(tmp_path / "Split-validation", [])
    write_records(tmp_path / "Split-test", [example([0, 1], [-3, 1])])
    write_records(tmp_path / "Split-catalog", [{"item_id": [item]} for item in ("tea", "mug")])
    holdout = read_holdout(tmp_path, "test", clock="utc")
    curve = curve_of(ExportedModel(toys["wise"], tmp_path, holdout), holdout)
    assert [point.slices["novel"].users for point in curve.points] == [0, 0, 0]
    assert all("novel" not in point.differences["popularity"] for point in curve.points)


def test_users_with_a_history_shorter_than_the_longest_cut_are_left_out(toys, long_histories):
    # Two users have a history; half of them, ann, reach two events.
    holdout = read_holdout(long_histories, "test", clock="utc")
    exported = ExportedModel(toys["wise"], long_histories, holdout)
    curve = curve_of(exported, holdout)
    assert (curve.users, [point.events for point in curve.points]) == (1, [0, 1, 2, None])
    assert cuts(exported, 0) is None


def test_without_any_history_there_is_no_curve(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", label_kinds=("cart",), clock="utc")
    assert cuts(ExportedModel(toys["wise"], toy_examples, holdout), 500) is None
