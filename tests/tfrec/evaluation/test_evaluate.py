"""Slices, masks and JSON of an evaluation, on a shop whose ranks are worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ModelError
from tfrec.evaluation.evaluate import METRICS, SLICES, Evaluation, Texts, chosen_by_tenth, evaluate, protocol_of
from tfrec.evaluation.groups import groups
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.scores import Verdict
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
ITEMS = np.array(["pasta", "sauce", "tea", "mug", "fern", "ivy"], dtype=object)
# By every user, best first:          1        3      2      5      4       6
SCORES = np.array([0.9, 0.7, 0.8, 0.5, 0.6, 0.4], np.float32)

# ann bought pasta and tea, bob sauce. fern and ivy are cold, fay is new.
BEFORE = [("ann", "pasta"), ("ann", "tea"), ("bob", "sauce"), ("bob", "mug")]
DURING = [
    ("ann", "pasta"),  # again
    ("ann", "ivy"),
    ("bob", "sauce"),  # again, and nothing else: bob is in no slice but `all`
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


def test_each_slice_counts_the_users_with_something_relevant_in_it(holdout):
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


def test_mrr_is_taken_over_the_slices_own_ranking(holdout):
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
    # Mean 0.66083; deviations 0.17073, -0.16083, -0.00989; variance 0.055113 / 2; se sqrt(0.027556 / 3).
    part = evaluate("model", same_for_all, holdout).slices["all"]
    assert part.metrics["ndcg@20"] == pytest.approx(0.66083, abs=1e-5)
    assert part.ndcg_se == pytest.approx(0.09584, abs=1e-4)


def test_recall_and_coverage_look_at_the_first_twenty():
    # 30 items; user n of 2 wants item 9 + 20 n, and both are shown items 0, 1, 2 ... in this order.
    items = np.array([f"item{n:02}" for n in range(30)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item09"), ("b", "item29")], START), items)
    part = evaluate("model", lambda rows: np.tile(-np.arange(30.0), (len(rows), 1)), holdout).slices["all"]
    assert part.metrics["recall@20"] == 0.5
    assert part.metrics["hit_rate@20"] == 0.5
    assert part.metrics["recall@100"] == 1
    assert part.metrics["coverage@20"] == pytest.approx(20 / 30)


def test_what_the_user_chose_before_is_not_listed_as_new():
    # Of pasta, sauce, tea, mug and ivy, ann bought pasta and tea before.
    holdout = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events(DURING[:2], START), ITEMS)
    slices = evaluate("model", lambda rows: np.tile(np.arange(5.0), (len(rows), 1)), holdout).slices
    assert slices["all"].metrics["coverage@20"] == 1
    assert slices["novel"].metrics["coverage@20"] == pytest.approx(3 / 5)


def test_the_batch_size_does_not_change_the_scores(holdout):
    one, all_ = (evaluate("model", same_for_all, holdout, batch=size).slices for size in (1, 256))
    for name in SLICES:
        assert one[name].metrics == pytest.approx(all_[name].metrics)


def test_ties_earn_what_a_random_ranking_earns():
    # 400 items of one score, in catalogue order: the first twenty items were bought by all, the rest by none.
    # Were ties broken by that order, recall@20 would be 1; by chance it is 20 / 400.
    items = np.array([f"item{n:03}" for n in range(400)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("ann", item) for item in items[:20]], START), items)
    part = evaluate("constant", lambda rows: np.zeros((len(rows), 400), np.float32), holdout).slices["all"]
    assert part.metrics["recall@20"] < 0.2
    # The best of tied items takes the mean rank, 200.5.
    assert part.metrics["mrr"] == pytest.approx(1 / 200.5)


def test_the_order_of_the_catalogue_does_not_change_ties(holdout):
    turned = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events(DURING, START), ITEMS[::-1])

    def constant(rows: np.ndarray) -> np.ndarray:
        return np.zeros((len(rows), len(ITEMS)), np.float32)

    first, second = (evaluate("constant", constant, h).slices["all"].metrics for h in (holdout, turned))
    assert first == second


def test_a_model_that_hands_out_its_own_array_gets_it_back_unmasked(holdout):
    table = np.tile(SCORES, (3, 1))
    evaluate("model", lambda rows: table[: len(rows)], holdout)
    assert np.isfinite(table).all()


def test_a_nan_spoils_the_slices_of_its_user_and_no_other(holdout):
    def broken_for_bob(user_rows: np.ndarray) -> np.ndarray:
        scores = same_for_all(user_rows)
        scores[user_rows == 1, 3] = math.nan
        return scores

    broken, whole = (evaluate("model", score, holdout).slices for score in (broken_for_bob, same_for_all))
    assert math.isnan(broken["all"].metrics["ndcg@20"])
    assert math.isnan(broken["all"].metrics["mrr"])
    assert broken["novel"] == whole["novel"]


def test_a_window_without_users_has_scores_without_numbers():
    empty = holdout_from_events(events(BEFORE, START - DAY_SECONDS), events([], START), ITEMS)
    slices = evaluate("model", same_for_all, empty).slices
    assert {part.users for part in slices.values()} == {0}
    assert math.isnan(slices["all"].metrics["coverage@20"])


def test_scores_of_another_shape_are_refused(holdout):
    with pytest.raises(ModelError, match=r"model gave scores of shape \(3, 5\); expected .* \(3, 6\)"):
        evaluate("model", lambda rows: np.zeros((len(rows), 5)), holdout)


def test_the_protocol_counts_what_was_measured(holdout):
    protocol = protocol_of(holdout)
    assert (protocol.users, protocol.new_users, protocol.items, protocol.cold_items) == (3, 1, 6, 2)
    assert (protocol.window, protocol.candidates, protocol.clock) == ("test", "sold", "utc")


def test_an_evaluation_comes_back_from_json(holdout):
    evaluation = Evaluation(
        protocol_of(holdout),
        {"b": evaluate("b", same_for_all, holdout), "a": evaluate("a", same_for_all, holdout)},
        Verdict(False, ("a is not above b",)),
    )
    copy = Evaluation.from_json(evaluation.to_json())
    assert list(copy.scores) == ["b", "a"]  # the order of the table
    # new_users has one user, hence no standard error: NaN, which equals nothing, and null in JSON.
    assert math.isnan(copy.scores["a"].slices["new_users"].ndcg_se)
    assert json.loads(evaluation.to_json())["scores"]["a"]["slices"]["new_users"]["ndcg_se"] is None
    assert copy.to_json() == evaluation.to_json()
    assert (copy.protocol, copy.verdict) == (evaluation.protocol, evaluation.verdict)
    assert copy.scores["a"].slices["all"] == evaluation.scores["a"].slices["all"]


def test_groups_and_exposure_come_back_and_an_older_file_has_none(holdout):
    scores = evaluate("a", same_for_all, holdout, groups=groups(holdout, ITEMS))
    evaluation = Evaluation(protocol_of(holdout), {"a": scores}, Verdict(True, ()))
    copy = Evaluation.from_json(evaluation.to_json()).scores["a"]
    assert copy.groups["department"]["tea"] == scores.groups["department"]["tea"]
    assert copy.exposure == scores.exposure
    older = json.loads(evaluation.to_json())
    del older["scores"]["a"]["groups"], older["scores"]["a"]["exposure"]
    for part in older["scores"]["a"]["slices"].values():
        del part["intervals"]
    old = Evaluation.from_json(json.dumps(older)).scores["a"]
    assert (old.groups, old.exposure, old.slices["all"].intervals) == ({}, (), {})
    assert old.slices["all"].metrics == scores.slices["all"].metrics


def test_the_protocol_tells_other_labels_and_other_histories_apart():
    items = np.array(["tea", "mug"], dtype=object)

    def protocol(before: str, during: str) -> str:
        frames = [
            pd.DataFrame({"user_id": ["ann"], "item_id": [item], "kind": ["purchase"], "timestamp": [second]})
            for item, second in ((before, 86_400 * 20_000), (during, 86_400 * 20_001))
        ]
        return protocol_of(holdout_from_events(*frames, items, candidates="catalog")).data

    found = {protocol(before, during) for before in items for during in items}
    assert len(found) == 4
    assert protocol("tea", "mug") in found


def test_groups_are_measured_in_the_list_that_the_user_is_shown(holdout):
    categories = np.array(["food > dry", "food > wet", "food", "home", "plants", "plants"], dtype=object)
    found = evaluate("model", same_for_all, holdout, groups=groups(holdout, categories)).groups
    # Discounts as above. food: ann's pasta 1, bob's sauce 0.5 (rank 3), fay's tea 0.63093 (rank 2); plants: ann's ivy
    # 0.35621 (rank 6), fay's fern 0.43068 (rank 4). Nobody chose of home.
    of_department = {name: (part.users, part.metrics["ndcg@20"]) for name, part in found["department"].items()}
    assert of_department["food"] == (3, pytest.approx(0.71031, abs=1e-5))
    assert of_department["plants"] == (2, pytest.approx(0.39345, abs=1e-5))
    assert of_department["home"] == (0, pytest.approx(math.nan, nan_ok=True))
    assert found["department"]["food"].per_user["ndcg@20"].tolist() == pytest.approx([1, 0.5, 0.63093], abs=1e-5)
    # The plants are what was never chosen before; all else was chosen a day before the window.
    of_age = {name: part.metrics["ndcg@20"] for name, part in found["item age"].items() if part.users}
    assert of_age == {
        "never chosen before": of_department["plants"][1],
        "0 to 7 days": of_department["food"][1],
    }
    # ann and bob chose twice before, fay never: the NDCG of all their labels.
    of_activity = {name: (part.users, part.metrics["ndcg@20"]) for name, part in found["activity"].items()}
    assert of_activity == {"0": (1, pytest.approx(0.65093, abs=1e-5)), "2": (2, pytest.approx(0.66578, abs=1e-5))}


def test_a_group_counts_only_the_first_twenty():
    # Item 20 of the list is a hit of rank 20; item 21 comes too late.
    items = np.array([f"item{n:02}" for n in range(40)], dtype=object)
    before = events([("zoe", item) for item in items], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item19"), ("b", "item20")], START), items)
    score = lambda rows: np.tile(-np.arange(40.0), (len(rows), 1))  # noqa: E731
    parts = evaluate("model", score, holdout, groups=groups(holdout, np.array(["food"] * 40, object))).groups
    assert parts["department"]["food"].metrics == {"ndcg@20": pytest.approx(0.5 / math.log2(21)), "recall@20": 0.5}


def test_a_nan_spoils_the_groups_of_its_user(holdout):
    def broken_for_bob(user_rows: np.ndarray) -> np.ndarray:
        scores = same_for_all(user_rows)
        scores[user_rows == 1, 3] = math.nan
        return scores

    found = evaluate("model", broken_for_bob, holdout, groups=groups(holdout, ITEMS)).groups["department"]
    assert math.isnan(found["sauce"].metrics["ndcg@20"])
    assert found["tea"].metrics["recall@20"] == 1


def test_exposure_stands_beside_what_is_chosen():
    # 30 items, 3 in a tenth, each bought by one user less than the one before it. Shown are all but the first ten:
    # of tenth 3 (items 9, 10, 11) two of twenty, of each of the six behind it three.
    items = np.array([f"item{n:02}" for n in range(30)], dtype=object)
    before = events([(f"u{user}", item) for n, item in enumerate(items) for user in range(30 - n)], START - DAY_SECONDS)
    holdout = holdout_from_events(before, events([("a", "item00"), ("a", "item29")], START), items)
    scores = evaluate("model", lambda rows: np.tile(np.arange(30.0), (len(rows), 1)), holdout)
    assert scores.exposure == pytest.approx((0, 0, 0, 0.1, *[0.15] * 6))
    assert chosen_by_tenth(holdout) == pytest.approx((0.5, *[0] * 8, 0.5))


def test_diversity_is_measured_by_the_texts_that_are_given(holdout):
    # Everything says something of its own, but the two plants the same.
    texts = Texts(np.eye(5, dtype=np.float32), np.array([0, 1, 2, 3, 4, 4]))
    slices = evaluate("model", same_for_all, holdout, texts=texts).slices
    assert tuple(slices["all"].metrics) == (*METRICS, "diversity@20")
    # Six items, fifteen pairs, one of which is alike.
    assert slices["all"].metrics["diversity@20"] == pytest.approx(14 / 15)
    assert slices["cold_among"].metrics["diversity@20"] == pytest.approx(0)
    assert "diversity@20" in slices["all"].intervals


def test_a_mean_has_an_interval_but_not_that_of_a_single_user(holdout):
    slices = evaluate("model", same_for_all, holdout).slices
    # Reciprocal ranks 1, 1/3 and 1/2: mean 0.61111, deviation 0.34694; Student's t of 2 degrees of freedom is 4.3027.
    assert slices["all"].intervals["mrr"] == pytest.approx((0.61111 - 0.86185, 0.61111 + 0.86185), abs=1e-4)
    assert slices["new_users"].intervals == {}


def test_some_users_alone_may_be_asked_for(holdout):
    asked: list[int] = []

    def score(user_rows: np.ndarray) -> np.ndarray:
        asked.extend(user_rows)
        return same_for_all(user_rows)

    scores = evaluate("model", score, holdout, rows=np.array([1, 2]), groups=groups(holdout, ITEMS))
    assert asked == [1, 2]
    assert scores.slices["all"].metrics["mrr"] == pytest.approx((1 / 3 + 1 / 2) / 2)  # bob's and fay's
    assert {name: part.users for name, part in scores.groups["activity"].items()} == {"0": 1, "2": 1}
