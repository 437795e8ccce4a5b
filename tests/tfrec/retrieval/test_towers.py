"""Towers: parts of an embedding, and that a query uses only events strictly before its time."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.batches import History
from tfrec.retrieval.towers import (
    AverageByAge,
    CandidateTower,
    Context,
    ItemFeatures,
    QueryTower,
    age_bucket,
    attention_bias,
    events_before,
)
from tfrec.schema import EVENT_KINDS

DIM, TEXT_DIM, LENGTH = 8, 5, 6
HOUR, DAY = 3_600, 86_400
NOON = 1_704_110_400  # 2024-01-01 12:00 UTC, a Monday

COSINE_OR_DOT = pytest.mark.parametrize("cosine", [True, False], ids=["cosine", "dot"])


def randomize(layer: tf.keras.layers.Layer, seed: int = 3) -> None:
    """Set every weight to random numbers, since some start at zero and would hide their effect."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))


# The candidate tower.


def items(rows: list[int], seed: int = 1) -> ItemFeatures:
    """Items with the given rows of the id embedding and random features."""
    random = np.random.default_rng(seed)
    count = len(rows)
    return ItemFeatures(
        id_row=tf.constant(rows, tf.int64),
        text_vector=tf.constant(random.normal(size=(count, TEXT_DIM)), tf.float32),
        word_vector=tf.constant(random.normal(size=(count, 3)), tf.float32),
        category=tf.constant(random.integers(0, 2, (count, 2))),
        brand=tf.constant(random.integers(0, 2, count)),
        price=tf.constant(random.integers(0, 3, count)),
    )


@pytest.fixture
def candidate_tower(make_catalog, make_config):
    """Make a tower over 3 items with random weights."""

    def make(seed: int = 3, **settings):
        tower = CandidateTower(make_catalog([[101]] * 3), make_config(towers=settings).towers)
        tower(items([1]))
        randomize(tower, seed)
        return tower

    return make


def test_an_items_embedding_is_the_sum_of_its_features(make_catalog, make_config):
    tower = CandidateTower(make_catalog([[101]] * 2), make_config(towers={"dim": 2}).towers)
    item = ItemFeatures(
        id_row=tf.constant([2], tf.int64),
        text_vector=tf.constant([[1.0, 3.0]]),
        word_vector=tf.constant([[0.5, 2.0, 1.0]]),
        category=tf.constant([[1, 0]], tf.int64),
        brand=tf.constant([1], tf.int64),
        price=tf.constant([2], tf.int64),
    )
    tower(item)
    by_name = {weight.name.removeprefix("candidate_tower/"): weight for weight in tower.weights}
    by_name["item_id/embeddings:0"].assign([[7, 7], [8, 8], [1, 2]])
    by_name["item_bias/embeddings:0"].assign([[7], [8], [0.5]])
    by_name["text/kernel:0"].assign([[10, 0], [0, 20]])
    by_name["words/kernel:0"].assign([[2, 4], [1, 0], [0, 1]])
    by_name["category/embeddings:0"].assign([[900, 900], [100, 0]])
    by_name["brand/embeddings:0"].assign([[7, 7], [1000, 2000]])
    by_name["price/embeddings:0"].assign([[7, 7], [7, 7], [0, 10000]])
    by_name["content_bias/kernel:0"].assign([[0.01], [0.001]])
    # text [10, 60] + words [3, 3] + category [100, 0] (no second level) + brand + price: [1113,
    # 12063]; with the id [1114, 12065]; bias 0.01 * 1113 + 0.001 * 12063 of the content + 0.5 of
    # the id = 23.693
    np.testing.assert_allclose(tower(item), [[1114, 12065, 23.693]], rtol=1e-6)


