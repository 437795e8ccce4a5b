"""Candidates, evidence and ranker together, on the shop of tests/conftest.py: learnt, exported and asked again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import Config, EvaluationConfig, RankingConfig
from tfrec.dataset import sequences
from tfrec.errors import DataError
from tfrec.export import Recommender, export
from tfrec.features import Transformed
from tfrec.popularity import NAMES
from tfrec.probes import write_probes
from tfrec.rank_training import collect, fit_second_stage
from tfrec.records import read_histories
from tfrec.retrieval import Batch, TwoTower
from tfrec.second_stage import SecondStage
from tfrec.train import Trained
from tfrec.validation import history_only, moments_of
from tfrec.verify import verify_in_fresh_process

RANKING = RankingConfig(
    epochs=1, retrieved=2, copurchased=2, repeated=3, popular=2, fresh=2, copurchase_rank=2, hidden=(8,)
)
PROFILE = ("age", "city")


@pytest.fixture(scope="module")
def config(exported_shop) -> Config:
    return dataclasses.replace(exported_shop.config, ranking=RANKING)


@pytest.fixture(scope="module")
def trained(exported_shop) -> Trained:
    return Trained(exported_shop.model, exported_shop.catalog, 0.0)


@pytest.fixture(scope="module")
def stage(trained, config, transformed_shop) -> SecondStage:
    files = transformed_shop.files
    return fit_second_stage(trained, files["train"], files["validation"], config)


@pytest.fixture(scope="module")
def asked(transformed_shop) -> tuple[Batch, tf.Tensor]:
    """The histories of the test window's users, and when they are asked."""
    (batch,) = sequences(transformed_shop.files["test"], PROFILE, 16)
    return history_only(batch), moments_of(batch, None)


def test_chances_lie_between_0_and_1_and_all_other_items_below_them(stage, asked):
    history, moments = asked
    scores = stage.probabilities(history, moments, stage.queries(history, moments)).numpy()
    rows = stage.examine(history, moments, stage.queries(history, moments)).proposed.rows.numpy()
    for user, score in enumerate(scores):
        candidates = np.unique(rows[user][rows[user] > 0])
        others = np.setdiff1d(np.arange(1, len(score)), candidates)
        assert len(candidates) > 0
        assert ((score[candidates] >= 0) & (score[candidates] <= 1)).all()
        assert (score[others] < 0).all()
    assert np.isfinite(scores[:, 1:]).all()


