"""Two-tower model: its loss, the weights that a step trains, planted patterns that it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import EvaluationConfig, TrainConfig
from tfrec.examples.batches import Batch
from tfrec.language.text_encoder import TextEncoder
from tfrec.retrieval.catalog_texts import with_titles, without_some
from tfrec.retrieval.two_tower import TwoTower

DAY = 86_400
NOON = 1_704_110_400  # 2024-01-01 12:00 UTC
CLS, SEP = 101, 102


def text(*pieces: int) -> list[int]:
    return [CLS, *pieces, SEP]


# [CLS] one word [SEP]: texts of 20 different items.
WORDS = [text(piece) for piece in range(2000, 2020)]


def batch_of(*users: list[tuple], query: str = "", **profile: list[int]) -> Batch:
    """Batch of users' events (item, timestamp[, is_target]), padded at the end."""
    longest = max(len(events) for events in users)
    events = [[(*event, 1)[:3] for event in user] + [("", 0, 0)] * (longest - len(user)) for user in users]
    item_id, timestamp, is_target = ([[event[column] for event in user] for user in events] for column in range(3))
    known = np.array(item_id) != ""
    random = np.random.default_rng(4)
    return {
        "event_item_id": tf.constant(item_id),
        "event_timestamp": tf.constant(timestamp, tf.int64),
        "event_is_target": tf.constant(is_target, tf.int64),
        "event_kind": tf.constant(known * random.integers(1, 7, known.shape)),
        "event_price": tf.constant(known * random.normal(size=known.shape), tf.float32),
        "event_query": tf.where(known, query, ""),
        "user_id": tf.constant([f"user {number}" for number in range(len(users))]),
        **{name: tf.constant(values, tf.int64) for name, values in profile.items()},
    }


@pytest.fixture(scope="module")
def make_model(make_catalog, make_config) -> Callable[..., TwoTower]:
    """Make a model over `texts`, which are not encoded yet, with catalog columns and settings."""

    def make(
        texts: list[list[int]] = WORDS[:4],
        columns: dict | None = None,
        towers: dict | None = None,
        **train: object,
    ) -> TwoTower:
        catalog = make_catalog(texts, **(columns or {}))
        return TwoTower(catalog, make_config(towers=towers or {}, train=train))

    return make


def bias_only(model: TwoTower, *bias: float) -> tf.Variable:
    """Set all weights to 0 but the item biases, which are then the scores for every user."""
    for weight in model.candidate_tower.trainable_weights:
        weight.assign(tf.zeros_like(weight))
    biases = next(w for w in model.candidate_tower.weights if w.name == "candidate_tower/item_bias/embeddings:0")
    biases.assign(np.array([0.0, *bias], np.float32)[:, np.newaxis])
    return biases


# The loss, by hand.


def test_logq_works_for_a_large_catalog(make_model):
    # TFRS clips probabilities at 1e-6, below which all items of a large catalog would lie: of 40
    # million events, item 1 has 30, item 2 has 10, item 3 the rest.
    frequency = np.array([0, 30, 10, 39_999_960])
    model = make_model(WORDS[:3], {"frequency": frequency}, uniform_negatives=0)
    bias_only(model, 0.0, 0.0, 0.0)
    # 1 / 30 beside 1 / 10: the buyer of item 1 sees 1/4, the buyer of item 2 sees 3/4
    loss = model.compute_loss(batch_of([("i1", NOON)], [("i2", NOON)]))
    assert loss.numpy() == pytest.approx((np.log(4) + np.log(4 / 3)) / 2, abs=1e-5)


# Two users buy item 1, one buys item 2; there are no uniform negatives, so that items are drawn
# with probability 0.6 and 0.3, and every score is 0.
THREE_BUYERS = batch_of([("i1", NOON)], [("i1", NOON)], [("i2", NOON - DAY)])
OFTEN_AND_SELDOM = {"frequency": np.array([0, 6, 3, 1])}


