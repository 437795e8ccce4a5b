"""Who proposes what, on a catalogue of six items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.examples.batches import History
from tfrec.ranking.candidates import SOURCES, Sources
from tfrec.ranking.cold_candidates import Newcomers
from tfrec.ranking.features import Evidence
from tfrec.ranking.item_statistics import item_statistics

DAY = 86_400
NOW = 1000 * DAY
ROWS = 7  # of them row 0 is no item

# Four shoppers chose 1 with 2, as did the one who is asked: who has 1 wants 2. Item 5 is the one of this month.
EVENTS = [(user, row, 200) for user in range(4) for row in (1, 2)] + [(4, 5, 3), (5, 5, 3), (6, 3, 100)]


@pytest.fixture(scope="module")
def learnt(make_catalog):
    """RankingConfig -> sources that know EVENTS."""
    catalog = make_catalog([[number] for number in range(1, ROWS)])

    def make(config: RankingConfig) -> Sources:
        # The towers like item 6 best, then 5, 4, 3, 2, 1: the embedding is the item's number, the query 1.
        numbers = np.arange(ROWS, dtype=np.float32)
        numbers[0] = 99.0  # what is no item would be the best of all, were it one
        embeddings = tf.Variable(numbers[:, np.newaxis])
        users, rows, days = zip(*EVENTS, strict=True)
        events = pd.DataFrame({"user": users, "row": rows, "timestamp": NOW - np.array(days) * DAY})
        statistics = item_statistics(events, ROWS, NOW)
        newcomers = Newcomers(Evidence(catalog, statistics, "utc", SOURCES), ROWS)
        newcomers.learn(statistics)
        made = Sources(embeddings, newcomers, config, "utc")
        made.learn(events, statistics)
        return made

    return make


@pytest.fixture(scope="module")
def sources(learnt) -> Sources:
    config = RankingConfig(
        n_towers=1, n_copurchase=1, n_repeat=2, n_popular=1, n_cold=0, copurchase_rank=4, copurchase_regularization=0.1
    )
    return learnt(config)


def proposed(sources: Sources, rows: list[int], days_ago: list[int]) -> dict[int, dict[str, float]]:
    """Candidate -> its scores, of one shopper."""
    history = History(
        tf.constant([[*rows, 0]], tf.int64),
        tf.zeros([1, len(rows) + 1], tf.int64),
        tf.constant([[*(NOW - days * DAY for days in days_ago), 0]], tf.int64),
        tf.zeros([1, len(rows) + 1]),
        tf.constant([[True] * len(rows) + [False]]),
    )
    found = sources(history, tf.constant([NOW], tf.int64), tf.constant([[1.0]]))
    assert found.towers.shape == (1, ROWS)
    pairs = zip(found.rows[0].numpy(), found.scores[0].numpy(), strict=True)
    return {int(row): dict(zip(SOURCES, values.tolist(), strict=True)) for row, values in pairs if row > 0}


def test_each_source_proposes_its_best_and_all_scores_go_along(sources):
    found = proposed(sources, [1], [60])
    # Item 6 by the towers, 2 by co-purchase, 1 is the shopper's own, 5 is popular.
    assert sorted(found) == [1, 2, 5, 6]
    assert found[6]["towers"] == 6
    assert found[6]["towers_below_best"] == 0
    assert found[5]["towers_below_best"] == -1
    assert found[2]["copurchase_below_best"] == 0
    assert found[2]["copurchase"] > 0.5
    assert found[1]["habit"] == pytest.approx(np.log1p(0.5))
    assert found[6]["habit"] == 0


def test_who_has_one_item_wants_what_others_chose_with_it(sources):
    wanted = sources.bought_with(tf.constant([1, 0])).numpy()
    assert wanted[0, 2] > 0.5
    assert np.abs(wanted[0, 3:]).max() < 0.01  # nobody chose 3 to 6 with 1
    assert (wanted[1] == 0).all()  # row 0 is no item


def test_an_item_counts_once_for_what_goes_with_it_however_often_it_was_chosen(sources):
    once, often = proposed(sources, [1], [60]), proposed(sources, [1, 1, 1], [60, 60, 60])
    for row in set(once) & set(often):
        for name in ("copurchase", "copurchase_below_best", "towers"):
            assert often[row][name] == pytest.approx(once[row][name], abs=1e-6), (row, name)
    assert often[1]["habit"] == pytest.approx(np.log1p(3 * 0.5))


def test_each_shopper_of_a_batch_gets_their_own_candidates(sources):
    # The last of them has no history.
    histories = [([1, 5], [60, 3]), ([2], [9]), ([], [])]
    length = 3
    rows = [[*rows, *[0] * (length - len(rows))] for rows, _ in histories]
    times = [[*(NOW - day * DAY for day in days), *[0] * (length - len(days))] for _, days in histories]
    valid = [[place < len(rows) for place in range(length)] for rows, _ in histories]
    history = History(
        tf.constant(rows, tf.int64),
        tf.zeros([3, length], tf.int64),
        tf.constant(times, tf.int64),
        tf.zeros([3, length]),
        tf.constant(valid, tf.bool),
    )
    found = sources(history, tf.constant([NOW] * 3, tf.int64), tf.ones([3, 1]))
    for user, (rows, days) in enumerate(histories):
        pairs = zip(found.rows[user].numpy(), found.scores[user].numpy(), strict=True)
        together = {int(row): values for row, values in pairs if row > 0}
        alone = proposed(sources, rows, days)
        assert together.keys() == alone.keys()
        for row, values in together.items():
            np.testing.assert_allclose(values, list(alone[row].values()), rtol=1e-5, atol=1e-6)


def test_only_what_may_be_shown_is_proposed_and_the_scores_stay(sources):
    allowed = tf.constant([[False, True, False, True, True, False, False]])  # not 2, which 1 wants, nor 5 and 6
    history = History(
        tf.constant([[1]], tf.int64),
        tf.zeros([1, 1], tf.int64),
        tf.constant([[NOW - 60 * DAY]], tf.int64),
        tf.zeros([1, 1]),
        tf.constant([[True]]),
    )
    query_times, queries = tf.constant([NOW], tf.int64), tf.constant([[1.0]])
    found = sources(history, query_times, queries, allowed)
    # 1 is the shopper's own; of 3 and 4 the towers like 4 better.
    assert {1, 4} <= set(found.rows[0].numpy()) - {0} <= {1, 3, 4}
    scores = dict(zip(found.rows[0].numpy().tolist(), found.scores[0].numpy(), strict=True))
    assert scores[4][SOURCES.index("towers_below_best")] == -2  # below item 6, which may not be shown
    of_given = sources.scores(history, query_times, queries, tf.constant([[6, 4, 2]], tf.int64)).numpy()[0]
    np.testing.assert_array_equal(of_given[1], scores[4])
    assert of_given[0, SOURCES.index("towers_below_best")] == 0
    assert of_given[2, SOURCES.index("copurchase_below_best")] == 0


def test_what_is_popular_is_so_among_what_may_be_shown(learnt):
    made = learnt(RankingConfig(n_towers=0, n_copurchase=0, n_repeat=0, n_popular=1, n_cold=0, copurchase_rank=4))
    made._shoppers.assign([0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    nothing = no_history(3)
    allowed = tf.constant([[True] * 7, [True, True, True, False, True, True, True], [False] * 4 + [True] * 3])
    found = made(nothing, tf.constant([NOW] * 3, tf.int64), tf.ones([3, 1]), allowed)
    assert [sorted(set(rows) - {0}) for rows in found.rows.numpy().tolist()] == [[3], [2], []]


def test_what_the_shopper_has_is_proposed_by_habit_alone(sources):
    found = proposed(sources, [6, 5, 2], [1, 1, 400])
    # The towers' best new item is 4; of the own ones the two most frequent of late; 5 is one of them and popular.
    assert {4, 5, 6} <= set(found)
    assert 2 not in found


@pytest.mark.parametrize(("fresh", "expected"), [(0, [5]), (1, [5, 6]), (3, [4, 5, 6])])
def test_what_nobody_chose_yet_has_places_of_its_own(learnt, fresh, expected):
    # Items 4 and 6 were never chosen, nor was row 0, which is no item.
    made = learnt(RankingConfig(n_towers=0, n_copurchase=0, n_repeat=0, n_popular=1, n_cold=fresh, copurchase_rank=4))
    assert sorted(proposed(made, [1], [60])) == expected


@pytest.fixture
def contrary(learnt) -> Sources:
    """One new item is proposed, by newcomers that were taught to want what the towers like least."""
    made = learnt(RankingConfig(n_towers=0, n_copurchase=0, n_repeat=0, n_popular=0, n_cold=1, copurchase_rank=4))
    evidence = made._newcomers._evidence
    features = np.zeros((1000, len(evidence.names)), np.float32)
    features[:, evidence.names.index("towers")] = np.linspace(-1, 1, 1000)
    assert made._newcomers.teach(features, np.arange(1000) < 300)
    return made


def test_what_the_newcomers_were_taught_decides_which_new_item_is_proposed(contrary):
    # Items 4 and 6 are new, and the towers like 6 better.
    assert sorted(proposed(contrary, [1], [60])) == [4]


def test_a_new_item_that_may_not_be_shown_leaves_its_place_to_the_next(contrary):
    history = no_history(1)
    allowed = tf.constant([[True] * 4 + [False] + [True] * 2])
    found = contrary(history, tf.constant([NOW], tf.int64), tf.constant([[1.0]]), allowed)
    assert set(found.rows.numpy()[0].tolist()) - {0} == {6}


def test_what_was_taught_is_saved_and_loaded_with_the_model(contrary, tmp_path):
    class Asked(tf.Module):
        def __init__(self) -> None:
            self.sources = contrary

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)])
        def rows(self, row: tf.Tensor, query_times: tf.Tensor) -> tf.Tensor:
            history = History(row, tf.zeros_like(row), tf.zeros_like(row), tf.zeros(tf.shape(row)), row > 0)
            return self.sources(history, query_times, tf.ones([tf.shape(row)[0], 1])).rows

    tf.saved_model.save(Asked(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.rows(tf.constant([[1]], tf.int64), tf.constant([NOW], tf.int64))
    assert found.numpy().tolist() == [[4]]


def test_a_shopper_without_history_gets_the_towers_and_what_is_popular(sources):
    found = proposed(sources, [], [])
    # For want of a history co-purchase likes all items alike, and proposes one of them, not all.
    assert {5, 6} <= set(found)
    assert len(found) <= 3
    assert all(scores["habit"] == 0 for scores in found.values())


def test_a_shopper_who_has_everything_is_compared_with_the_best_of_all(sources):
    found = proposed(sources, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert found[5]["towers_below_best"] == -1  # below item 6
    assert all(abs(score) < 100 for scores in found.values() for score in scores.values())


def test_items_that_the_catalogue_lacks_are_nobodys_candidate(sources):
    assert 0 not in proposed(sources, [0, 0], [1, 2])


def no_history(users: int) -> History:
    """Users without any event."""
    zeros = tf.zeros([users, 1], tf.int64)
    return History(zeros, zeros, zeros, tf.zeros([users, 1]), tf.zeros([users, 1], tf.bool))
