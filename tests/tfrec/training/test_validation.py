"""Validation score of early stopping, worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import EvaluationConfig, ExamplesConfig, SplitConfig
from tfrec.examples.batches import history_only
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.validation import Validation, ValidationScores

DAY = 86_400
NOON = 1_704_110_400  # 2024-01-01 12:00 UTC


VIEW, PURCHASE = 1, 4  # as in preprocessing.kind_index


def example(events: list[tuple]) -> bytes:
    """A user's (item, timestamp, is_target[, kind, query]) as a transformed tf.train.Example."""
    made = tf.train.Example()
    feature = made.features.feature
    feature["user_id"].bytes_list.value.append(b"somebody")
    defaults = (PURCHASE, "")
    for item, timestamp, is_target, kind, query in ((*event, *defaults[len(event) - 3 :]) for event in events):
        feature["event_item_id"].bytes_list.value.append(item.encode())
        feature["event_query"].bytes_list.value.append(query.encode())
        feature["event_timestamp"].int64_list.value.append(timestamp)
        feature["event_is_target"].int64_list.value.append(is_target)
        feature["event_kind"].int64_list.value.append(kind)
        feature["event_price"].float_list.value.append(0.0)
    return made.SerializeToString()


@pytest.fixture
def written(tmp_path):
    """Write users' examples into a file and return a list with its path."""

    def write(*users: list[tuple]) -> list[str]:
        path = str(tmp_path / "validation.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for events in users:
                writer.write(example(events))
        return [path]

    return write


@pytest.fixture(scope="module")
def model(make_catalog, make_config) -> TwoTower:
    """A model that ranks items 1, 3, 2, 4 for every user: all weights but the item biases are 0."""
    model = TwoTower(make_catalog([[101]] * 4), make_config())
    for weight in model.candidate_tower.trainable_weights:
        is_bias = "item_bias" in weight.name
        weight.assign([[0.0], [4.0], [2.0], [3.0], [1.0]] if is_bias else tf.zeros_like(weight))
    return model


def test_the_scores_are_means_over_users_of_all_targets_and_of_new_ones(model, written, make_config):
    files = written(
        [("i1", NOON - DAY, 0), ("i1", NOON, 1), ("i2", NOON + DAY, 1)],
        [("i3", NOON, 1), ("i3", NOON + 1, 1)],
        [("i4", NOON - DAY, 0), ("unknown item", NOON, 1)],  # no target in the catalog: not counted
    )
    # User 1 has ranks 1 and 3: (1 + 1 / log2 4) / (1 + 1 / log2 3) = 0.919721; user 2 has rank 2
    # (once, though bought twice): 1 / log2 3 = 0.630930. Without item 1, in user 1's history, item
    # 2 has rank 2.
    all_targets, new, _ = Validation(files, make_config()).ndcg(model)
    assert all_targets == pytest.approx((0.919721 + 0.630930) / 2, abs=1e-5)
    assert new == pytest.approx(0.630930, abs=1e-5)


def test_only_the_kinds_of_labels_are_scored(model, written, make_config):
    files = written(
        [("i1", NOON, 1, VIEW)],  # no label: not counted, nor among the validation users
        [("i1", NOON, 1, VIEW), ("i2", NOON + 1, 1, PURCHASE)],
    )
    config = make_config(train={"validation_users": 1})
    labels = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("purchase",)))
    # Item 2 has rank 3: 1 / log2 4.
    assert Validation(files, labels).ndcg(model)[0] == pytest.approx(0.5, abs=1e-5)
    assert Validation(files, config).ndcg(model)[0] == pytest.approx(1.0, abs=1e-5)


def test_searches_of_the_training_data_are_scored_by_their_query(make_catalog, make_config, written):
    titles = {"queries": np.array([b"three"], object), "query_row": np.array([3])}
    model = TwoTower(make_catalog([[101], [102], [103]], **titles), make_config())
    for weight in model.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    model.texts.text_vectors.assign(tf.eye(*model.texts.text_vectors.shape))
    weights = {weight.name: weight for weight in model.trainable_variables}
    # Item 3, whose text the query has, scores 1 with the query and 0 without, as all others do.
    for name in ("candidate_tower/text/kernel:0", "query_tower/query_text/kernel:0"):
        weights[name].assign(tf.eye(*weights[name].shape))
    files = written(
        [("i1", NOON, 1, PURCHASE, "other"), ("i3", NOON + 1, 1, PURCHASE, "three")],
        [("i2", NOON, 1, PURCHASE, "other")],  # unknown to the training data: no search
    )
    assert Validation(files, make_config()).ndcg(model).search == pytest.approx(1.0)
    assert math.isnan(Validation(written([("i2", NOON, 1)]), make_config()).ndcg(model).search)