@pytest.mark.parametrize(
    ("logq", "loss", "gradient"),
    [
        # Exponentials of the corrected scores: 1 / 0.6 for item 1, 1 / 0.3 for item 2: as 1 to 2. A
        # buyer of item 1 sees it once (the other column is an accidental hit) beside item 2: 1/3.
        # The buyer of item 2 sees two columns of item 1: 2 / (1 + 1 + 2) = 1/2. (2 ln 3 + ln 2) / 3
        # = 0.963457. To item 1's bias: (2 * (1/3 - 1) + 2 * 1/4) / 3 = -5/18.
        (True, 0.963457, -5 / 18),
        # Without: 1/2 each, and 1/3. (2 ln 2 + ln 3) / 3 = 0.828302; (2 * (1/2 - 1) + 2 * 1/3) / 3
        # = -1/9.
        (False, 0.828302, -1 / 9),
    ],
)
def test_logq_subtracts_the_log_of_the_sampling_probability(make_model, logq, loss, gradient):
    model = make_model(WORDS[:3], OFTEN_AND_SELDOM, uniform_negatives=0, logq=logq)
    bias = bias_only(model, 0.0, 0.0, 0.0)
    with tf.GradientTape() as tape:
        computed = model.compute_loss(THREE_BUYERS)
    assert computed.numpy() == pytest.approx(loss, abs=1e-5)
    by_item = tf.convert_to_tensor(tape.gradient(computed, bias))[:, 0]
    np.testing.assert_allclose(by_item, [0.0, gradient, -gradient, 0.0], atol=1e-5)


def test_scores_are_divided_by_the_temperature(make_model):
    model = make_model(WORDS[:3], towers={"temperature": 0.5}, uniform_negatives=0, logq=False)
    bias_only(model, 0.5 * np.log(3.0), 0.0, 0.0)
    # Item 1 scores ln(3) / 2, divided by 0.5: ln 3. Its buyers see 3 beside 1: 3/4; that of item 2
    # sees 1 / (3 + 3 + 1). (2 ln(4/3) + ln 7) / 3 = 0.840425
    assert model.compute_loss(THREE_BUYERS).numpy() == pytest.approx(0.840425, abs=1e-5)


def test_a_target_of_another_kind_than_the_labels_has_less_weight(make_catalog, make_config):
    config = make_config(train={"uniform_negatives": 0, "logq": False, "other_kinds_weight": 0.25})
    config = dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=("purchase",)))
    model = TwoTower(make_catalog(WORDS[:3], **OFTEN_AND_SELDOM), config)
    bias_only(model, 0.0, 0.0, 0.0)
    # The buyers of item 1 purchase, that of item 2 views: (2 ln 2 + 1/4 ln 3) / (2 + 1/4)
    kinds = THREE_BUYERS | {"event_kind": tf.constant([[4], [4], [1]], tf.int64)}
    assert model.compute_loss(kinds).numpy() == pytest.approx(0.738198, abs=1e-5)


def test_an_old_target_has_less_weight(make_model):
    model = make_model(WORDS[:3], OFTEN_AND_SELDOM, uniform_negatives=0, logq=False, recency_half_life_days=0.5)
    bias_only(model, 0.0, 0.0, 0.0)
    # The buyer of item 2 came a day, two half-lives, before the others: (2 ln 2 + 1/4 ln 3) / (2 +
    # 1/4)
    assert model.compute_loss(THREE_BUYERS).numpy() == pytest.approx(0.738198, abs=1e-5)


def test_a_repeat_has_the_configured_weight(make_model):
    model = make_model(WORDS[:3], uniform_negatives=0, logq=False, repeat_weight=0.5)
    bias_only(model, 0.0, 0.0, 0.0)
    batch = batch_of([("i1", NOON), ("i3", NOON), ("i3", NOON), ("i1", NOON + 1)], [("i2", NOON)])
    # The first user's items are no negatives of each other, so each competes with item 2 only: ln
    # 2, with weight 1/2 for the second item 1 (the second item 3 has the timestamp of the first
    # one). The other user's target competes with four columns: ln 5.
    expected = (3.5 * np.log(2.0) + np.log(5.0)) / 4.5
    assert model.compute_loss(batch).numpy() == pytest.approx(expected, abs=1e-5)