def test_an_item_without_training_data_has_content_features_only(candidate_tower):
    tower = candidate_tower()
    before = tower(items([0, 1])).numpy()
    for weight in tower.weights:
        if weight.name.startswith(("candidate_tower/item_id", "candidate_tower/item_bias")):
            weight.assign(weight + 1.0)
    after = tower(items([0, 1])).numpy()
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], before[1] + 1.0, rtol=1e-5)


def test_id_dropout_hides_ids_in_training_only(candidate_tower):
    tower = candidate_tower(id_dropout=1.0)
    one, content = items([2]), items([0])
    np.testing.assert_array_equal(tower(one, training=True), tower(content))
    assert np.abs(tower(one, training=False) - tower(content)).min() > 1e-3


def test_id_dropout_hides_the_configured_share(candidate_tower):
    tf.random.set_seed(11)
    tower = candidate_tower(id_dropout=0.25)
    many = ItemFeatures(*(tf.repeat(values, 4000, axis=0) for values in items([2]) if values is not None))
    hidden = np.isclose(tower(many, training=True).numpy()[:, -1], tower(items([0])).numpy()[0, -1], atol=1e-4)
    assert hidden.mean() == pytest.approx(0.25, abs=0.03)  # four standard deviations: 0.027


@COSINE_OR_DOT
def test_cosine_gives_items_of_length_one(candidate_tower, cosine):
    lengths = tf.norm(candidate_tower(cosine=cosine)(items([0, 1, 2, 3]))[:, :-1], axis=1).numpy()
    if cosine:
        np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    else:
        assert np.abs(lengths - 1.0).min() > 0.01


def test_every_weight_of_the_candidate_tower_moves_after_one_step(candidate_tower):
    tower = candidate_tower()
    assert still_after_one_step(tower, lambda: tower(items([1, 2, 3]), training=True)) == []


def test_a_restored_candidate_tower_gives_the_same_embeddings(candidate_tower, tmp_path):
    tower, other = candidate_tower(seed=3), candidate_tower(seed=4)
    expected = tower(items([0, 1, 2]))
    assert np.abs(other(items([0, 1, 2])) - expected).max() > 0.1
    restore(tower, other, tmp_path)
    np.testing.assert_array_equal(other(items([0, 1, 2])), expected)


# The query tower.


def history(timestamps: list[int], padding: int = 0, seed: int = 1) -> tuple[tf.Tensor, History]:
    """One user's events at these times: their candidate embeddings and their history."""
    random = np.random.default_rng(seed)
    count = len(timestamps)

    def padded(values: np.ndarray) -> tf.Tensor:
        return tf.constant(np.pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))[np.newaxis])

    events = History(
        row=padded(np.arange(1, count + 1)),
        kind=padded(random.integers(1, 7, count)),
        timestamp=padded(np.array(timestamps, np.int64)),
        price=padded(random.normal(size=count).astype(np.float32)),
        valid=padded(np.ones(count, bool)),
    )
    return padded(random.normal(size=(count, DIM)).astype(np.float32)), events


def context(query_times: list[int], age: int = 1, user: str = "ann", seed: int = 2) -> Context:
    random = np.random.default_rng(seed)
    query = random.normal(size=(1, 1, TEXT_DIM)).astype(np.float32)
    return Context(
        timestamp=tf.constant([query_times], tf.int64),
        query_vector=tf.repeat(tf.constant(query), len(query_times), axis=1),
        profile={"user_age": tf.constant([age], tf.int64)},
        user_id=tf.constant([user]),
    )


@pytest.fixture
def query_tower(make_config):
    """Make a tower for histories of LENGTH events with random weights."""

    def make(seed: int = 3, clock: str = "utc", **settings):
        config = make_config(towers={"dropout": 0.5, **settings}, clock=clock).towers
        tower = QueryTower(LENGTH, {"user_age": 3}, clock, config)
        tower(*history([NOON]), context([NOON]))
        randomize(tower, seed)
        return tower

    return make