def test_users_without_a_label_may_stand_between_histories_of_any_length(model, written, make_config, monkeypatch):
    monkeypatch.setattr("tfrec.training.validation.BATCH", 2)  # the files are read in such batches
    files = written(
        [("i1", NOON, 1, VIEW)],
        [("i1", NOON, 1)],
        [("i4", NOON - DAY, 0), ("i1", NOON, 1)],
    )
    config = dataclasses.replace(make_config(), evaluation=EvaluationConfig(label_kinds=("purchase",)))
    assert Validation(files, config).ndcg(model)[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("slice_", "expected"), [("all", 0.25), ("novel", 0.5)])
def test_the_configured_slice_is_decisive(written, make_config, slice_, expected):
    validation = Validation(written(), make_config(train={"validation_slice": slice_}))
    assert validation.decisive(ValidationScores(0.25, 0.5)) == expected
    assert validation.decisive(ValidationScores(0.25, 0.5, 1.0)) == math.sqrt(expected)


def test_validation_users_limits_the_scored_users(model, written, make_config):
    files = written([("i1", NOON, 1)], [("i4", NOON, 1)])
    assert Validation(files, make_config(train={"validation_users": 1})).ndcg(model)[0] == pytest.approx(1.0)
    # Ranks 1 and 4: (1 + 1 / log2 5) / 2
    assert Validation(files, make_config()).ndcg(model)[0] == pytest.approx(0.715338, abs=1e-5)


@pytest.mark.parametrize("clock", ["utc", "order"])
def test_without_users_the_score_is_nan(model, written, make_config, clock):
    assert math.isnan(Validation(written(), make_config(clock=clock)).ndcg(model)[0])
    no_users = make_config(train={"validation_users": 0}, clock=clock)
    assert math.isnan(Validation(written([("i1", NOON, 1)]), no_users).ndcg(model)[0])


def test_a_history_holds_no_target():
    batch = {
        "event_item_id": tf.constant([["i1", "i2", "i3"], ["i4", "i1", ""], ["i2", "", ""]]),
        "event_is_target": tf.constant([[0, 0, 1], [0, 1, 0], [1, 0, 0]], tf.int64),
        "event_timestamp": tf.constant([[1, 2, 3], [4, 5, 0], [6, 0, 0]], tf.int64),
        "user_id": tf.constant(["ann", "bob", "cai"]),
    }
    history = history_only(batch)
    assert history["event_item_id"].numpy().tolist() == [[b"i1", b"i2"], [b"i4", b""], [b"", b""]]
    assert history["event_timestamp"].numpy().tolist() == [[1, 2], [4, 0], [0, 0]]
    assert history["user_id"].numpy().tolist() == [b"ann", b"bob", b"cai"]


@pytest.mark.parametrize("method", ["time", "leave_last_out"])
def test_the_query_time_is_the_start_of_the_window_for_all_users(written, make_catalog, make_config, method):
    # The query time is the first midnight of the window, whose first target is on January 1st. The
    # second user's first target comes on that day or some days later, with the same history, so
    # with the same score. Without windows the query comes with the target, on another day of the
    # week.
    model = TwoTower(make_catalog([[101]] * 4), make_config())
    random = np.random.default_rng(3)  # weights whose ranking depends on the day
    for weight in model.trainable_variables:
        weight.assign(random.normal(size=weight.shape))
    context = [("i4", NOON - 9 * DAY, 0)]
    scores = set()
    for late in range(6):
        files = written([("i2", NOON, 1)], [*context, ("i3", NOON + late * DAY, 1)])
        config = dataclasses.replace(make_config(), examples=ExamplesConfig(split=SplitConfig(method=method)))
        scores.add(Validation(files, config).ndcg(model)[0])
    assert (len(scores) == 1) == (method == "time")
