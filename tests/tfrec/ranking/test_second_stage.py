"""The second stage fitted on the shop of tests/conftest.py: candidates, scores, complements."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import Batch, history_only, query_times_of
from tfrec.examples.dataset import sequences
from tfrec.ranking.second_stage import Heads, SecondStage
from tfrec.retrieval.two_tower import TwoTower

Requests = tuple[Batch, tf.Tensor, tf.Tensor]


@pytest.fixture(scope="module")
def stage(two_stage_shop) -> SecondStage:
    return two_stage_shop.stage


@pytest.fixture(scope="module")
def requests(stage, transformed_shop) -> Requests:
    """Histories, query times and query embeddings of the test window's users."""
    (batch,) = sequences(transformed_shop.files["test"], ("age", "city"), 16)
    history, query_times = history_only(batch), query_times_of(batch, None)
    return history, query_times, stage.embed_queries(history, query_times)


def rows_of(two_stage_shop) -> dict[str, int]:
    return {item_id.decode(): row for row, item_id in enumerate(two_stage_shop.trained.catalog.item_ids)}


def every_row(stage: SecondStage, users: int) -> tf.Tensor:
    """[users, items] int64: all rows but 0 for each user."""
    return tf.repeat(tf.range(1, stage.catalog_size, dtype=tf.int64)[tf.newaxis], users, axis=0)


def test_users_without_a_history_get_the_same_scores_alone_as_beside_others(stage, requests):
    history, query_times, _ = requests
    blank = {name: tf.zeros_like(value) if name.startswith("event_") else value for name, value in history.items()}
    shortest = {name: value[:, :0] if name.startswith("event_") else value for name, value in blank.items()}
    wide, narrow = (
        stage.score_catalog(batch, query_times, stage.embed_queries(batch, query_times)).numpy()
        for batch in (blank, shortest)
    )
    assert np.isfinite(narrow).all()
    np.testing.assert_allclose(narrow, wide, atol=1e-5)


def test_scores_of_candidates_are_probabilities_and_those_of_other_items_are_below_0(stage, requests):
    scores = stage.score_catalog(*requests).numpy()
    rows = stage.generate_candidates(*requests)[0].rows.numpy()
    for user, score in enumerate(scores):
        candidates = np.unique(rows[user][rows[user] > 0])
        others = np.setdiff1d(np.arange(1, len(score)), candidates)
        assert len(candidates) > 0
        assert ((score[candidates] >= 0) & (score[candidates] <= 1)).all()
        assert (score[others] < 0).all()
    assert (scores[:, 1:] < 0).any()
    assert np.isfinite(scores[:, 1:]).all()


def test_an_item_that_is_no_candidate_gets_the_probability_that_it_would_have_as_one(stage, requests):
    history, query_times, queries = requests
    scores = stage.score_catalog(*requests).numpy()[:, 1:]
    rows = every_row(stage, len(query_times))
    probabilities = stage.positive_probability(stage.predict(history, query_times, queries, rows)).numpy()
    is_candidate = scores >= 0
    assert is_candidate.any()
    assert not is_candidate.all()
    np.testing.assert_allclose(probabilities[is_candidate], scores[is_candidate], rtol=1e-5)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    # The features of a candidate are those of the same item outside the candidates.
    candidates, features = stage.generate_candidates(*requests)
    of_every_row = stage.compute_features(history, query_times, queries, rows).numpy()
    for user, (row, values) in enumerate(zip(candidates.rows.numpy(), features.numpy(), strict=True)):
        np.testing.assert_allclose(of_every_row[user, row[row > 0] - 1], values[row > 0], rtol=1e-5, atol=1e-6)


def test_only_allowed_items_become_candidates(stage, requests, two_stage_shop):
    history, query_times, queries = requests
    unlimited = stage.generate_candidates(*requests)[0].rows.numpy()
    # Of soap, book and fern alone all are candidates: two by the towers, two by co-purchase, fern
    # as a cold item.
    row = rows_of(two_stage_shop)
    rows = sorted(row[name] for name in ("soap", "book", "fern"))
    allowed = np.zeros((len(query_times), stage.catalog_size), bool)
    allowed[:, rows] = True
    limited = stage.generate_candidates(*requests, tf.constant(allowed))[0].rows.numpy()
    assert any(set(rows) - set(user) for user in unlimited)
    assert [set(user) - {0} for user in limited] == [set(rows)] * len(query_times)
    scores = stage.score_catalog(*requests, tf.constant(allowed)).numpy()
    by_head = stage.predict(history, query_times, queries, tf.constant([rows] * len(query_times), tf.int64))
    np.testing.assert_allclose(scores[:, rows], stage.positive_probability(by_head), rtol=1e-5)
    nothing = stage.generate_candidates(*requests, tf.zeros_like(allowed))[0].rows
    assert nothing.shape == (len(query_times), 0)


def test_complements_are_scored_by_copurchase_and_substitutes_are_left_out(stage, two_stage_shop):
    row = rows_of(two_stage_shop)
    scores = stage.score_complements(tf.constant([row["pasta"], row["soap"], 0], tf.int64)).numpy()
    copurchases = stage.generator.score_copurchases(tf.constant([row["pasta"]])).numpy()
    assert copurchases[0, row["sauce"]] > 0  # ann bought both in one basket
    np.testing.assert_allclose(scores[0, row["sauce"]], copurchases[0, row["sauce"]])
    assert np.isneginf(scores[0, row["pasta"]])
    # soap has no category: only an item with the same text is a substitute.
    assert np.isneginf(scores[1]).nonzero()[0].tolist() == [row["soap"]]
    assert np.isneginf(scores[2]).all()


def test_an_item_of_the_same_category_or_with_the_same_text_is_no_complement(make_catalog, two_stage_shop):
    category = np.array([[0, 0], [1, 2], [1, 2], [1, 3], [4, 0]])  # items 1 and 2 share a category, 1 and 4 a text
    catalog = make_catalog([[5], [6], [7], [5]], category=category, category_size=6)
    config = two_stage_shop.config
    config = dataclasses.replace(config, features=dataclasses.replace(config.features, category_levels=2))
    stage = SecondStage(TwoTower(catalog, config), catalog, Heads((), ("purchase",)), config)
    scores = stage.score_complements(tf.constant([1], tf.int64))[0]
    assert np.isneginf(scores).tolist() == [False, True, True, False, True]


def test_the_known_events_of_a_fitted_stage_include_the_validation_window(stage, two_stage_shop):
    # tea: bob clicked before the window, ann bought in it; mug: bob's cart before, his purchase in
    # it.
    names, statistics = stage.features.names, stage.features.statistics.numpy()
    first = names.index("item_users")
    users, repeats = (statistics[:, names.index(name) - first] for name in ("item_users", "item_repeats"))
    row = rows_of(two_stage_shop)
    assert users[row["tea"]] == 2  # fay came in the test window
    assert repeats[row["mug"]] == 1
    assert users[row["fern"]] == 0