# Two events of one basket, and a query time after the last event.
TIMES = [NOON, NOON + HOUR, NOON + 5 * HOUR, NOON + 5 * HOUR, NOON + 3 * DAY]
QUERY_TIMES = [*TIMES, NOON + 4 * DAY]


@pytest.mark.parametrize("changed", range(len(TIMES)))
@pytest.mark.parametrize("blocks", [1, 2])
def test_a_query_uses_only_strictly_earlier_events(query_tower, changed, blocks):
    tower = query_tower(blocks=blocks, heads=2)
    embeddings, events = history(TIMES)
    before = tower(embeddings, events, context(QUERY_TIMES)).numpy()[0]
    other_embeddings, other = history(TIMES, seed=9)
    here = np.arange(len(TIMES)) == changed
    events = events._replace(
        kind=tf.where(here, (events.kind + 1) % 7, events.kind), price=tf.where(here, other.price, events.price)
    )
    after = tower(tf.where(here[:, None], other_embeddings, embeddings), events, context(QUERY_TIMES)).numpy()[0]
    is_later = np.array(QUERY_TIMES) > TIMES[changed]
    np.testing.assert_array_equal(after[~is_later], before[~is_later])
    assert (np.abs(after[is_later] - before[is_later]).max(axis=1) > 1e-3).all()


