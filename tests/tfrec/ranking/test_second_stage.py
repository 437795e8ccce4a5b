"""Candidates, evidence and ranker together, on the shop of tests/conftest.py: learnt, exported and asked again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.config import Config, EvaluationConfig, ExamplesConfig, RankingConfig
from tfrec.errors import ConfigError, DataError, ModelError
from tfrec.evaluation.analysis.candidate_log import NEGATIVES_PER_KEPT, ranked_candidates
from tfrec.evaluation.exported_model import EVENTS
from tfrec.examples.batches import Batch, earlier, history_only, query_times_of
from tfrec.examples.build import build_partition
from tfrec.examples.dataset import sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.examples.read import read_histories
from tfrec.export.golden_requests import write_probes
from tfrec.export.recommender import Recommender, export
from tfrec.export.verify import verify_in_fresh_process
from tfrec.ranking.fit import _calibrate, _held_out, _hide_towers, fit_second_stage
from tfrec.ranking.item_statistics import NAMES
from tfrec.ranking.second_stage import SecondStage
from tfrec.ranking.training_data import Examples, _joined, collect, collect_repeats, join, new_items
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.train import Trained

RANKING = RankingConfig(
    epochs=1, n_towers=2, n_copurchase=2, n_repeat=3, n_popular=2, n_cold=2, copurchase_rank=2, hidden=(8,)
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
    return history_only(batch), query_times_of(batch, None)


def test_the_rankers_epochs_join_the_learning_curve(trained, stage):
    assert [(epoch.phase, epoch.number) for epoch in trained.curve.epochs] == [("second stage", 1)]
    assert trained.curve.epochs[0].loss > 0
    assert np.isnan(trained.curve.epochs[0].ndcg)


def test_shoppers_without_any_history_get_the_same_chances_alone_as_beside_others(stage, asked):
    history, query_times = asked
    blank = {name: tf.zeros_like(value) if name.startswith("event_") else value for name, value in history.items()}
    shortest = {name: value[:, :0] if name.startswith("event_") else value for name, value in blank.items()}
    wide, narrow = (
        stage.catalog_scores(batch, query_times, stage.queries(batch, query_times)).numpy()
        for batch in (blank, shortest)
    )
    assert np.isfinite(narrow).all()
    np.testing.assert_allclose(narrow, wide, atol=1e-5)


def test_chances_lie_between_0_and_1_and_all_other_items_below_them(stage, asked):
    history, query_times = asked
    scores = stage.catalog_scores(history, query_times, stage.queries(history, query_times)).numpy()
    rows = stage.examine(history, query_times, stage.queries(history, query_times)).proposed.rows.numpy()
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
    (examples,) = collect(stage, [batch], None)
    ids = trained.catalog.item_ids
    chosen = sorted(ids[row].decode() for row, label in zip(examples.rows, examples.labels[:, 0], strict=True) if label)
    assert set(chosen) <= {"tea", "mug", "soap"}
    assert "soap" in chosen  # eve's habit is a candidate
    assert examples.labels.shape == (len(examples.rows), 1)
    assert set(examples.profile) == {"user_age", "user_city"}


def test_candidates_are_told_by_user_over_all_batches(stage, transformed_shop):
    files = transformed_shop.files["validation"]
    at_once, one_by_one = (join(collect(stage, sequences(files, PROFILE, size), None)) for size in (16, 1))
    assert np.unique(one_by_one.user).tolist() == [0, 1, 2]  # ann, bob and eve, in the order of the file
    np.testing.assert_array_equal(one_by_one.user, at_once.user)
    np.testing.assert_array_equal(one_by_one.rows, at_once.rows)
    np.testing.assert_allclose(one_by_one.features, at_once.features, rtol=1e-5, atol=1e-6)
    for name in PROFILE:
        np.testing.assert_array_equal(one_by_one.profile[f"user_{name}"], at_once.profile[f"user_{name}"])


def test_pieces_are_joined_in_order_and_taken_away():
    pieces = [np.array([[1, 2]]), np.empty((0, 2), int), np.array([[3, 4], [5, 6]])]
    assert _joined(pieces).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert pieces == []


def planted(stage, labels: np.ndarray) -> Examples:
    """Candidates of ten users with random features and these labels [n] of the one head."""
    random, n = np.random.default_rng(3), len(labels)
    features = random.normal(size=(n, len(stage.evidence.names))).astype(np.float32)
    profile = {f"user_{name}": np.zeros(n, np.int64) for name in PROFILE}
    rows = random.integers(1, stage.catalog_size, n)
    return Examples(np.arange(n) * 10 // n, features, rows, labels[:, None].astype(np.float32), profile)


def test_the_last_users_are_held_out_where_they_chose_enough(stage):
    labels = np.tile([1, 0, 0, 0], 500)  # 200 candidates a user, 50 of them chosen
    assert _held_out(planted(stage, labels), 0, 0.2) == 1600
    assert _held_out(planted(stage, labels), 0, 0.1) == 1800
    assert _held_out(planted(stage, labels), 0, 0.0) == 2000
    labels[1800:] = 0
    labels[1800:1829] = 1  # one choice too few
    assert _held_out(planted(stage, labels), 0, 0.1) == 2000


def test_those_of_earlier_windows_are_never_held_out(stage):
    before, after = planted(stage, np.tile([1, 0], 500)), planted(stage, np.tile([1, 0, 0, 0], 500))
    both = join([before, after])
    assert both.user.max() == 19
    assert _held_out(both, 1000, 0.1) == 1000 + 1800
    assert _held_out(both, 1000, 0.9) == 1000 + 200


def test_the_towers_scores_of_earlier_windows_tell_nothing(stage):
    examples = planted(stage, np.zeros(400))
    names = stage.evidence.names
    kept, towers = examples.features.copy(), [names.index("towers"), names.index("towers_below_best")]
    _hide_towers(stage, examples, 100)
    is_repeat = kept[100:, names.index("habit")] > 0
    means = kept[100:, towers][is_repeat].mean(axis=0)
    np.testing.assert_allclose(examples.features[:100, towers], np.tile(means, (100, 1)), rtol=1e-5)
    others = np.setdiff1d(np.arange(len(names)), towers)
    np.testing.assert_array_equal(examples.features[:, others], kept[:, others])
    np.testing.assert_array_equal(examples.features[100:], kept[100:])


def day_of(batch: Batch, day: int) -> int:
    """Second that many days before the earliest target of the batch."""
    times = batch["event_timestamp"].numpy()[batch["event_is_target"].numpy() > 0]
    return int(times.min()) - day * 86_400


def test_an_earlier_window_knows_nothing_of_what_came_after_it(transformed_shop):
    (batch,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    start, end = day_of(batch, 20), day_of(batch, 5)
    window = earlier(batch, start, end)
    items, times, was_target = (batch[f"event_{name}"].numpy() for name in ("item_id", "timestamp", "is_target"))
    is_inside = (was_target == 0) & (items != b"") & (times >= start) & (times < end)
    assert is_inside.any()
    np.testing.assert_array_equal(window["event_is_target"].numpy() > 0, is_inside)
    kept = window["event_item_id"].numpy()
    assert (kept[(times >= end) | (was_target > 0)] == b"").all()
    is_before = (was_target == 0) & (times < start)
    np.testing.assert_array_equal(
        history_only(window)["event_item_id"].numpy().ravel().tolist().count(b""),
        history_only(window)["event_item_id"].numpy().size - (items[is_before] != b"").sum(),
    )


def test_repeats_of_an_earlier_window_are_what_was_had_and_whether_it_was_chosen_again(
    stage, trained, transformed_shop
):
    (batch,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    start, end = day_of(batch, 20), day_of(batch, 5)
    (found,) = collect_repeats(stage, [batch], start, end)
    items, times, was_target = (batch[f"event_{name}"].numpy() for name in ("item_id", "timestamp", "is_target"))
    ids = trained.catalog.item_ids
    for user in range(len(items)):
        is_known = (was_target[user] == 0) & (items[user] != b"")
        had = set(items[user][is_known & (times[user] < start)])
        again = set(items[user][is_known & (times[user] >= start) & (times[user] < end)])
        mine = found.user == user
        if not again:
            assert not mine.any()
            continue
        assert set(ids[found.rows[mine]]) <= had
        assert len(found.rows[mine]) == min(len(had), RANKING.n_repeat)
        labelled = {
            item for item, label in zip(ids[found.rows[mine]], found.labels[mine].max(axis=1), strict=True) if label
        }
        assert labelled == again & set(ids[found.rows[mine]])


def test_at_an_earlier_window_nothing_is_known_of_later_events(trained, config, transformed_shop, monkeypatch):
    """The towers' trend, popularity and co-purchase are those of the moment at which the window starts."""
    told: list[tuple[int, int | None]] = []

    def learn_past(stage: SecondStage, events: pd.DataFrame, now: int | None) -> None:
        told.append((int(events.timestamp.max()), now))
        original(stage, events, now)

    original = SecondStage.learn_past
    monkeypatch.setattr(SecondStage, "learn_past", learn_past)
    files = transformed_shop.files
    fit_second_stage(trained, files["train"], files["validation"], config)
    start = told[1][1]
    begin = start - config.examples.split.validation_days * 86_400
    # The window before validation, validation, and in the end everything, which has no moment of its own.
    assert [now for _, now in told] == [begin, start, None]
    assert told[0][0] < begin <= told[1][0] < start <= told[2][0]


