"""The SavedModel of both stages: its answers are those of the model in memory, with one
calibration.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import EvaluationConfig
from tfrec.evaluation.exported_model import EVENTS
from tfrec.examples.batches import history_only, query_times_of
from tfrec.examples.dataset import sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.examples.read import read_histories
from tfrec.export.golden_requests import read_golden_requests
from tfrec.export.two_stage_recommender import TwoStageRecommender
from tfrec.export.verify import verify_in_fresh_process
from tfrec.ranking.blend import PARTS
from tfrec.ranking.fit_second_stage import fit_second_stage
from tfrec.ranking.second_stage import SecondStage

PROFILE = ("age", "city")

pytestmark = pytest.mark.slow


def no_constraints(users: int) -> dict[str, tf.Tensor]:
    """Inputs of `recommend` that leave every item."""
    names = ("exclude_item_id", "allow_category", "deny_category")
    return {name: tf.fill([users, 1], "") for name in names} | {
        "exclude_seen": tf.fill([users], False),
        "diversity": tf.zeros([users]),
        "list_calibration": tf.zeros([users]),
    }


def every_row(stage: SecondStage, users: int) -> tf.Tensor:
    """[users, items] int64: all rows but 0 for each user."""
    return tf.repeat(tf.range(1, stage.catalog_size, dtype=tf.int64)[tf.newaxis], users, axis=0)


def test_an_export_of_two_stages_is_verified_in_a_fresh_process(exported_two_stages):
    assert verify_in_fresh_process(exported_two_stages) is None


def test_an_export_of_two_stages_answers_as_the_model_in_memory(
    two_stage_shop, exported_two_stages, raw_examples, transformed_shop
):
    stage, served = two_stage_shop.stage, tf.saved_model.load(exported_two_stages)
    (batch,) = sequences(transformed_shop.files["test"], PROFILE, 16)
    history, query_times = history_only(batch), query_times_of(batch, None)
    queries = stage.embed_queries(history, query_times)
    expected = -np.sort(-stage.score_catalog(history, query_times, queries).numpy()[:, 1:], axis=1)
    # The same users' events as a client sends them.
    raw = read_histories(raw_examples, "test", EVENTS, [f"user_{column}" for column in PROFILE])
    order = [list(raw["user_id"]).index(user) for user in history["user_id"].numpy()]
    inputs = {name: tf.constant(values[order]) for name, values in raw.items()}
    inputs |= {"timestamp": query_times, "query": tf.fill([len(order)], "")}
    scores = served.all_scores(**inputs).numpy()[:, 1:]
    np.testing.assert_allclose(-np.sort(-scores, axis=1), expected, rtol=1e-3, atol=1e-5)
    answer = served.signatures["recommend"](**inputs, **no_constraints(len(order)))
    np.testing.assert_allclose(answer["score"], expected, rtol=1e-3, atol=1e-5)

    everything = tf.repeat([two_stage_shop.trained.catalog.item_ids[1:]], len(order), axis=0)
    ranked = served.signatures["rank"](**inputs, candidate_item_id=everything)["score"]
    rows = every_row(stage, len(order))
    by_rank = stage.positive_probability(stage.predict(history, query_times, queries, rows)).numpy()
    np.testing.assert_allclose(ranked, -np.sort(-by_rank, axis=1), rtol=1e-3, atol=1e-5)


def test_the_signatures_of_the_second_stage_have_golden_requests(exported_two_stages):
    golden = read_golden_requests(exported_two_stages)
    assert set(golden) == set(tf.saved_model.load(exported_two_stages).signatures) - {"serving_default"}
    inputs, outputs = golden["ctr"]
    assert "query" not in inputs
    assert outputs["item_id"].shape == inputs["candidate_item_id"].shape == (4, 5)
    assert set(golden["complementary_items"][1]["item_id"][-1]) == {b""}  # of an unknown item


def test_complementary_items_leave_out_the_item_and_are_empty_for_an_unknown_id(exported_two_stages):
    served = tf.saved_model.load(exported_two_stages)
    answer = served.signatures["complementary_items"](tf.constant(["pasta", "no such item"]))["item_id"].numpy()
    # All but the item, and the empty row.
    assert b"pasta" not in answer[0]
    assert len(set(answer[0]) - {b""}) == 7
    assert set(answer[1]) == {b""}


@pytest.fixture(scope="module")
def two_heads_stage(two_stage_shop, transformed_shop, tmp_path_factory) -> SecondStage:
    """A ranker fitted on all kinds of events; rating and purchase count as positives."""
    files, folder = transformed_shop.files["train"], str(tmp_path_factory.mktemp("ranker"))
    evaluation = EvaluationConfig(label_kinds=("rating", "purchase"))
    config = dataclasses.replace(two_stage_shop.config, evaluation=evaluation)
    return fit_second_stage(two_stage_shop.trained, files, files, config, folder)


@pytest.fixture(scope="module")
def two_heads(two_stage_shop, transformed_shop, two_heads_stage) -> TwoStageRecommender:
    graph = Transformed(transformed_shop.folder)
    return TwoStageRecommender(two_stage_shop.trained, graph, two_stage_shop.config, two_heads_stage)


def inputs_of(item_ids: list[list[str]]) -> dict[str, tf.Tensor]:
    """The same history of two events for each row of candidates."""
    users = len(item_ids)
    return {
        "event_item_id": tf.constant([["tea", "soap"]] * users),
        "event_kind": tf.constant([["purchase", "view"]] * users),
        "event_timestamp": tf.constant([[1_706_000_000, 1_707_000_000]] * users, tf.int64),
        "event_price": tf.constant([[8.0, float("nan")]] * users),
        "timestamp": tf.constant([1_709_510_400] * users, tf.int64),
        "user_id": tf.fill([users], ""),
        "user_age": tf.fill([users], "25-34"),
        "user_city": tf.fill([users], ""),
        "candidate_item_id": tf.constant(item_ids, tf.string, [users, len(item_ids[0])]),
    }


def test_ctr_gives_the_probability_of_each_kind_in_the_order_of_the_request(two_heads):
    inputs = inputs_of([["mug", "no such item", "tea"], ["tea", "", "fern"]])
    answer = {name: value.numpy() for name, value in two_heads.ctr(**inputs).items()}
    assert set(answer) == {"item_id", "view", "click", "cart", "rating", "purchase"}
    assert answer["item_id"].tolist() == [[b"mug", b"", b"tea"], [b"tea", b"", b"fern"]]
    for head in set(answer) - {"item_id"}:
        assert answer[head].dtype == np.float32
        assert answer[head][:, 1].tolist() == [0, 0]
        assert ((answer[head][:, [0, 2]] > 0) & (answer[head][:, [0, 2]] < 1)).all()
        np.testing.assert_allclose(answer[head][0, 2], answer[head][1, 0], rtol=1e-4)  # tea, for the same history
    # Any kind that counts is a positive: 1 - (1 - rating) (1 - purchase).
    ranked = two_heads.rank(**inputs, query=tf.constant(["", ""]))
    score = dict(zip(ranked["item_id"][0].numpy(), ranked["score"][0].numpy(), strict=True))
    for index, item_id in ((0, b"mug"), (2, b"tea")):
        expected = 1 - (1 - answer["rating"][0, index]) * (1 - answer["purchase"][0, index])
        np.testing.assert_allclose(score[item_id], expected, rtol=1e-4)
    empty = two_heads.ctr(**inputs_of([[], []]))
    assert {value.shape for value in empty.values()} == {(2, 0)}


def test_recommend_rank_and_ctr_share_one_calibration(two_heads, two_heads_stage):
    inputs = inputs_of([["mug", "tea", "fern"]])
    request = {name: value for name, value in inputs.items() if name != "candidate_item_id"} | {
        "query": tf.constant([""])
    }

    def answers() -> tuple[np.ndarray, np.ndarray, dict[bytes, float]]:
        probability = two_heads.ctr(**inputs)["purchase"].numpy()[0]
        ranked = two_heads.rank(**inputs, query=tf.constant([""]))
        recommended = two_heads.recommend(**request, **no_constraints(1))
        pairs = zip(recommended["item_id"][0].numpy(), recommended["score"][0].numpy(), strict=True)
        return probability, ranked["score"].numpy()[0], {item_id: score for item_id, score in pairs if score >= 0}

    ranker = two_heads_stage.ranker
    before = answers()
    try:
        # The logit x becomes 2 x - 1 for a purchase; a rating becomes impossible.
        ranker.slope.assign([[2.0 if head == "purchase" else 1.0 for head in ranker.heads]] * len(PARTS))
        ranker.bias.assign([[{"purchase": -1.0, "rating": -99.0}.get(head, 0.0) for head in ranker.heads]] * len(PARTS))
        after = answers()
    finally:
        ranker.slope.assign(tf.ones_like(ranker.slope))
        ranker.bias.assign(tf.zeros_like(ranker.bias))
    logit = np.log(before[0] / (1 - before[0]))
    expected = 1 / (1 + np.exp(1 - 2 * logit))
    np.testing.assert_allclose(after[0], expected, rtol=1e-3)
    np.testing.assert_allclose(after[1], -np.sort(-expected), rtol=1e-3)
    assert after[2].keys() == before[2].keys()
    for item_id, probability in zip((b"mug", b"tea", b"fern"), expected, strict=True):
        if item_id in after[2]:
            np.testing.assert_allclose(after[2][item_id], probability, rtol=1e-3)
    assert {b"mug", b"tea", b"fern"} & after[2].keys()