@pytest.mark.parametrize(("position", "time"), [(5, NOON + 9 * DAY), (4, NOON + 5 * HOUR), (2, NOON + 5 * HOUR)])
def test_an_added_event_changes_no_query_up_to_its_time(query_tower, position, time):
    tower = query_tower()
    embeddings, events = history(TIMES)
    before = tower(embeddings, events, context(QUERY_TIMES)).numpy()[0]
    extra_embeddings, extra = history([time], seed=9)

    def inserted(values: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        return tf.concat([values[:, :position], value, values[:, position:]], axis=1)

    more = History(*(inserted(values, value) for values, value in zip(events, extra, strict=True)))
    after = tower(inserted(embeddings, extra_embeddings), more, context(QUERY_TIMES)).numpy()[0]
    is_later = np.array(QUERY_TIMES) > time
    np.testing.assert_allclose(after[~is_later], before[~is_later], atol=1e-5)
    assert (np.abs(after[is_later] - before[is_later]).max(axis=1) > 1e-3).all()


def test_the_average_of_a_history_weighs_events_by_kind():
    average = AverageByAge()
    embeddings = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
    kinds, age = tf.constant([[1, 4]], tf.int64), tf.zeros([1, 2, 2], tf.int64)
    bias = tf.zeros([1, 1, 2, 2])
    average(embeddings, kinds, bias, age)
    by_name = {weight.name.split("/")[-1]: weight for weight in average.weights}
    by_name["log_kind_weight:0"].assign(np.eye(len(EVENT_KINDS) + 1, dtype=np.float32)[4] * np.log(3.0))
    by_name["gain:0"].assign([4.0, 4.0])
    # The purchase, kind 4, has three times the weight of the view: 4 * 1/4 and 4 * 3/4.
    np.testing.assert_allclose(average(embeddings, kinds, bias, age)[0, 1], [1.0, 3.0], rtol=1e-6)


def test_a_user_without_history_has_the_start_state(query_tower):
    tower = query_tower(dim=DIM)
    no_history = (tf.zeros([1, 3, DIM]), *history([], padding=3)[1:])
    before = tower(*no_history, context([NOON]))
    known = tower(*history([NOON - DAY]), context([NOON]))
    assert np.isfinite(before).all()
    start = next(weight for weight in tower.weights if weight.name.endswith("/start:0"))
    start.assign(start + 1.0)
    assert np.abs(tower(*no_history, context([NOON])) - before)[..., :-1].min() > 1e-3
    np.testing.assert_array_equal(tower(*history([NOON - DAY]), context([NOON])), known)


def test_before_the_first_event_a_user_has_the_start_state(query_tower):
    tower = query_tower()
    no_history = tower(tf.zeros([1, 1, DIM]), history([], padding=1)[1], context([NOON]))
    np.testing.assert_array_equal(tower(*history([NOON, NOON + HOUR]), context([NOON])), no_history)


def test_padding_does_not_change_the_embedding(query_tower):
    tower = query_tower()
    short = tower(*history(TIMES), context(QUERY_TIMES))
    np.testing.assert_allclose(tower(*history(TIMES, padding=3), context(QUERY_TIMES)), short, atol=1e-5)


def test_values_in_the_padding_do_not_matter(query_tower):
    tower = query_tower()
    embeddings, events = history(TIMES, padding=1)
    expected = tower(embeddings, events, context(QUERY_TIMES))
    last = np.arange(6) == 5
    events = events._replace(kind=tf.where(last, tf.constant(6, tf.int64), events.kind))
    filled = tower(tf.where(last[:, None], 5.0, embeddings), events, context(QUERY_TIMES))
    np.testing.assert_allclose(filled, expected, atol=1e-5)


def test_users_of_a_batch_are_independent(query_tower):
    tower = query_tower()
    (one, events), (two, others) = history(TIMES), history([time + HOUR for time in TIMES], seed=9)
    both = History(*(tf.concat(pair, axis=0) for pair in zip(events, others, strict=True)))
    single = context(QUERY_TIMES)
    pair = Context(
        tf.repeat(single.timestamp, 2, axis=0),
        tf.repeat(single.query_vector, 2, axis=0),
        {"user_age": tf.constant([1, 1], tf.int64)},
        tf.constant(["ann", "ann"]),
    )
    together = tower(tf.concat([one, two], axis=0), both, pair)
    np.testing.assert_allclose(together[0], tower(one, events, single)[0], atol=1e-5)
    np.testing.assert_allclose(together[1], tower(two, others, single)[0], atol=1e-5)


def test_a_history_may_be_longer_than_in_training(query_tower):
    longer = [NOON + hour * HOUR for hour in range(LENGTH + 3)]
    assert np.isfinite(query_tower()(*history(longer), context([NOON + DAY]))).all()


def test_dropout_is_for_training_only(query_tower):
    tower = query_tower(dropout=0.5)
    known = (*history(TIMES), context([NOON + 9 * DAY]))
    np.testing.assert_array_equal(tower(*known), tower(*known))
    assert np.abs(tower(*known, training=True) - tower(*known)).max() > 1e-3


@COSINE_OR_DOT
def test_cosine_gives_queries_of_length_one_and_the_bias_counts_once(query_tower, cosine):
    vectors = query_tower(cosine=cosine)(*history(TIMES), context(QUERY_TIMES))[0]
    np.testing.assert_array_equal(vectors[:, -1], 1.0)
    lengths = tf.norm(vectors[:, :-1], axis=1).numpy()
    if cosine:
        np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    else:
        assert np.abs(lengths - 1.0).min() > 0.01


def test_profile_and_search_change_the_embedding(query_tower):
    tower = query_tower()
    base = tower(*history(TIMES), context([NOON + 4 * DAY]))
    assert np.abs(tower(*history(TIMES), context([NOON + 4 * DAY], age=2)) - base).max() > 1e-3
    assert np.abs(tower(*history(TIMES), context([NOON + 4 * DAY], seed=8)) - base).max() > 1e-3


def test_the_user_id_changes_the_embedding_only_if_configured(query_tower):
    for use_user_id in (True, False):
        tower = query_tower(use_user_id=use_user_id)
        ann, bob = (tower(*history(TIMES), context([NOON + 4 * DAY], user=name)) for name in ("ann", "bob"))
        assert (np.abs(ann - bob).max() > 1e-3) == use_user_id


def test_ordered_data_has_no_weekdays(query_tower):
    # Event n of ordered data has second n of 1970 as timestamp, so days have no meaning.
    thursday = (*history([1, 2, 3]), context([4]))
    friday = (*history([DAY + 1, DAY + 2, DAY + 3]), context([DAY + 4]))
    ordered, real = query_tower(clock="order"), query_tower(clock="utc")
    np.testing.assert_array_equal(ordered(*thursday), ordered(*friday))
    assert np.abs(real(*thursday) - real(*friday)).max() > 1e-3


def test_weekday_and_age_of_the_last_event_change_the_embedding(query_tower):
    tower = query_tower()
    base = tower(*history([NOON]), context([NOON + DAY]))
    # A week later it is the same weekday, but the last event is older.
    assert np.abs(tower(*history([NOON]), context([NOON + 8 * DAY])) - base).max() > 1e-3
    # All of it a day later has the same ages, but another weekday; a week later all is the same.
    assert np.abs(tower(*history([NOON + DAY]), context([NOON + 2 * DAY])) - base).max() > 1e-3
    np.testing.assert_array_equal(tower(*history([NOON + 7 * DAY]), context([NOON + 8 * DAY])), base)


@pytest.mark.parametrize("clock", ["utc", "order"])
def test_every_weight_of_the_query_tower_moves_after_one_step(query_tower, clock):
    tower = query_tower(clock=clock, use_user_id=True, dropout=0.0)
    assert still_after_one_step(tower, lambda: tower(*history(TIMES), context(QUERY_TIMES), training=True)) == []


def test_a_restored_query_tower_gives_the_same_embeddings(query_tower, tmp_path):
    tower, other = query_tower(seed=3), query_tower(seed=4)
    known = (*history(TIMES), context(QUERY_TIMES))
    assert np.abs(other(*known) - tower(*known)).max() > 0.1
    restore(tower, other, tmp_path)
    np.testing.assert_array_equal(other(*known), tower(*known))


# Helpers of the query tower.


def test_an_event_attends_to_itself_its_timestamp_and_older_events_but_not_to_padding():
    _, events = history([10, 20, 20, 30], padding=1)
    visible = (attention_bias(events)[0, 0] == 0).numpy().astype(int)
    assert visible[:4].tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]


