"""Candidates of each source, on a catalog of six items."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.config import RankingConfig
from tfrec.examples.batches import History
from tfrec.ranking.candidates import SCORE_NAMES, CandidateGenerator, repeat_weights
from tfrec.ranking.cold_candidates import ColdCandidates
from tfrec.ranking.features import CandidateFeatures
from tfrec.ranking.item_statistics import STATISTIC_NAMES, item_statistics

DAY = 86_400
NOW = 1000 * DAY
ROWS = 7  # row 0 is no item

# Four users bought 1 with 2, so a user of 1 gets 2. Item 5 is the one of this month.
EVENTS = [(user, row, 200) for user in range(4) for row in (1, 2)] + [(4, 5, 3), (5, 5, 3), (6, 3, 100)]


@pytest.fixture(scope="module")
def make_generator(make_catalog):
    """RankingConfig -> candidate generator fitted on EVENTS or others."""
    catalog = make_catalog([[number] for number in range(1, ROWS)])

    def make(
        config: RankingConfig, events: Sequence[tuple[int, int, int]] = EVENTS, dislikes_towers: bool = False
    ) -> CandidateGenerator:
        # The towers score item 6 highest, then 5, 4, 3, 2, 1: the embedding is the item's number,
        # the query 1.
        numbers = np.arange(ROWS, dtype=np.float32)
        numbers[0] = 99.0  # row 0 would have the highest score
        embeddings = tf.Variable(numbers[:, np.newaxis])
        users, rows, days = zip(*events, strict=True)
        table = pd.DataFrame({"user": users, "row": rows, "timestamp": NOW - np.array(days) * DAY})
        statistics = item_statistics(table, ROWS, NOW)
        features = CandidateFeatures(catalog, statistics, "utc", SCORE_NAMES)
        cold = ColdCandidates(features, ROWS)
        cold.set_statistics(statistics)
        if dislikes_towers:
            values = np.zeros((1000, len(features.names)), np.float32)
            values[:, features.names.index("towers")] = np.linspace(-1, 1, 1000)
            assert cold.fit(values, np.arange(1000) < 300)
        made = CandidateGenerator(embeddings, cold, config, "utc")
        made.fit(table, statistics)
        return made

    return make


@pytest.fixture(scope="module")
def generator(make_generator) -> CandidateGenerator:
    config = RankingConfig(
        n_towers=1, n_copurchase=1, n_repeat=2, n_popular=1, n_cold=0, copurchase_rank=4, copurchase_regularization=0.1
    )
    return make_generator(config)


def candidates_of(generator: CandidateGenerator, rows: list[int], days_ago: list[int]) -> dict[int, dict[str, float]]:
    """Candidate -> its scores, for one user."""
    history = History(
        tf.constant([[*rows, 0]], tf.int64),
        tf.zeros([1, len(rows) + 1], tf.int64),
        tf.constant([[*(NOW - days * DAY for days in days_ago), 0]], tf.int64),
        tf.zeros([1, len(rows) + 1]),
        tf.constant([[True] * len(rows) + [False]]),
    )
    candidates = generator.generate(history, tf.constant([NOW], tf.int64), tf.constant([[1.0]]))
    assert candidates.towers.shape == (1, ROWS)
    pairs = zip(candidates.rows[0].numpy(), candidates.scores[0].numpy(), strict=True)
    return {int(row): dict(zip(SCORE_NAMES, values.tolist(), strict=True)) for row, values in pairs if row > 0}


def test_each_source_proposes_its_best_and_each_candidate_has_all_scores(generator):
    candidates = candidates_of(generator, [1], [60])
    # Item 6 by the towers, 2 by co-purchase, 1 is a repeat, 5 is popular.
    assert sorted(candidates) == [1, 2, 5, 6]
    assert candidates[6]["towers"] == 6
    assert candidates[6]["towers_below_best"] == 0
    assert candidates[5]["towers_below_best"] == -1
    assert candidates[2]["copurchase_below_best"] == 0
    assert candidates[2]["copurchase"] > 0.5
    assert candidates[1]["repeat"] == pytest.approx(np.log1p(0.5))
    assert candidates[6]["repeat"] == 0


def test_copurchase_scores_are_high_for_items_bought_together(generator):
    scores = generator.score_copurchases(tf.constant([1, 0])).numpy()
    assert scores[0, 2] > 0.5
    assert np.abs(scores[0, 3:]).max() < 0.01  # nobody bought 3 to 6 with 1
    assert (scores[1] == 0).all()  # row 0 is no item


def test_copurchase_counts_a_repeated_item_once(generator):
    once, often = candidates_of(generator, [1], [60]), candidates_of(generator, [1, 1, 1], [60, 60, 60])
    for row in set(once) & set(often):
        for name in ("copurchase", "copurchase_below_best", "towers"):
            assert often[row][name] == pytest.approx(once[row][name], abs=1e-6), (row, name)
    assert often[1]["repeat"] == pytest.approx(np.log1p(3 * 0.5))


def test_each_user_of_a_batch_gets_their_own_candidates(generator):
    # The last of them has no history.
    histories = [([1, 5], [60, 3]), ([2], [9]), ([], [])]
    length = 3
    rows = [[*rows, *[0] * (length - len(rows))] for rows, _ in histories]
    times = [[*(NOW - day * DAY for day in days), *[0] * (length - len(days))] for _, days in histories]
    valid = [[index < len(rows) for index in range(length)] for rows, _ in histories]
    history = History(
        tf.constant(rows, tf.int64),
        tf.zeros([3, length], tf.int64),
        tf.constant(times, tf.int64),
        tf.zeros([3, length]),
        tf.constant(valid, tf.bool),
    )
    candidates = generator.generate(history, tf.constant([NOW] * 3, tf.int64), tf.ones([3, 1]))
    for user, (rows, days) in enumerate(histories):
        pairs = zip(candidates.rows[user].numpy(), candidates.scores[user].numpy(), strict=True)
        together = {int(row): values for row, values in pairs if row > 0}
        alone = candidates_of(generator, rows, days)
        assert together.keys() == alone.keys()
        for row, values in together.items():
            np.testing.assert_allclose(values, list(alone[row].values()), rtol=1e-5, atol=1e-6)


def test_only_allowed_items_are_candidates_and_their_scores_stay(generator):
    allowed = tf.constant([[False, True, False, True, True, False, False]])  # not 2, bought with 1, nor 5 and 6
    history = History(
        tf.constant([[1]], tf.int64),
        tf.zeros([1, 1], tf.int64),
        tf.constant([[NOW - 60 * DAY]], tf.int64),
        tf.zeros([1, 1]),
        tf.constant([[True]]),
    )
    query_times, queries = tf.constant([NOW], tf.int64), tf.constant([[1.0]])
    candidates = generator.generate(history, query_times, queries, allowed)
    # 1 is a repeat; of 3 and 4 the towers prefer 4.
    assert {1, 4} <= set(candidates.rows[0].numpy()) - {0} <= {1, 3, 4}
    scores = dict(zip(candidates.rows[0].numpy().tolist(), candidates.scores[0].numpy(), strict=True))
    assert scores[4][SCORE_NAMES.index("towers_below_best")] == -2  # below item 6, which is not allowed
    of_rows = generator.score(history, query_times, queries, tf.constant([[6, 4, 2]], tf.int64)).numpy()[0]
    np.testing.assert_array_equal(of_rows[1], scores[4])
    assert of_rows[0, SCORE_NAMES.index("towers_below_best")] == 0
    assert of_rows[2, SCORE_NAMES.index("copurchase_below_best")] == 0


def test_the_popular_candidates_are_the_most_popular_allowed_items(make_generator):
    # Item 1 has one user of this month, 2 has two, 3 has three.
    made = make_generator(only(n_popular=1), events=[(user, row, 3) for row in (1, 2, 3) for user in range(row)])
    nothing = no_history(3)
    allowed = tf.constant([[True] * 7, [True, True, True, False, True, True, True], [False] * 4 + [True] * 3])
    candidates = made.generate(nothing, tf.constant([NOW] * 3, tf.int64), tf.ones([3, 1]), allowed)
    assert [sorted(set(rows) - {0}) for rows in candidates.rows.numpy().tolist()] == [[3], [2], []]


@pytest.mark.parametrize(
    ("source", "expected"),
    [("n_towers", [1, 2]), ("n_copurchase", [1, 2]), ("n_repeat", [1]), ("n_popular", []), ("n_cold", [])],
)
def test_known_items_fill_up_the_new_items_of_the_towers_and_of_copurchase_alone(make_generator, source, expected):
    # Of the allowed items 1 and 2 the history holds 1. The towers and co-purchase propose 2, their
    # one new item, and the first two other rows, 0 and 1. Only 1 is a repeat. Item 5, the only
    # popular one, and 4 and 6, the cold ones, are not allowed.
    allowed = tf.constant([[False, True, True, False, False, False, False]])
    history = History(
        tf.constant([[1]], tf.int64),
        tf.zeros([1, 1], tf.int64),
        tf.constant([[NOW - 60 * DAY]], tf.int64),
        tf.zeros([1, 1]),
        tf.constant([[True]]),
    )
    candidates = make_generator(only(**{source: 3})).generate(
        history, tf.constant([NOW], tf.int64), tf.constant([[1.0]]), allowed
    )
    assert candidates.rows.numpy()[0].tolist() == expected


def test_items_of_the_history_are_proposed_as_repeats_where_enough_items_are_new(generator):
    candidates = candidates_of(generator, [6, 5, 2], [1, 1, 400])
    # The towers' best new item is 4; 6 and 5 are the two most frequent recent items, and 5 is
    # popular.
    assert {4, 5, 6} <= set(candidates)
    assert 2 not in candidates


@pytest.mark.parametrize(("n_cold", "expected"), [(0, [5]), (1, [5, 6]), (3, [4, 5, 6])])
def test_cold_items_are_candidates_by_a_source_of_their_own(make_generator, n_cold, expected):
    # Items 4 and 6 are cold; row 0 is no item.
    made = make_generator(only(n_popular=1, n_cold=n_cold))
    assert sorted(candidates_of(made, [1], [60])) == expected


@pytest.fixture
def contrary(make_generator) -> CandidateGenerator:
    """A generator of one cold candidate, fitted to prefer a low score of the towers."""
    return make_generator(only(n_cold=1), dislikes_towers=True)


def test_the_fit_of_the_cold_candidates_decides_which_cold_item_is_one(contrary):
    # Items 4 and 6 are cold, and the towers prefer 6.
    assert sorted(candidates_of(contrary, [1], [60])) == [4]


def test_the_next_cold_item_replaces_one_that_is_not_allowed(contrary):
    history = no_history(1)
    allowed = tf.constant([[True] * 4 + [False] + [True] * 2])
    candidates = contrary.generate(history, tf.constant([NOW], tf.int64), tf.constant([[1.0]]), allowed)
    assert set(candidates.rows.numpy()[0].tolist()) - {0} == {6}


@pytest.mark.slow
def test_a_saved_model_holds_the_fit_of_the_cold_candidates(contrary, tmp_path):
    class Served(tf.Module):
        def __init__(self) -> None:
            self.generator = contrary

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)])
        def rows(self, row: tf.Tensor, query_times: tf.Tensor) -> tf.Tensor:
            history = History(row, tf.zeros_like(row), tf.zeros_like(row), tf.zeros(tf.shape(row)), row > 0)
            return self.generator.generate(history, query_times, tf.ones([tf.shape(row)[0], 1])).rows

    tf.saved_model.save(Served(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    candidates = loaded.rows(tf.constant([[1]], tf.int64), tf.constant([NOW], tf.int64))
    assert candidates.numpy().tolist() == [[4]]


def test_a_user_without_a_history_gets_the_towers_and_popular_items(generator):
    candidates = candidates_of(generator, [], [])
    # Without a history all co-purchase scores are equal: one item is proposed, not all.
    assert {5, 6} <= set(candidates)
    assert len(candidates) <= 3
    assert all(scores["repeat"] == 0 for scores in candidates.values())


def test_for_a_user_of_all_items_scores_are_compared_with_the_best_of_all(generator):
    candidates = candidates_of(generator, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert candidates[5]["towers_below_best"] == -1  # below item 6
    assert all(abs(score) < 100 for scores in candidates.values() for score in scores.values())


def test_unknown_items_of_a_history_are_no_candidates(generator):
    assert 0 not in candidates_of(generator, [0, 0], [1, 2])


def only(**counts: int) -> RankingConfig:
    """No candidates but of the sources with these counts."""
    none = dict.fromkeys(("n_towers", "n_copurchase", "n_repeat", "n_popular", "n_cold"), 0)
    return dataclasses.replace(RankingConfig(copurchase_rank=4), **none | counts)


def no_history(users: int) -> History:
    """Users without any event."""
    zeros = tf.zeros([users, 1], tf.int64)
    return History(zeros, zeros, zeros, tf.zeros([users, 1]), tf.zeros([users, 1], tf.bool))


# Repeats by kind. Of three pairs of user and item with a view one ends in a purchase, of two with a
# cart event one; the second purchase of user 1 follows the first.
VIEW, CART, PURCHASE = 1, 3, 4
LOG = pd.DataFrame(
    [
        *[(1, 1, VIEW, 1), (1, 1, CART, 2), (1, 1, PURCHASE, 3), (1, 1, PURCHASE, 4)],
        *[(1, 2, VIEW, 1), (2, 1, VIEW, 1), (2, 1, CART, 2), (2, 3, PURCHASE, 2)],
    ],
    columns=["user", "row", "kind", "timestamp"],
)


def test_a_kind_weighs_the_share_of_its_items_that_are_bought_later():
    weights = repeat_weights(LOG, [PURCHASE])
    # View 1/3, cart 1/2, purchase 1/2 (of two pairs one is bought again), as shares of the largest.
    np.testing.assert_allclose(weights[[VIEW, CART, PURCHASE]], [2 / 3, 1, 1])
    assert weights[[0, 2, 5]].tolist() == [0, 0, 0]
    # Where nothing is bought: 1, for dislikes and returns, the last two kinds, 0.
    assert repeat_weights(LOG[LOG.kind == VIEW], [PURCHASE]).tolist() == [1.0] * 9 + [0.0] * 2


def test_repeats_are_what_was_put_into_the_cart_before_what_was_viewed_or_bought(make_catalog):
    statistics = np.zeros((ROWS, len(STATISTIC_NAMES)), np.float32)
    catalog = make_catalog([[number] for number in range(1, ROWS)])
    cold = ColdCandidates(CandidateFeatures(catalog, statistics, "utc", SCORE_NAMES), ROWS)
    config = RankingConfig(n_repeat=4, copurchase_rank=4)
    generator = CandidateGenerator(tf.Variable(tf.zeros([ROWS, 2])), cold, config, "utc", ("purchase",))
    # Purchases are never repeated: carts convert, views do so half as often.
    log = [(user, user, kind, 1) for user in range(1, 5) for kind in ((VIEW, CART) if user < 3 else (VIEW,))]
    log += [(user, user, PURCHASE, 2) for user in range(1, 3)]
    generator.fit(pd.DataFrame(log, columns=LOG.columns), statistics)
    # Item 1 is put into the cart and bought, 2 viewed, 3 put into the cart, 4 bought.
    row, kind = [1, 1, 2, 3, 4], [CART, PURCHASE, VIEW, CART, PURCHASE]
    history = History(
        tf.constant([row], tf.int64),
        tf.constant([kind], tf.int64),
        tf.constant([[NOW - days * DAY for days in (2, 1, 1, 1, 1)]], tf.int64),
        tf.zeros([1, 5]),
        tf.ones([1, 5], tf.bool),
    )
    assert generator.find_repeats(history, tf.constant([NOW], tf.int64)).numpy().tolist() == [[3, 2, 1, 4]]


def test_a_disliked_item_is_neither_new_nor_a_repeat_before_others(generator):
    RETURN = 10
    history = History(
        tf.constant([[6, 3]], tf.int64),
        tf.constant([[RETURN, PURCHASE]], tf.int64),
        tf.constant([[NOW - DAY, NOW - 90 * DAY]], tf.int64),
        tf.zeros([1, 2]),
        tf.ones([1, 2], tf.bool),
    )
    query_times = tf.constant([NOW], tf.int64)
    assert generator.find_repeats(history, query_times).numpy().tolist() == [[3, 6]]
    rows = generator.generate(history, query_times, tf.constant([[1.0]])).rows.numpy()[0]
    assert 5 in rows  # the towers' best new item: item 6 would score higher