def test_only_the_hardest_negatives_count_if_configured(make_model):
    model = make_model(WORDS[:4], uniform_negatives=0, logq=False, hard_negatives=1, mask_positives="none")
    bias_only(model, 0.0, 0.0, np.log(2.0), np.log(3.0))
    batch = batch_of([("i1", NOON)], [("i2", NOON)], [("i3", NOON)], [("i4", NOON)])
    # Against the hardest only: 1 of 1 + 3, 1 of 1 + 3, 2 of 2 + 3, 3 of 3 + 2
    expected = -(np.log(1 / 4) + np.log(1 / 4) + np.log(2 / 5) + np.log(3 / 5)) / 4
    assert model.compute_loss(batch).numpy() == pytest.approx(expected, abs=1e-5)


def test_context_and_unknown_items_are_no_targets(make_model):
    model = make_model(WORDS[:3], uniform_negatives=0, logq=False)
    bias_only(model, 0.0, 0.0, 0.0)
    batch = batch_of([("i3", NOON, 0), ("unknown item", NOON + 1), ("i1", NOON + 2)], [("i2", NOON)])
    # Two targets, items 1 and 2, each beside the other: ln 2
    assert model.compute_loss(batch).numpy() == pytest.approx(np.log(2.0), abs=1e-5)


def test_a_batch_without_targets_has_a_loss_of_0(make_model):
    for settings in ({}, {"recency_half_life_days": 1.0}, {"mask_positives": "repeat"}):
        loss = make_model(**settings).compute_loss(batch_of([("i1", NOON, 0)], [("unknown item", NOON)]))
        assert loss.numpy() == 0.0


def test_a_user_of_one_item_has_no_negative_in_the_batch(make_model):
    # The same item three times over: every other column is an accidental hit, so the loss is ln 1.
    model = make_model(WORDS[:3], uniform_negatives=0)
    batch = batch_of([("i1", NOON), ("i1", NOON + 1)], [("i1", NOON)])
    assert model.compute_loss(batch).numpy() == pytest.approx(0.0, abs=1e-6)


# What a step trains.

RICH_COLUMNS = {
    "category": np.array([[0, 0], [1, 2], [1, 0], [2, 1], [1, 1]]),
    "brand": np.array([0, 1, 2, 1, 0]),
    "price": np.array([0, 1, 2, 1, 2]),
    "category_size": 3,
    "brand_size": 3,
    "profile_sizes": {"user_age": 3},
    "queries": np.array([b"green tea"], object),
    "query_row": np.array([1]),
}
RICH = batch_of(
    [("i1", NOON), ("i2", NOON + 60), ("i3", NOON + 2 * DAY), ("i1", NOON + 5 * DAY)],
    [("i4", NOON - DAY), ("i3", NOON - 60)],
    [("i2", NOON + DAY), ("i4", NOON + 3 * DAY), ("i1", NOON + 4 * DAY)],
    query="green tea",
    user_age=[1, 2, 0],
)


def step(model: TwoTower, steps: int = 1) -> list[str]:
    """Train some steps; return weights that should train but did not move, or the reverse."""
    model.texts.encode_texts()
    trained = {id(weight) for weight in model.trainable_variables}
    weights = {id(weight): weight for weight in [*model.trainable_variables, *model.texts.encoder.weights]}
    before = {key: weight.numpy() for key, weight in weights.items()}
    model.compile(optimizer=tf.keras.optimizers.SGD(10.0), run_eagerly=True)  # tracing takes longer than a step
    for _ in range(steps):
        model.train_step(RICH)
    # Rounding moves a weight whose true gradient is zero by less than 1e-6.
    changed = {key for key, weight in weights.items() if np.abs(weight.numpy() - before[key]).max() > 1e-6}
    return sorted(weight.name for key, weight in weights.items() if (key in trained) != (key in changed))