def test_events_before_a_query_time_are_strictly_earlier():
    _, events = history([10, 20, 20, 30], padding=2)
    query_times = tf.constant([[5, 10, 11, 20, 21, 30, 31]], tf.int64)
    assert events_before(events, query_times).numpy().tolist() == [[0, 0, 1, 1, 3, 3, 4]]


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    # floor(2 * log2(1 + seconds)): 2 * log2(6) is 5.17, 2 * log2(86401) is 32.80
    [(-7, 0), (0, 0), (5, 5), (DAY, 32), (2**62, 63)],
)
def test_ages_fall_into_half_octaves(seconds, bucket):
    assert age_bucket(tf.constant(seconds, tf.int64)).numpy() == bucket


def still_after_one_step(layer: tf.keras.layers.Layer, answer) -> list[str]:
    """Names of trainable weights that one step of gradient descent does not move."""
    with tf.GradientTape() as tape:
        vectors = answer()
        loss = tf.reduce_sum(vectors * tf.constant(np.random.default_rng(0).normal(size=vectors.shape), tf.float32))
    weights = layer.trainable_weights
    before = [weight.numpy() for weight in weights]
    optimizer = tf.keras.optimizers.SGD(1.0)
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    has_changed = [np.abs(weight - old).max() > 1e-6 for weight, old in zip(weights, before, strict=True)]
    return [weight.name for weight, changed in zip(weights, has_changed, strict=True) if not changed]


def restore(saved: tf.keras.layers.Layer, other: tf.keras.layers.Layer, folder) -> None:
    path = tf.train.Checkpoint(layer=saved).write(str(folder / "checkpoint"))
    tf.train.Checkpoint(layer=other).read(path).assert_consumed()