@pytest.mark.parametrize("without", [{"repeat_windows": 0}, {"repeated": 0}])
def test_without_repeats_no_earlier_window_is_looked_at(trained, config, transformed_shop, capfd, without):
    ranking = dataclasses.replace(config.ranking, **without)
    files = transformed_shop.files
    fit_second_stage(trained, files["train"], files["validation"], dataclasses.replace(config, ranking=ranking))
    said = capfd.readouterr()
    assert "of earlier windows" not in said.out + said.err
    assert "second stage epoch 1" in said.out + said.err


def test_new_items_are_shown_with_what_was_chosen_of_them(stage, trained, transformed_shop):
    (batch,) = sequences(transformed_shop.files["validation"], PROFILE, 16)
    rows = np.arange(stage.catalog_size)
    mug = int(np.flatnonzero(trained.catalog.item_ids == b"mug")[0])
    statistics = np.ones((len(rows), len(NAMES)), np.float32)
    statistics[mug] = 0
    kept = [variable.numpy() for variable in stage.newcomers.variables]
    stage.newcomers.learn(statistics)
    features, is_chosen = new_items(stage, [batch], None, 0)
    for variable, value in zip(stage.newcomers.variables, kept, strict=True):
        variable.assign(value)
    # Of ann, bob and eve bob alone chose the mug, which is all that is new; the other two are shown it once.
    assert is_chosen.tolist() == [False, True, False]
    assert features.shape == (3, len(stage.evidence.names))