KEY_BIASES = [f"transformer_layer_{layer}/self_attention_layer/key/bias:0" for layer in (0, 1)]
"""A key's bias adds the same number to all scores of a query, which softmax ignores: no
gradient."""


@pytest.mark.parametrize(
    ("mode", "steps", "still"),
    [
        ("frozen", 1, []),
        ("top", 1, KEY_BIASES[1:]),
        ("full", 1, KEY_BIASES),
        # One of LoRA's two matrices starts at zero, so the gradient of the other is zero in the
        # first step.
        ("lora", 2, []),
    ],
)
def test_exactly_the_trainable_weights_move(make_model, mode, steps, still):
    model = make_model(columns=RICH_COLUMNS, towers={"text_mode": mode, "lora_rank": 2, "use_user_id": True})
    model.texts.fit_words()
    model.texts.set_live(True)
    assert any("transformer" in weight.name for weight in model.trainable_variables) == (mode != "frozen")
    assert step(model, steps) == still


def test_the_bert_does_not_train_with_fixed_text_vectors(make_model):
    model = make_model(columns=RICH_COLUMNS, towers={"text_mode": "full"})
    model.texts.fit_words()
    model.texts.set_live(False)
    assert [weight.name for weight in model.trainable_variables if "transformer" in weight.name] == []
    assert step(model) == []


class Recording(TextEncoder):
    """A real encoder that records the texts of each call."""

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        self.calls = (*getattr(self, "calls", ()), tokens.numpy().tolist())
        return super().call(tokens, training)


@pytest.mark.parametrize(("drawn", "read"), [(0, [WORDS[0], WORDS[1]]), (64, [WORDS[0], WORDS[1], WORDS[2]])])
def test_each_distinct_text_goes_through_the_bert_once_a_step(make_model, drawn, read):
    # Items 1 and 3 share a text; item 4 is in the step only if 64 of the 4 items are drawn.
    model = make_model([WORDS[0], WORDS[1], WORDS[0], WORDS[2]], text_negatives=drawn)
    model.texts.encoder = Recording(model.config.features, model.config.towers)
    model.texts.set_live(True)
    model.compute_loss(batch_of([("i1", NOON), ("i2", NOON), ("i3", NOON)], [("i3", NOON), ("i1", NOON), ("i1", NOON)]))
    assert [sorted(call) for call in model.texts.encoder.calls] == [read]


def test_no_text_goes_through_the_bert_with_fixed_text_vectors(make_model):
    model = make_model()
    model.texts.encoder = Recording(model.config.features, model.config.towers)
    model.texts.set_live(False)
    model.compute_loss(batch_of([("i1", NOON), ("i2", NOON)]))
    assert not hasattr(model.texts.encoder, "calls")


def test_an_items_words_are_part_of_its_embedding(make_model):
    model = make_model([WORDS[0], WORDS[1], WORDS[0]], towers={"word_dim": 2})
    rows = tf.constant([1, 2, 3], tf.int64)
    before = model.candidates(rows).numpy()
    model.texts.fit_words()
    words = model.texts.word_encoder(tf.constant(WORDS[:2], tf.int64)).numpy()
    assert np.abs(words[0] - words[1]).max() > 0.1
    kernel = next(w for w in model.candidate_tower.weights if "words/kernel" in w.name).numpy()
    added = (model.candidates(rows) - before)[:, :-1]
    np.testing.assert_allclose(added, words[[0, 1, 0]] @ kernel, atol=1e-5)


def test_the_words_are_fitted_to_items_and_not_to_searches(make_model):
    model = make_model([WORDS[0], WORDS[1]])
    rare = model.texts.tokens.numpy()[2]
    model.texts.text_row.assign([0, 1, 1])  # the second text belongs to a search only
    model.texts.fit_words()
    only = rare[(rare > 0) & ~np.isin(rare, model.texts.tokens.numpy()[1])]
    assert len(only)
    np.testing.assert_array_equal(tf.gather(model.texts.word_encoder.rarity, only), 0.0)


