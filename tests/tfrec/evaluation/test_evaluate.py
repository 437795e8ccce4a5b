"""Slices, masks, groups and exposure, on a shop whose ranks are worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ModelError
from tfrec.evaluation.evaluate import SLICES, Extras, evaluate, label_shares, protocol_of
from tfrec.evaluation.groups import groups
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.per_user import METRICS, ItemTexts
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["pasta", "sauce", "tea", "mug", "fern", "ivy"], dtype=object)
# Rank, equal for all users:          1        3      2      5      4       6
SCORES = np.array([0.9, 0.7, 0.8, 0.5, 0.6, 0.4], np.float32)

# ann bought pasta and tea, bob sauce. fern and ivy are cold, fay is new.
BEFORE = [("ann", "pasta"), ("ann", "tea"), ("bob", "sauce"), ("bob", "mug")]
DURING = [
    ("ann", "pasta"),  # again
    ("ann", "ivy"),
    ("bob", "sauce"),  # again and nothing else, so bob is in slice `all` only
    ("fay", "tea"),
    ("fay", "fern"),
]


def events(rows: list[tuple[str, str]], seconds: int) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return frame.assign(kind="purchase", timestamp=seconds)


@pytest.fixture
def holdout() -> Holdout:
    return holdout_from_events(events(BEFORE, START - DAY_SECONDS), events(DURING, START), ITEMS)


def same_for_all(user_rows: np.ndarray) -> np.ndarray:
    return np.tile(SCORES, (len(user_rows), 1))


def test_each_slice_counts_the_users_with_a_relevant_item(holdout):
    slices = evaluate("model", same_for_all, holdout).slices
    assert {name: part.users for name, part in slices.items()} == {
        "all": 3,
        "novel": 2,
        "cold": 2,
        "cold_among": 2,
        "new_users": 1,
    }
    assert list(slices) == list(SLICES)
    assert all(tuple(part.metrics) == METRICS for part in slices.values())


def test_mrr_is_computed_on_the_slices_own_ranking(holdout):
    slices = evaluate("model", same_for_all, holdout).slices
    # Ranks of the best relevant item. all: ann's pasta 1, bob's sauce 3, fay's tea 2.
    assert slices["all"].metrics["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    # novel, pasta and tea masked for ann: sauce, fern, mug, ivy: 4; fay's tea 2.
    assert slices["novel"].metrics["mrr"] == pytest.approx((1 / 4 + 1 / 2) / 2)
    # cold: ann's ivy 4 as before; fay's fern, behind pasta, tea and sauce, 4.
    assert slices["cold"].metrics["mrr"] == pytest.approx(1 / 4)
    # cold_among: of fern and ivy, ann's ivy is second, fay's fern first.
    assert slices["cold_among"].metrics["mrr"] == pytest.approx((1 / 2 + 1) / 2)
    assert slices["new_users"].metrics["mrr"] == 1 / 2


def test_ndcg_and_its_standard_error_are_over_users(holdout):
    # Discounts 1, 0.63093, 0.5, 0.43068, 0.38685, 0.35621 of ranks 1 to 6.
    # ann: ranks 1 and 6: (1 + 0.35621) / 1.63093 = 0.83155. bob: rank 3 of one: 0.5.
    # fay: ranks 2 and 4: (0.63093 + 0.43068) / 1.63093 = 0.65093.
    # Mean 0.66083; deviations 0.17073, -0.16083, -0.00989; variance 0.055113 / 2;
    # standard error sqrt(0.027556 / 3).
    part = evaluate("model", same_for_all, holdout).slices["all"]
    assert part.metrics["ndcg@20"] == pytest.approx(0.66083, abs=1e-5)
    assert part.ndcg_se == pytest.approx(0.09584, abs=1e-4)


def test_recall_and_coverage_count_the_first_twenty_items():
    # 30 items, ranked equally for both users; the label of user a has rank 10, of user b rank 30.
    items = np.array([f"item{n:02}" for n in range(30)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item09"), ("b", "item29")], START), items)
    part = evaluate("model", lambda rows: np.tile(-np.arange(30.0), (len(rows), 1)), holdout).slices["all"]
    assert part.metrics["recall@20"] == 0.5
    assert part.metrics["hit_rate@20"] == 0.5
    assert part.metrics["recall@100"] == 1
    assert part.metrics["coverage@20"] == pytest.approx(20 / 30)


def test_the_history_is_not_listed_in_slice_novel():
    # Of pasta, sauce, tea, mug and ivy, ann bought pasta and tea before.
    holdout = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events(DURING[:2], START), ITEMS)
    slices = evaluate("model", lambda rows: np.tile(np.arange(5.0), (len(rows), 1)), holdout).slices
    assert slices["all"].metrics["coverage@20"] == 1
    assert slices["novel"].metrics["coverage@20"] == pytest.approx(3 / 5)


def test_the_batch_size_does_not_change_the_scores(holdout):
    one, all_ = (evaluate("model", same_for_all, holdout, batch=size).slices for size in (1, 256))
    for name in SLICES:
        assert one[name].metrics == pytest.approx(all_[name].metrics)


def test_ties_score_like_a_random_ranking():
    # 400 items of one score; the first twenty of the catalog are labels. If ties were broken by the
    # order of the catalog, recall@20 would be 1; at random it is 20 / 400.
    items = np.array([f"item{n:03}" for n in range(400)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("ann", item) for item in items[:20]], START), items)
    part = evaluate("constant", lambda rows: np.zeros((len(rows), 400), np.float32), holdout).slices["all"]
    assert part.metrics["recall@20"] < 0.2
    # The best of tied items takes the mean rank, 200.5.
    assert part.metrics["mrr"] == pytest.approx(1 / 200.5)


def test_the_order_of_the_catalog_does_not_change_ties(holdout):
    reversed_ = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events(DURING, START), ITEMS[::-1])

    def constant(rows: np.ndarray) -> np.ndarray:
        return np.zeros((len(rows), len(ITEMS)), np.float32)

    first, second = (evaluate("constant", constant, h).slices["all"].metrics for h in (holdout, reversed_))
    assert set(first) == set(METRICS)
    assert first == second


def test_the_scorers_own_array_is_not_changed(holdout):
    table = np.tile(SCORES, (3, 1))
    assert evaluate("model", lambda rows: table[: len(rows)], holdout).slices["novel"].users == 2
    assert np.isfinite(table).all()


def test_a_nan_makes_the_slices_of_its_user_nan_and_no_others(holdout):
    def broken_for_bob(user_rows: np.ndarray) -> np.ndarray:
        scores = same_for_all(user_rows)
        scores[user_rows == 1, 3] = math.nan
        return scores

    broken, whole = (evaluate("model", score, holdout).slices for score in (broken_for_bob, same_for_all))
    assert math.isnan(broken["all"].metrics["ndcg@20"])
    assert math.isnan(broken["all"].metrics["mrr"])
    assert broken["novel"] == whole["novel"]


def test_all_metrics_of_a_window_without_users_are_nan():
    empty = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events([], START), ITEMS)
    slices = evaluate("model", same_for_all, empty).slices
    assert {part.users for part in slices.values()} == {0}
    assert all(math.isnan(value) for part in slices.values() for value in part.metrics.values())
    assert tuple(slices["all"].metrics) == METRICS


def test_scores_of_another_shape_are_refused(holdout):
    with pytest.raises(ModelError, match=r"model gave scores of shape \(3, 5\); expected .* \(3, 6\)"):
        evaluate("model", lambda rows: np.zeros((len(rows), 5)), holdout)


def test_the_protocol_counts_what_was_measured(holdout):
    protocol = protocol_of(holdout)
    assert (protocol.users, protocol.new_users, protocol.items, protocol.cold_items) == (3, 1, 6, 2)
    assert (protocol.window, protocol.candidates, protocol.clock) == ("test", "sold", "utc")


def test_the_protocol_differs_for_other_labels_and_other_histories():
    items = np.array(["tea", "mug"], dtype=object)

    def protocol(before: str, during: str) -> str:
        frames = [
            pd.DataFrame({"user_id": ["ann"], "item_id": [item], "kind": ["purchase"], "timestamp": [second]})
            for item, second in ((before, 86_400 * 20_000), (during, 86_400 * 20_001))
        ]
        return protocol_of(holdout_from_events(*frames, items, candidates="catalog")).data

    hashes = {protocol(before, during) for before in items for during in items}
    assert len(hashes) == 4
    assert protocol("tea", "mug") in hashes


def test_groups_are_measured_on_the_list_of_the_whole_catalog(holdout):
    categories = np.array(["food > dry", "food > wet", "food", "home", "plants", "plants"], dtype=object)
    by_group = evaluate("model", same_for_all, holdout, Extras(groups=groups(holdout, categories))).groups
    # Discounts as above. food: ann's pasta 1, bob's sauce 0.5 (rank 3), fay's tea 0.63093 (rank 2);
    # plants: ann's ivy 0.35621 (rank 6), fay's fern 0.43068 (rank 4). Nobody has a label in home.
    of_department = {name: (part.users, part.metrics["ndcg@20"]) for name, part in by_group["department"].items()}
    assert of_department["food"] == (3, pytest.approx(0.71031, abs=1e-5))
    assert of_department["plants"] == (2, pytest.approx(0.39345, abs=1e-5))
    assert of_department["home"] == (0, pytest.approx(math.nan, nan_ok=True))
    assert by_group["department"]["food"].per_user["ndcg@20"].tolist() == pytest.approx([1, 0.5, 0.63093], abs=1e-5)
    # The plants are new; all other items have an interaction a day before the window.
    of_age = {name: part.metrics["ndcg@20"] for name, part in by_group["item age"].items() if part.users}
    assert of_age == {
        "new": of_department["plants"][1],
        "0 to 7 days": of_department["food"][1],
    }
    # ann and bob have two interactions before, fay none: the NDCG over all their labels.
    of_activity = {name: (part.users, part.metrics["ndcg@20"]) for name, part in by_group["activity"].items()}
    assert of_activity == {"0": (1, pytest.approx(0.65093, abs=1e-5)), "2": (2, pytest.approx(0.66578, abs=1e-5))}


def test_a_group_counts_only_the_first_twenty_items():
    # The label of user a has rank 20, the one of user b rank 21.
    items = np.array([f"item{n:02}" for n in range(40)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item19"), ("b", "item20")], START), items)
    score = lambda rows: np.tile(-np.arange(40.0), (len(rows), 1))  # noqa: E731
    parts = evaluate("model", score, holdout, Extras(groups=groups(holdout, np.array(["food"] * 40, object)))).groups
    assert parts["department"]["food"].metrics == {"ndcg@20": pytest.approx(0.5 / math.log2(21)), "recall@20": 0.5}


def test_a_nan_makes_the_groups_of_its_user_nan_and_no_others(holdout):
    def broken_for_bob(user_rows: np.ndarray) -> np.ndarray:
        scores = same_for_all(user_rows)
        scores[user_rows == 1, 3] = math.nan
        return scores

    by_group = evaluate("model", broken_for_bob, holdout, Extras(groups=groups(holdout, ITEMS))).groups["department"]
    assert math.isnan(by_group["sauce"].metrics["ndcg@20"])
    assert by_group["tea"].metrics["recall@20"] == 1


def test_exposure_and_label_shares_are_by_tenth_of_popularity():
    # 30 items, 3 in a tenth, each bought by one user less than the one before it. Listed are all
    # but the first ten: of tenth 4 (items 9, 10, 11) two of twenty, of each of the six tenths after
    # it three.
    items = np.array([f"item{n:02}" for n in range(30)], dtype=object)
    before = events([(f"u{user}", item) for n, item in enumerate(items) for user in range(30 - n)], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item00"), ("a", "item29")], START), items)
    scores = evaluate("model", lambda rows: np.tile(np.arange(30.0), (len(rows), 1)), holdout)
    assert scores.exposure == pytest.approx((0, 0, 0, 0.1, *[0.15] * 6))
    assert label_shares(holdout) == pytest.approx((0.5, *[0] * 8, 0.5))


def test_diversity_is_measured_by_the_items_texts(holdout):
    # Each item has its own text, except the two plants, which share one.
    texts = ItemTexts(np.eye(5, dtype=np.float32), np.array([0, 1, 2, 3, 4, 4]))
    slices = evaluate("model", same_for_all, holdout, Extras(texts=texts)).slices
    assert tuple(slices["all"].metrics) == (*METRICS, "diversity@20")
    # Six items, fifteen pairs, one of them equal.
    assert slices["all"].metrics["diversity@20"] == pytest.approx(14 / 15)
    assert slices["cold_among"].metrics["diversity@20"] == pytest.approx(0)
    assert "diversity@20" in slices["all"].intervals


def test_a_mean_over_two_users_or_more_has_an_interval(holdout):
    slices = evaluate("model", same_for_all, holdout).slices
    # Reciprocal ranks 1, 1/3 and 1/2: mean 0.61111, deviation 0.34694; Student's t of 2 degrees of
    # freedom is 4.3027, which gives 0.86185 to either side, but an MRR is at least 0 and at most 1.
    assert slices["all"].intervals["mrr"] == (0, 1)
    assert slices["new_users"].intervals == {}


def test_scores_can_be_limited_to_some_users(holdout):
    scored: list[int] = []

    def score(user_rows: np.ndarray) -> np.ndarray:
        scored.extend(user_rows)
        return same_for_all(user_rows)

    scores = evaluate("model", score, holdout, Extras(groups=groups(holdout, ITEMS)), rows=np.array([1, 2]))
    assert scored == [1, 2]
    assert scores.slices["all"].metrics["mrr"] == pytest.approx((1 / 3 + 1 / 2) / 2)  # bob's and fay's
    assert {name: part.users for name, part in scores.groups["activity"].items()} == {"0": 1, "2": 1}


def test_each_kind_of_label_is_a_slice_where_there_are_several():
    during = events(DURING, START).assign(kind=["cart", "purchase", "purchase", "cart", "cart"])
    holdout = holdout_from_events(events(BEFORE, START - DAY_SECONDS), during, ITEMS)
    slices = evaluate("model", same_for_all, holdout).slices
    assert list(slices) == [*SLICES, "cart labels", "purchase labels"]
    assert {name: part.users for name, part in slices.items() if name.endswith("labels")} == {
        "cart labels": 2,  # ann, fay
        "purchase labels": 2,  # ann, bob
    }
    # Nothing is masked. Carts: ann's pasta 1, fay's tea 2. Purchases: ann's ivy 6, bob's sauce 3.
    assert slices["cart labels"].metrics["mrr"] == pytest.approx((1 + 1 / 2) / 2)
    assert slices["purchase labels"].metrics["mrr"] == pytest.approx((1 / 6 + 1 / 3) / 2)