def test_a_ranker_that_claims_too_much_is_calibrated_by_the_held_out(stage):
    everything = slice(None)
    unlabelled = planted(stage, np.zeros(40_000))
    logits = stage.ranker(unlabelled.of(everything)).numpy()[:, 0]
    truth = 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
    labels = (np.random.default_rng(8).random(len(truth)) < truth).astype(np.float32)
    labels[:4000] = 1  # of users that the ranker learnt from
    before = stage.ranker.slope.numpy(), stage.ranker.bias.numpy()
    try:
        _calibrate(stage, planted(stage, labels), 4000)
        assert stage.ranker.slope.numpy()[0] == pytest.approx(0.5, abs=0.05)
        assert stage.ranker.bias.numpy()[0] == pytest.approx(-1.0, abs=0.05)
        probabilities = stage.ranker.probabilities(unlabelled.of(everything)).numpy()[4000:, 0]
        assert probabilities.mean() == pytest.approx(labels[4000:].mean(), abs=1e-3)
    finally:
        stage.ranker.slope.assign(before[0])
        stage.ranker.bias.assign(before[1])


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


@pytest.fixture(scope="module")
def exported(stage, trained, config, transformed_shop, tmp_path_factory) -> str:
    """The SavedModel of both stages, with probes."""
    folder = str(tmp_path_factory.mktemp("exported") / "model")
    recommender = Recommender(trained, Transformed(transformed_shop.folder), config, stage)
    export(recommender, folder)
    write_probes(recommender, trained.catalog, config, folder)
    return folder