def test_texts_are_encoded_with_the_current_bert(make_model):
    model = make_model([WORDS[0], WORDS[1], WORDS[0]])
    model.texts.encode_texts()
    before = model.texts.text_vectors.numpy()
    for weight in model.texts.encoder.weights:
        weight.assign(weight + tf.cast(tf.random.stateless_normal(weight.shape, [1, 2]), weight.dtype))
    model.texts.encode_texts()
    assert model.texts.text_vectors.shape == (3, 16)
    # Row 0 is the empty text, then the two distinct ones.
    np.testing.assert_allclose(
        model.texts.text_vectors[1:], model.texts.encoder(tf.constant(WORDS[:2], tf.int64)), atol=1e-5
    )
    assert np.abs(model.texts.text_vectors[1:] - before[1:]).max() > 0.1


# Serving and evaluation.


def test_the_loss_is_that_of_the_embeddings_in_serving(make_model):
    model = make_model(columns=RICH_COLUMNS, uniform_negatives=0, logq=False, mask_positives="none")
    model.texts.encode_texts()
    loss = model.compute_loss(RICH)
    is_event = RICH["event_item_id"].numpy() != b""
    tea = tf.where(is_event[..., np.newaxis], model.texts.text_vectors[1], 0.0)
    queries = model.query(RICH, RICH["event_timestamp"], tea).numpy()[is_event]
    rows = model.catalog_rows(RICH["event_item_id"]).numpy()[is_event]
    scores = queries @ model.candidates(tf.constant(rows)).numpy().T
    scores[(rows[:, None] == rows) & ~np.eye(len(rows), dtype=bool)] = -np.inf  # accidental hits
    expected = np.mean(np.log(np.exp(scores).sum(axis=1)) - np.diag(scores))
    assert loss.numpy() == pytest.approx(expected, abs=1e-4)


def test_all_candidates_are_in_the_order_of_catalog_rows(make_model):
    model = make_model(columns=RICH_COLUMNS)
    everything = model.all_candidates()
    assert everything.shape == (5, 9)
    np.testing.assert_allclose(
        model.candidates(tf.constant([3, 0], tf.int64)), tf.gather(everything, [3, 0]), atol=1e-6
    )


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_trend_changes_biases_in_serving_but_not_the_loss(make_model, temperature):
    model = make_model(WORDS[:4], towers={"temperature": temperature}, uniform_negatives=0)
    before, loss = model.all_candidates().numpy(), model.compute_loss(THREE_BUYERS).numpy()
    model.trend.assign([0.0, 1.0, -2.0, 0.0, 0.5])
    after = model.all_candidates().numpy()
    np.testing.assert_array_equal(after[:, :-1], before[:, :-1])
    # A score is divided by the temperature before the softmax, so the trend is multiplied by it.
    bias = temperature * np.array([0.0, 1.0, -2.0, 0.0, 0.5])
    np.testing.assert_allclose(after[:, -1] - before[:, -1], bias, atol=1e-6)
    assert model.compute_loss(THREE_BUYERS).numpy() == loss


def test_unknown_ids_have_row_0_and_untrained_items_have_no_id_row(make_model):
    model = make_model(WORDS[:3], {"frequency": np.array([0, 2, 0, 1])})
    rows = model.catalog_rows(tf.constant([["i3", "i1"], ["unknown item", ""]]))
    assert rows.numpy().tolist() == [[3, 1], [0, 0]]
    assert model.tables.id_rows(tf.constant([1, 2, 3, 0], tf.int64)).numpy().tolist() == [1, 0, 2, 0]


def test_a_search_has_the_vector_of_its_text(make_model):
    model = make_model(columns=RICH_COLUMNS)
    model.texts.text_vectors.assign(np.random.default_rng(1).normal(size=(5, 16)))
    vectors = model.texts.search_vectors(tf.constant([["", "green tea"]]))
    np.testing.assert_array_equal(vectors, [[[0.0] * 16, model.texts.text_vectors[1].numpy()]])