def test_a_candidate_is_labelled_by_what_the_user_chose_in_the_window(stage, trained, transformed_shop):
    # Validation window: ann bought tea, bob a mug, eve soap; nobody else is in it.
    (batch,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    examples = collect(stage, [batch], None)
    ids = trained.catalog.item_ids
    chosen = sorted(ids[row].decode() for row, label in zip(examples.rows, examples.labels[:, 0], strict=True) if label)
    assert set(chosen) <= {"tea", "mug", "soap"}
    assert "soap" in chosen  # eve's habit is a candidate
    assert examples.labels.shape == (len(examples.rows), 1)
    assert set(examples.profile) == {"user_age", "user_city"}


def test_what_it_knows_in_the_end_holds_the_validation_window(stage, trained):
    # soap: dee and eve before the window, eve again in it; mug: bob's cart before, his purchase in it.
    shoppers = stage.evidence.statistics.numpy()[:, NAMES.index("item_shoppers")]
    repeats = stage.evidence.statistics.numpy()[:, NAMES.index("item_repeats")]
    row = {item_id.decode(): row for row, item_id in enumerate(trained.catalog.item_ids)}
    assert shoppers[row["tea"]] == 2  # ann and bob; fay came in the test window
    assert repeats[row["mug"]] == 1
    assert shoppers[row["fern"]] == 0


def test_complements_are_of_another_kind_than_the_item(stage, trained):
    row = {item_id.decode(): row for row, item_id in enumerate(trained.catalog.item_ids)}
    scores = stage.complements(tf.constant([row["pasta"], row["soap"], 0], tf.int64)).numpy()
    wanted = stage.sources.bought_with(tf.constant([row["pasta"]])).numpy()
    np.testing.assert_allclose(scores[0, row["sauce"]], wanted[0, row["sauce"]])
    assert np.isneginf(scores[0, row["pasta"]])
    # soap has no category: only what reads the same would replace it.
    assert np.isneginf(scores[1]).nonzero()[0].tolist() == [row["soap"]]
    assert np.isneginf(scores[2]).all()


def test_a_twin_in_the_same_category_or_with_the_same_text_is_no_complement(make_catalog, exported_shop):
    category = np.array([[0, 0], [1, 2], [1, 2], [1, 3], [4, 0]])  # 1 and 2 share a shelf, 1 and 4 a text
    catalog = make_catalog([[5], [6], [7], [5]], category=category, category_size=6)
    features = dataclasses.replace(exported_shop.config.features, category_levels=2)
    config = dataclasses.replace(exported_shop.config, features=features, ranking=RANKING)
    stage = SecondStage(TwoTower(catalog, config), catalog, ("purchase",), 1, config)
    assert np.isneginf(stage.complements(tf.constant([1], tf.int64))[0]).tolist() == [False, True, True, False, True]


def test_an_export_of_two_stages_answers_as_the_model_in_memory(
    stage, trained, config, transformed_shop, shop, asked, tmp_path
):
    recommender = Recommender(trained, Transformed(transformed_shop.folder), config, stage)
    export(recommender, str(tmp_path / "model"))
    write_probes(recommender, trained.catalog, config, str(tmp_path / "model"))
    assert verify_in_fresh_process(str(tmp_path / "model")) is None

    served = tf.saved_model.load(str(tmp_path / "model"))
    history, moments = asked
    expected = stage.probabilities(history, moments, stage.queries(history, moments)).numpy()
    raw = _raw_histories(shop, tmp_path)
    order = [list(raw["user_id"]).index(user) for user in history["user_id"].numpy()]
    inputs = {name: tf.constant(values[order]) for name, values in raw.items()}
    inputs |= {"timestamp": moments, "query": tf.fill([len(order)], "")}
    np.testing.assert_allclose(served.all_scores(**inputs)[:, 1:], expected[:, 1:], rtol=1e-3, atol=1e-5)
    found = served.signatures["complementary_items"](tf.constant(["pasta", "no such item"]))
    assert b"pasta" not in found["item_id"][0].numpy()
    assert set(found["item_id"][1].numpy()) == {b""}
    answer = served.signatures["recommend"](**inputs, exclude_seen=tf.fill([len(order)], False))
    np.testing.assert_allclose(answer["score"], -np.sort(-expected[:, 1:], axis=1), rtol=1e-3, atol=1e-5)


def _raw_histories(shop, folder) -> dict[str, np.ndarray]:
    """The same users' events as a client sends them."""
    from tfrec.config import ExamplesConfig
    from tfrec.examples import build_partition
    from tfrec.scorer import EVENTS

    (folder / "Split-test").mkdir()
    with tf.io.TFRecordWriter(str(folder / "Split-test" / "data")) as writer:
        for index in range(shop.manifest.partitions):
            for split, examples in build_partition(shop, index, ExamplesConfig(max_events=8, stride=8)):
                for example in examples if split == "test" else ():
                    writer.write(example)
    return read_histories(folder, "test", EVENTS, [f"user_{column}" for column in PROFILE])


def test_kinds_that_do_not_count_as_a_choice_have_a_head_of_their_own(trained, config, transformed_shop):
    files = transformed_shop.files["train"]  # holds views, clicks, carts, purchases and a rating
    settings = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("purchase",)))
    stage = fit_second_stage(trained, files, files, settings)
    assert stage.ranker.heads[-1] == "purchase"
    assert set(stage.ranker.heads) == {"view", "click", "cart", "rating", "purchase"}


def test_a_window_in_which_nobody_chose_anything_is_an_error_with_its_cure(trained, config, transformed_shop):
    settings = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("rating",)))
    files = transformed_shop.files
    with pytest.raises(DataError, match=r"nobody chose anything in the .* set ranking.epochs to 0"):
        fit_second_stage(trained, files["train"], files["validation"], settings)