@pytest.fixture(scope="module")
def raw(shop, tmp_path_factory) -> Path:
    """The raw examples of the test window and of the catalogue."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ("test", "catalog"):
        (folder / f"Split-{name}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{name}" / "data")) as writer:
            for index in range(shop.manifest.partitions):
                for split, examples in build_partition(shop, index, ExamplesConfig(max_events=8, stride=8)):
                    for example in examples if split == name else ():
                        writer.write(example)
    return folder


def test_an_export_of_two_stages_answers_as_the_model_in_memory(trained, stage, exported, raw, asked):
    assert verify_in_fresh_process(exported) is None

    served = tf.saved_model.load(exported)
    history, query_times = asked
    expected = stage.catalog_scores(history, query_times, stage.queries(history, query_times)).numpy()
    # The same users' events as a client sends them.
    sent = read_histories(raw, "test", EVENTS, [f"user_{column}" for column in PROFILE])
    order = [list(sent["user_id"]).index(user) for user in history["user_id"].numpy()]
    inputs = {name: tf.constant(values[order]) for name, values in sent.items()}
    inputs |= {"timestamp": query_times, "query": tf.fill([len(order)], "")}
    np.testing.assert_allclose(served.all_scores(**inputs)[:, 1:], expected[:, 1:], rtol=1e-3, atol=1e-5)
    found = served.signatures["complementary_items"](tf.constant(["pasta", "no such item"]))
    assert b"pasta" not in found["item_id"][0].numpy()
    assert set(found["item_id"][1].numpy()) == {b""}
    answer = served.signatures["recommend"](**inputs, **no_wishes(len(order)))
    np.testing.assert_allclose(answer["score"], -np.sort(-expected[:, 1:], axis=1), rtol=1e-3, atol=1e-5)

    everything = tf.repeat([trained.catalog.item_ids[1:]], len(order), axis=0)
    ranked = served.signatures["rank"](**inputs, candidate_item_id=everything)
    assert (np.diff(ranked["score"], axis=1) <= 0).all()
    of_all = stage.any_label_probability(
        stage.probabilities(history, query_times, stage.queries(history, query_times), every_row(stage, order))
    )
    np.testing.assert_allclose(ranked["score"], -np.sort(-of_all.numpy(), axis=1), rtol=1e-3, atol=1e-5)


def no_wishes(users: int) -> dict[str, tf.Tensor]:
    """The inputs of `recommend` for shoppers who are shown everything."""
    names = ("exclude_item_id", "allow_category", "deny_category")
    wishes = {name: tf.fill([users, 1], "") for name in names}
    return wishes | {"exclude_seen": tf.fill([users], False), "diversity": tf.zeros([users])}


def every_row(stage: SecondStage, users: object) -> tf.Tensor:
    """[users, items] int64: all rows but 0 for each."""
    return tf.repeat(tf.range(1, stage.catalog_size, dtype=tf.int64)[tf.newaxis], len(users), axis=0)


def test_an_item_that_no_source_proposed_is_ranked_as_a_candidate_is(stage, asked):
    history, query_times = asked
    queries = stage.queries(history, query_times)
    scores = stage.catalog_scores(history, query_times, queries).numpy()[:, 1:]
    probabilities = stage.any_label_probability(
        stage.probabilities(history, query_times, queries, every_row(stage, query_times))
    ).numpy()
    is_candidate = scores >= 0
    assert is_candidate.any()
    assert not is_candidate.all()
    np.testing.assert_allclose(probabilities[is_candidate], scores[is_candidate], rtol=1e-5)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    # What the sources say of an item, which is among the evidence, is said of every item.
    history = stage._history(history)
    said = stage.sources.scores(history, query_times, queries, every_row(stage, query_times)).numpy()
    proposed = stage.sources(history, query_times, queries)
    for user, (rows, values) in enumerate(zip(proposed.rows.numpy(), proposed.scores.numpy(), strict=True)):
        np.testing.assert_allclose(said[user, rows[rows > 0] - 1], values[rows > 0], rtol=1e-5, atol=1e-6)


def test_candidates_are_taken_of_what_may_be_shown(stage, asked, trained):
    history, query_times = asked
    queries = stage.queries(history, query_times)
    of_all = stage.examine(history, query_times, queries).proposed.rows.numpy()
    # soap, book and fern alone: two by the towers, two by co-purchase, fern as the new one; all three are proposed.
    rows = [row for row, item in enumerate(trained.catalog.item_ids) if item in (b"soap", b"book", b"fern")]
    allowed = np.zeros((len(query_times), stage.catalog_size), bool)
    allowed[:, rows] = True
    found = stage.examine(history, query_times, queries, tf.constant(allowed)).proposed.rows.numpy()
    assert any(set(rows) - set(user) for user in of_all)
    assert [set(user) - {0} for user in found] == [set(rows)] * len(query_times)
    scores = stage.catalog_scores(history, query_times, queries, tf.constant(allowed)).numpy()
    plain = stage.any_label_probability(
        stage.probabilities(history, query_times, queries, tf.constant([rows] * len(query_times), tf.int64))
    )
    np.testing.assert_allclose(scores[:, rows], plain, rtol=1e-5)
    nothing = stage.examine(history, query_times, queries, tf.zeros_like(allowed)).proposed.rows
    assert nothing.shape == (len(query_times), 0)


@pytest.fixture(scope="module")
def two_heads(trained, config, transformed_shop) -> Recommender:
    """Learnt from all kinds of events, of which the purchase counts."""
    files = transformed_shop.files["train"]
    settings = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("rating", "purchase")))
    stage = fit_second_stage(trained, files, files, settings)
    return Recommender(trained, Transformed(transformed_shop.folder), settings, stage)


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


def test_ctr_gives_each_kinds_chance_in_the_order_of_the_request(two_heads):
    asked = inputs_of([["mug", "no such item", "tea"], ["tea", "", "fern"]])
    answer = {name: value.numpy() for name, value in two_heads.ctr(**asked).items()}
    assert set(answer) == {"item_id", "view", "click", "cart", "rating", "purchase"}
    assert answer["item_id"].tolist() == [[b"mug", b"", b"tea"], [b"tea", b"", b"fern"]]
    for head in set(answer) - {"item_id"}:
        assert answer[head].dtype == np.float32
        assert answer[head][:, 1].tolist() == [0, 0]
        assert ((answer[head][:, [0, 2]] > 0) & (answer[head][:, [0, 2]] < 1)).all()
        np.testing.assert_allclose(answer[head][0, 2], answer[head][1, 0], rtol=1e-4)  # tea, asked by the same history
    # Of the kinds that count any one is a choice: 1 - (1 - rating) (1 - purchase).
    ranked = two_heads.rank(**asked, query=tf.constant(["", ""]))
    score = dict(zip(ranked["item_id"][0].numpy(), ranked["score"][0].numpy(), strict=True))
    for place, item_id in ((0, b"mug"), (2, b"tea")):
        expected = 1 - (1 - answer["rating"][0, place]) * (1 - answer["purchase"][0, place])
        np.testing.assert_allclose(score[item_id], expected, rtol=1e-4)
    empty = two_heads.ctr(**inputs_of([[], []]))
    assert {value.shape for value in empty.values()} == {(2, 0)}


def test_one_calibration_holds_for_recommendations_ranks_and_chances(two_heads):
    asked = inputs_of([["mug", "tea", "fern"]])
    request = {name: value for name, value in asked.items() if name != "candidate_item_id"} | {
        "query": tf.constant([""])
    }

    def answers() -> tuple[np.ndarray, np.ndarray, dict[bytes, float]]:
        probability = two_heads.ctr(**asked)["purchase"].numpy()[0]
        ranked = two_heads.rank(**asked, query=tf.constant([""]))
        found = two_heads.recommend(**request, **no_wishes(1))
        pairs = zip(found["item_id"][0].numpy(), found["score"][0].numpy(), strict=True)
        return probability, ranked["score"].numpy()[0], {item_id: score for item_id, score in pairs if score >= 0}

    ranker = two_heads._second_stage.ranker
    before = answers()
    try:
        # The logit x becomes 2 x - 1 for a purchase; a rating becomes impossible.
        ranker.slope.assign([2.0 if head == "purchase" else 1.0 for head in ranker.heads])
        ranker.bias.assign([{"purchase": -1.0, "rating": -99.0}.get(head, 0.0) for head in ranker.heads])
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


def test_the_candidates_of_an_export_are_rows_with_what_came_true(exported, raw):
    # Of the choices of the test window, ann's pasta and eve's soap are repeats, hence candidates; fay has no history.
    rows = ranked_candidates(exported, raw, 100, "utc")
    again = rows[(rows.label == 1) & (rows.is_repeat == "yes")]
    assert again.department.tolist() == ["Food", "none"]
    assert set(rows["head"]) == {"purchase"}
    assert set(rows.activity) == {"none", "1 to 9"}
    assert set(rows.weight[rows.label == 1]) == {1}
    assert set(rows.weight[rows.label == 0]) == {NEGATIVES_PER_KEPT}
    probabilities = _chances_at(exported, raw, 1_709_596_800)  # midnight before the first choice, 2024-03-05
    assert again.probability.tolist() == pytest.approx(
        [probabilities[b"ann", b"pasta"], probabilities[b"eve", b"soap"]], rel=1e-4
    )


def _chances_at(exported: str, raw: Path, query_time: int) -> dict[tuple[bytes, bytes], float]:
    """(user, item) -> what `all_scores` gives."""
    model = tf.saved_model.load(exported)
    sent = read_histories(raw, "test", EVENTS, [f"user_{column}" for column in PROFILE])
    users = len(sent["user_id"])
    inputs = {name: tf.constant(values) for name, values in sent.items()}
    scores = model.all_scores(**inputs, timestamp=tf.fill([users], np.int64(query_time)), query=tf.fill([users], ""))
    ids = model.item_ids.numpy()
    return {
        (user, item): score
        for user, row in zip(sent["user_id"], scores.numpy(), strict=True)
        for item, score in zip(ids, row, strict=True)
    }


def test_a_sample_of_users_holds_no_more_than_they_are(exported, raw):
    counts = [len(ranked_candidates(exported, raw, users, "utc")) for users in (0, 1, 100)]
    assert counts[0] == 0
    assert counts[0] < counts[1] < counts[2]


def test_towers_alone_have_no_candidates_to_measure(exported_shop, raw):
    with pytest.raises(ModelError, match=r"holds no ranker .*train one with ranking.epochs"):
        ranked_candidates(exported_shop.folder, raw, 100, "utc")


def test_kinds_that_do_not_count_as_a_choice_have_a_head_of_their_own(trained, config, transformed_shop):
    files = transformed_shop.files["train"]  # holds views, clicks, carts, purchases and a rating
    settings = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("purchase",)))
    stage = fit_second_stage(trained, files, files, settings)
    assert stage.ranker.heads[-1] == "purchase"
    assert set(stage.ranker.heads) == {"view", "click", "cart", "rating", "purchase"}


def test_the_towers_learn_the_window_only_after_it_has_taught_the_ranker(
    trained, config, transformed_shop, monkeypatch
):
    files, model = transformed_shop.files, trained.model
    split = files["train"], files["validation"]
    kept = [(weight, weight.numpy()) for weight in model.weights]
    taught = fit_second_stage(trained, *split, config).ranker.get_weights()
    before = model.all_candidates().numpy()
    rate = dataclasses.replace(model.config.train, catch_up_rate=0.1)
    monkeypatch.setattr(model, "config", dataclasses.replace(model.config, train=rate))
    try:
        stage = fit_second_stage(trained, *split, config)
        after = model.all_candidates().numpy()
        assert np.abs(after - before).max() > 0.01
        np.testing.assert_array_equal(stage.sources._embeddings, after)  # what is proposed from has learnt too
        for now, then in zip(stage.ranker.get_weights(), taught, strict=True):
            np.testing.assert_allclose(now, then, atol=1e-4)
    finally:
        for weight, value in kept:
            weight.assign(value)


def test_a_share_that_leaves_nothing_to_learn_from_is_refused(trained, config, transformed_shop):
    settings = dataclasses.replace(config, ranking=dataclasses.replace(config.ranking, calibration_share=1.0))
    files = transformed_shop.files
    with pytest.raises(ConfigError, match=r"ranking\.calibration_share is 1\.0; give 0 or more, below 1"):
        fit_second_stage(trained, files["train"], files["validation"], settings)


def test_a_window_in_which_nobody_chose_anything_is_an_error_with_its_cure(trained, config, transformed_shop):
    settings = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("rating",)))
    files = transformed_shop.files
    with pytest.raises(DataError, match=r"nobody chose anything in the .* set ranking.epochs to 0"):
        fit_second_stage(trained, files["train"], files["validation"], settings)