def test_titles_replace_the_share_of_searches():
    searches, titles = tf.zeros([40, 50, 2]), tf.ones([40, 50, 2])
    np.testing.assert_array_equal(with_titles(searches, titles, 0.0), searches)
    np.testing.assert_array_equal(with_titles(searches, titles, 1.0), titles)
    replaced = with_titles(searches, titles, 0.25).numpy()
    np.testing.assert_array_equal(replaced[..., 0], replaced[..., 1])
    assert 0.15 < replaced.mean() < 0.35  # 2,000 positions: ten standard deviations


def test_a_share_of_the_searches_is_left_out():
    searches = tf.ones([40, 50, 2])
    np.testing.assert_array_equal(without_some(searches, 0.0), searches)
    np.testing.assert_array_equal(without_some(searches, 1.0), tf.zeros_like(searches))
    kept = without_some(searches, 0.25).numpy()
    np.testing.assert_array_equal(kept[..., 0], kept[..., 1])
    assert 0.65 < kept.mean() < 0.85  # 2,000 positions: ten standard deviations


def test_titles_replace_searches_in_training_only(make_model):
    model = make_model(query_from_title=1.0, uniform_negatives=0)
    model.texts.encode_texts()
    batch = batch_of([("i1", NOON), ("i2", NOON)], [("i3", NOON)])
    by_titles = model.compute_loss(batch, training=True).numpy()
    without = model.compute_loss(batch, training=False).numpy()
    assert abs(by_titles - without) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_restored_model_has_the_same_embeddings(make_model, tmp_path, mode):
    settings = {"columns": RICH_COLUMNS, "towers": {"text_mode": mode}}
    model, other = make_model(**settings, seed=1), make_model(**settings, seed=2)
    model.texts.set_live(True)
    step(model, 2)
    model.texts.encode_texts()
    model.texts.fit_words()
    request = (RICH, tf.constant([[NOON + 9 * DAY]] * 3, tf.int64), tf.ones([3, 1, 16]))
    assert np.abs(other.query(*request) - model.query(*request)).max() > 1e-3
    path = tf.train.Checkpoint(**model.checkpointed()).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(**other.checkpointed()).read(path).assert_consumed()
    np.testing.assert_array_equal(other.query(*request), model.query(*request))
    np.testing.assert_array_equal(other.all_candidates(), model.all_candidates())
    tokens = tf.constant(WORDS[:2], tf.int64)
    np.testing.assert_array_equal(other.texts.encoder(tokens), model.texts.encoder(tokens))


# Planted patterns.


def trained(model: TwoTower, batches: list[Batch], epochs: int) -> TwoTower:
    tf.keras.utils.set_random_seed(7)  # for negatives and titles; the weights have the model's own seed
    model.texts.encode_texts()
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature={n: tf.TensorSpec(v.shape, v.dtype) for n, v in batches[0].items()}
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    model.fit(data, epochs=epochs, verbose=0)
    return model


def top_rows(model: TwoTower, batch: Batch, query_vector: tf.Tensor | None, k: int) -> np.ndarray:
    """[batch, k] rows with the highest scores for each user after all of their events."""
    users = len(batch["user_id"])
    query_times = tf.fill([users, 1], tf.constant(NOON + 100 * DAY, tf.int64))
    vector = tf.zeros([users, 1, 16]) if query_vector is None else query_vector[:, tf.newaxis]
    scores = tf.matmul(model.query(batch, query_times, vector)[:, 0], model.all_candidates(), transpose_b=True).numpy()
    return np.argsort(-scores[:, 1:], axis=1)[:, :k] + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"towers": {"cosine": True, "temperature": 0.2}}],
    ids=["dot product", "cosine"],
)
def test_the_model_learns_a_checkerboard_of_users_and_items(make_model, settings):
    # Even users buy even items and odd users odd ones, 6 of their 10, each equally often: any ten
    # most popular items hold half of a user's items.
    random = np.random.default_rng(6)

    def users(count: int, length: int) -> Batch:
        bought = [1 + user % 2 + 2 * random.permutation(10)[:length] for user in range(count)]
        return batch_of(*([(f"i{item}", NOON + n * DAY) for n, item in enumerate(items)] for items in bought))

    model = trained(make_model(WORDS, **settings), [users(16, 6) for _ in range(10)], epochs=6)
    answers = top_rows(model, users(20, 3), None, 10)  # ten new users of each sort, after three events
    recall = [(row % 2 != user % 2).mean() for user, row in enumerate(answers)]
    assert np.mean(recall) > 0.9


