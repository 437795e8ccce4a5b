"""Training data of the ranker: labels, repeats of earlier windows and cold items, worked out by
hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import Batch, earlier, history_only
from tfrec.examples.dataset import sequences
from tfrec.ranking.item_statistics import STATISTIC_NAMES
from tfrec.ranking.second_stage import Heads, SecondStage
from tfrec.ranking.training_data import (
    ExampleBuffer,
    Examples,
    collect_candidates,
    collect_cold_items,
    collect_repeats,
    collect_short_histories,
    mask_tower_scores,
)
from tfrec.schema import EVENT_KINDS

PROFILE = ("age", "city")
PURCHASE = 1 + EVENT_KINDS.index("purchase")


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


# An earlier window from START to END. eve buys soap before and in it; bob buys something new in it;
# cai buys nothing in it. The last events of eve and bob are targets of the validation window.
START, END = seconds("2024-01-21"), seconds("2024-02-05")
#                (item, day, is_target)
HISTORIES = {
    "eve": [("soap", "2024-01-10", 0), ("tea", "2024-01-15", 0), ("soap", "2024-01-25", 0), ("tea", "2024-02-10", 1)],
    "bob": [("mug", "2024-01-12", 0), ("lamp", "2024-01-14", 0), ("book", "2024-01-30", 0), ("mug", "2024-02-11", 1)],
    "cai": [("lamp", "2024-01-11", 0)],
}


@pytest.fixture(scope="module")
def batch() -> Batch:
    """HISTORIES as a batch of sequences."""
    rows = [[*events, *[("", "1970-01-01", 0)] * (4 - len(events))] for events in HISTORIES.values()]
    return {
        "user_id": tf.constant(list(HISTORIES)),
        "user_age": tf.constant([1, 2, 3], tf.int64),
        "user_city": tf.constant([3, 2, 1], tf.int64),
        "event_item_id": tf.constant([[item for item, _, _ in row] for row in rows]),
        "event_kind": tf.constant([[PURCHASE if item else 0 for item, _, _ in row] for row in rows], tf.int64),
        "event_timestamp": tf.constant([[seconds(day) for _, day, _ in row] for row in rows], tf.int64),
        "event_price": tf.zeros([3, 4]),
        "event_query": tf.fill([3, 4], ""),
        "event_is_target": tf.constant([[is_target for _, _, is_target in row] for row in rows], tf.int64),
    }


@pytest.fixture(scope="module")
def stage(two_stage_shop) -> SecondStage:
    """A second stage with room for the whole catalog among its candidates."""
    ranking = dataclasses.replace(two_stage_shop.config.ranking, n_towers=8)
    config = dataclasses.replace(two_stage_shop.config, ranking=ranking)
    return SecondStage(two_stage_shop.trained.model, two_stage_shop.trained.catalog, Heads((), ("purchase",)), config)


@pytest.fixture(scope="module")
def item_ids(two_stage_shop) -> np.ndarray:
    return two_stage_shop.trained.catalog.item_ids.astype(str)


def labels_by_user(examples: Examples, item_ids: np.ndarray) -> dict[int, dict[str, float]]:
    """User -> item -> label of the one head."""
    found: dict[int, dict[str, float]] = {}
    for user, row, label in zip(examples.user, examples.rows, examples.labels[:, 0], strict=True):
        found.setdefault(int(user), {})[item_ids[row]] = float(label)
    return found


def test_a_candidate_is_labeled_by_the_users_positives_in_the_window(stage, item_ids, transformed_shop):
    # Validation window: ann bought tea, bob a mug, eve soap, in the order of the file.
    (window,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    (examples,) = collect_candidates(stage, [window], None)
    nothing = dict.fromkeys(("pasta", "sauce", "tea", "mug", "lamp", "book", "soap", "fern"), 0.0)
    users = [user.decode() for user in window["user_id"].numpy()]
    expected = {"ann": {"tea": 1.0}, "bob": {"mug": 1.0}, "eve": {"soap": 1.0}}
    assert labels_by_user(examples, item_ids) == {users.index(user): nothing | own for user, own in expected.items()}
    assert examples.labels.shape == (24, 1)
    assert examples.features.shape == (24, len(stage.features.names))
    assert set(examples.profile) == {"user_age", "user_city"}


def test_users_are_numbered_over_all_batches(stage, transformed_shop):
    def collect(batch_size: int) -> Examples:
        buffer = ExampleBuffer()
        buffer.add(
            collect_candidates(stage, sequences(transformed_shop.files["validation"], PROFILE, batch_size), None)
        )
        return buffer.join()

    at_once, one_by_one = collect(16), collect(1)
    assert np.unique(one_by_one.user).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(one_by_one.user, at_once.user)
    np.testing.assert_array_equal(one_by_one.rows, at_once.rows)
    np.testing.assert_allclose(one_by_one.features, at_once.features, rtol=1e-5, atol=1e-6)
    for name in PROFILE:
        np.testing.assert_array_equal(one_by_one.profile[f"user_{name}"], at_once.profile[f"user_{name}"])


def test_joined_examples_are_in_order_and_the_buffer_is_empty_afterwards():
    def examples(*rows: int) -> Examples:
        n = len(rows)
        columns = np.arange(n), np.array(rows, np.float32)[:, np.newaxis], np.array(rows), np.zeros((n, 1), np.float32)
        return Examples(*columns, {"user_age": np.array(rows) * 10}, users=n + 1)  # the last user has no candidate

    buffer = ExampleBuffer()
    buffer.add([examples(1), examples(), examples(2, 3)])
    assert buffer.count == 3
    joined = buffer.join()
    assert joined.user.tolist() == [0, 3, 4]
    assert joined.users == 6
    assert joined.rows.tolist() == [1, 2, 3]
    assert joined.features.tolist() == [[1.0], [2.0], [3.0]]
    assert joined.profile["user_age"].tolist() == [10, 20, 30]
    assert buffer.count == 0


def test_further_examples_of_the_same_users_have_the_same_numbers(stage, batch):
    buffer = ExampleBuffer()
    buffer.add(collect_repeats(stage, [earlier(batch, START, END)], START))
    first_user = buffer.users
    buffer.add(collect_short_histories(stage, [batch], None, 1.0, seed=1))
    buffer.add(collect_candidates(stage, [batch], None), first_user)
    numbers = buffer.join().user
    assert first_user == 2
    assert set(numbers.tolist()) == {0, 1, 2, 3, 4}


def test_short_histories_hold_the_last_events_only(stage, batch, monkeypatch):
    monkeypatch.setattr("tfrec.ranking.training_data.SHORT_LENGTHS", (1,))
    (examples,) = collect_short_histories(stage, [batch], None, 1.0, seed=1)
    events = examples.features[:, stage.features.names.index("user_events")]
    np.testing.assert_allclose(np.expm1(events), 1.0, rtol=1e-5)
    (whole,) = collect_candidates(stage, [batch], None)
    assert examples.labels.sum() == whole.labels.sum() == 2  # the same targets: eve's tea, bob's mug


def test_a_history_may_be_cut_to_nothing(stage, batch, monkeypatch):
    monkeypatch.setattr("tfrec.ranking.training_data.SHORT_LENGTHS", (0,))
    (examples,) = collect_short_histories(stage, [batch], None, 1.0, seed=1)
    assert not examples.features[:, stage.features.names.index("user_events")].any()
    assert np.unique(examples.user).tolist() == [0, 1, 2]


def test_a_share_of_the_users_has_a_short_history(stage, batch):
    (examples,) = collect_short_histories(stage, [batch], None, 0.0, seed=1)
    assert not len(examples.rows)
    assert examples.users == 3


def test_an_earlier_window_holds_no_later_event(batch):
    window = earlier(batch, START, END)
    assert window["event_item_id"].numpy().tolist() == [
        [b"soap", b"tea", b"soap", b""],
        [b"mug", b"lamp", b"book", b""],
    ]  # cai has no event in the window
    assert window["event_is_target"].numpy().tolist() == [[0, 0, 1, 0], [0, 0, 1, 0]]
    assert history_only(window)["event_item_id"].numpy().tolist() == [
        [b"soap", b"tea"],
        [b"mug", b"lamp"],
    ]


def test_repeat_candidates_of_an_earlier_window_are_labeled_by_its_events(stage, batch, item_ids):
    (examples,) = collect_repeats(stage, [earlier(batch, START, END)], START)
    # eve bought soap again and tea not; bob neither of his two.
    assert labels_by_user(examples, item_ids) == {0: {"soap": 1.0, "tea": 0.0}, 1: {"mug": 0.0, "lamp": 0.0}}
    # The features know nothing of the window: eve's soap is one event, 11 days old at START.
    soap = examples.features[(examples.user == 0) & (item_ids[examples.rows] == "soap")][0]
    for name, value in (("times", 1), ("idle_days", 11), ("user_events", 2)):
        assert np.expm1(soap[stage.features.names.index(name)]) == pytest.approx(value, rel=1e-4), name
    assert examples.profile["user_city"].tolist() == [3, 3, 2, 2]


NAMES = ("times", "towers", "towers_below_best", "copurchase", "repeat")


def test_the_towers_scores_of_earlier_windows_are_means_of_the_validation_window():
    earlier = np.array([[1, 9, -1, 3, 1], [2, 8, -2, 4, 0]], np.float32)
    window = np.array([[3, 2, -6, 5, 1], [4, 7, 0, 6, 0], [5, 4, -3, 7, 2]], np.float32)
    stored = earlier.copy(), window.copy()
    masked = mask_tower_scores(NAMES, earlier, window)
    # The first and the last of the window are repeats: towers (2 + 4) / 2, below best (-6 - 3) / 2.
    assert masked.tolist() == [[1, 3, -4.5, 3, 1], [2, 7, 0, 4, 0]]
    np.testing.assert_array_equal(earlier, stored[0])
    np.testing.assert_array_equal(window, stored[1])


def test_the_towers_scores_of_earlier_repeats_stay_without_later_repeats():
    earlier, window = np.ones((2, 5), np.float32), np.zeros((3, 5), np.float32)
    np.testing.assert_array_equal(mask_tower_scores(NAMES, earlier, window), earlier)


def test_short_histories_of_an_earlier_window_have_no_candidate_by_the_towers(stage, batch, item_ids):
    window = earlier(batch, START, END)
    (examples,) = collect_short_histories(stage, [window], START, 1.0, seed=1, with_towers=False)
    names = stage.features.names
    assert not examples.features[:, names.index("towers")].any()
    assert examples.labels.sum() > 0
    (with_towers,) = collect_short_histories(stage, [window], START, 1.0, seed=1)
    assert len(examples.rows) < len(with_towers.rows)


@pytest.fixture
def one_cold_item(stage, item_ids) -> Iterator[None]:
    """Item statistics by which the mug alone is cold."""
    stored = [variable.numpy() for variable in stage.cold.variables]
    statistics = np.ones((len(item_ids), len(STATISTIC_NAMES)), np.float32)
    statistics[list(item_ids).index("mug")] = 0
    stage.cold.set_statistics(statistics)
    yield
    for variable, value in zip(stage.cold.variables, stored, strict=True):
        variable.assign(value)


@pytest.mark.usefixtures("one_cold_item")
def test_cold_items_are_positives_or_random_negatives_of_each_user(stage, transformed_shop):
    (window,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    features, labels = collect_cold_items(stage, [window], None, 0)
    # Of ann, bob and eve bob alone bought the mug, the only cold item; it is a negative of the
    # others, once.
    assert labels.tolist() == [False, True, False]
    assert features.shape == (3, len(stage.features.names))