def train_on_checkerboard(make_model, has_queries: bool, query_dropout: float) -> TwoTower:
    """Train on the users above; with queries, each event has one: the title of its item."""
    random = np.random.default_rng(6)
    titles = {"queries": np.array([b"title of i%d" % n for n in range(1, 21)], object), "query_row": np.arange(1, 21)}
    columns, towers = titles if has_queries else {}, {"dim": 32}
    model = make_model(WORDS, columns, towers, query_dropout=query_dropout, query_from_title=0.0)

    def users() -> Batch:
        batch = batch_of(*(checkerboard_user(number, random.permutation(10)[:6]) for number in range(16)))
        query = tf.strings.join(["title of ", batch["event_item_id"]]) if has_queries else batch["event_query"]
        return batch | {"event_query": query}

    return trained(model, [users() for _ in range(10)], epochs=8)


def checkerboard_user(number: int, items: np.ndarray) -> list[tuple]:
    """Events of a user with six items, all even or all odd, `items` being below 10."""
    return [(f"i{1 + number % 2 + 2 * item}", NOON + n * DAY) for n, item in enumerate(items)]


def recommend_and_search(model: TwoTower) -> tuple[float, float]:
    """NDCG@10 of the items of a user's sort without a query, and the share of titles found."""
    random = np.random.default_rng(8)
    batch = batch_of(*(checkerboard_user(number, random.permutation(10)[:2]) for number in range(40)))
    is_hit = top_rows(model, batch, None, 10) % 2 != (np.arange(40) % 2)[:, np.newaxis]
    gains = 1 / np.log2(np.arange(2, 12))
    found = top_rows(model, batch_of(*[[("", 0, 0)]] * 20), model.texts.text_vectors[1:21], 1)[:, 0]
    return float((is_hit @ gains).mean() / gains.sum()), float((found == np.arange(1, 21)).mean())


@pytest.mark.slow
def test_queries_at_every_event_do_not_spoil_recommendations(make_model):
    without, _ = recommend_and_search(train_on_checkerboard(make_model, False, 0.0))
    spoiled, _ = recommend_and_search(train_on_checkerboard(make_model, True, 0.0))
    recommend, search = recommend_and_search(train_on_checkerboard(make_model, True, TrainConfig().query_dropout))
    assert spoiled < without - 0.1
    assert recommend > without - 0.02
    assert search > 0.9


@pytest.mark.slow
def test_the_model_learns_to_find_an_item_by_its_title(make_model):
    # Purchases are random, so only the search, which is the title of the target at every other
    # event, can find an item.
    random = np.random.default_rng(6)

    def user() -> list[tuple]:
        return [(f"i{item}", NOON + n * DAY) for n, item in enumerate(random.integers(1, 13, 6))]

    batches = [batch_of(*(user() for _ in range(16))) for _ in range(10)]
    model = trained(make_model(WORDS[:12], query_from_title=0.5), batches, epochs=6)
    titles = model.texts.text_vectors[1:]
    no_history = batch_of(*[[("", 0, 0)]] * 12)
    rows = top_rows(model, no_history, titles, 1)[:, 0]
    assert (rows == np.arange(1, 13)).mean() > 0.9
    without = top_rows(model, no_history, None, 1)[:, 0]
    assert (without == np.arange(1, 13)).mean() < 0.1
