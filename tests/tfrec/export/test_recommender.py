"""Signatures of the shop's SavedModel, called with raw strings and numbers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tfrec.examples.batches import history_only
from tfrec.examples.dataset import sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.export.recommender import Recommender
from tfrec.language.tokenizer import word_piece_of
from tfrec.training.train import Trained

Call = Callable[..., dict[str, np.ndarray]]
"""Call a signature by name with arrays; return its outputs as arrays."""

Event = tuple[str, str, str, float]  # item, kind, time, price
ANN: list[Event] = [  # her events before the test window
    ("pasta", "purchase", "2024-01-05 10:00:00", 1.5),
    ("sauce", "purchase", "2024-01-05 10:00:00", 2.5),
    ("tea", "view", "2024-01-20 09:00:00", 0.0),
    ("tea", "purchase", "2024-02-10 18:00:00", 8.0),
]
CAI: list[Event] = [
    ("lamp", "view", "2024-01-10 08:00:00", 0.0),
    ("lamp", "purchase", "2024-01-12 08:00:00", 30.0),
    ("book", "purchase", "2024-01-30 08:00:00", 9.5),
]
TEST_START = "2024-03-04"
ALL = {"pasta", "sauce", "tea", "mug", "lamp", "book", "soap", "fern"}
ITEM_COLUMNS = "item_id item_title item_description item_category item_brand item_price item_maker".split()
TEA = ("", "西湖龙井 绿茶", "Green tea from Hangzhou", "Food > Drinks", "", 8.0, "")
FERN = ("fern", "Fern in a pot", "Likes shade", "Home > Plants", "", 0.0, "")
DIM = 8 + 1  # and the item's bias


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def request(*histories: list[Event], now: str = TEST_START, **inputs: list[str]) -> dict[str, np.ndarray]:
    """Inputs of `embed_query` for a batch of users, padded by "" and 0."""
    length = max(len(history) for history in histories)
    rows = [[*history, *[("", "", "1970-01-01", 0.0)] * (length - len(history))] for history in histories]
    columns = {name: [[event[i] for event in row] for row in rows] for i, name in enumerate(("item_id", "kind", "at"))}
    batch = len(histories)
    events = {
        "event_item_id": np.array(columns["item_id"], object).reshape(batch, length),
        "event_kind": np.array(columns["kind"], object).reshape(batch, length),
        "event_timestamp": np.array([[seconds(at) for at in row] for row in columns["at"]]).reshape(batch, length),
        "event_price": np.array([[event[3] for event in row] for row in rows], np.float32).reshape(batch, length),
        "timestamp": np.full(batch, seconds(now)),
    }
    texts = {name: [""] * batch for name in ("query", "user_id", "user_age", "user_city")} | inputs
    return events | {name: np.array(values, object) for name, values in texts.items()}


def item(*rows: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Inputs of `embed_item`, rows in the order of ITEM_COLUMNS."""
    columns = dict(zip(ITEM_COLUMNS, zip(*rows, strict=True), strict=True))
    return {name: np.array(values, np.float32 if name == "item_price" else object) for name, values in columns.items()}


@pytest.fixture(scope="module")
def signatures(exported_shop) -> Any:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    loaded = tf.saved_model.load(str(exported_shop.folder))
    return {"keep the tables alive": loaded} | dict(loaded.signatures)


@pytest.fixture(scope="module")
def call(signatures: Any) -> Call:
    def call_signature(signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        import tensorflow as tf

        tensors = {}
        for name, value in inputs.items():
            dtype = signatures[signature].structured_input_signature[1][name].dtype
            tensors[name] = tf.constant(value.tolist(), dtype, value.shape)
        return {name: value.numpy() for name, value in signatures[signature](**tensors).items()}

    return call_signature


@pytest.fixture(scope="module")
def embed(call: Call) -> Callable[..., np.ndarray]:
    """Call `embed_query` with the arguments of `request`."""
    return lambda *histories, **inputs: call("embed_query", **request(*histories, **inputs))["embedding"]


def constraints(batch: int, **rows: list[Any]) -> dict[str, np.ndarray]:
    """Inputs of `recommend` beside a request: `rows` by name, a list of names for each user."""
    text_names = ("exclude_item_id", "allow_category", "deny_category")
    assert rows.keys() <= {"exclude_seen", "diversity", "list_calibration", *text_names}
    inputs = {
        "exclude_seen": np.array(rows.get("exclude_seen", [False] * batch)),
        "diversity": np.array(rows.get("diversity", [0.0] * batch), np.float32),
        "list_calibration": np.array(rows.get("list_calibration", [-1.0] * batch), np.float32),
    }
    for name in text_names:
        texts = rows.get(name, [[]] * batch)
        longest = max(map(len, texts))
        padded = [[*row, *[""] * (longest - len(row))] for row in texts]
        inputs[name] = np.array(padded, object).reshape(batch, longest)
    return inputs


def recommend(call: Call, *histories: list[Event], exclude_seen: bool = False, **inputs: Any) -> dict[str, np.ndarray]:
    seen = [exclude_seen] * len(histories)
    return call("recommend", **request(*histories, **inputs), **constraints(len(histories), exclude_seen=seen))


def recommend_to_one(call: Call, history: list[Event], query: str = "", **values: Any) -> dict[str, np.ndarray]:
    """Call `recommend` for one user with constraints, each as a row of `constraints`."""
    return call(
        "recommend",
        **request(history, query=[query]),
        **constraints(1, **{name: [row] for name, row in values.items()}),
    )


def ids(answer: dict[str, np.ndarray], row: int = 0) -> list[str]:
    return [value.decode() for value in answer["item_id"][row]]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_model_has_seven_signatures(signatures: Any) -> None:
    assert set(signatures) - {"keep the tables alive"} == {
        "serving_default", "recommend", "search", "rank", "similar_items", "embed_query", "embed_item",
    }  # fmt: skip


def test_the_first_dimension_of_inputs_and_outputs_is_the_batch(signatures: Any) -> None:
    for name, signature in signatures.items():
        if name != "keep the tables alive":
            for spec in signature.structured_input_signature[1].values():
                assert spec.shape[0] is None, (name, spec)
            for output, tensor in signature.structured_outputs.items():
                assert tensor.shape[0] is None, (name, output)


@pytest.mark.parametrize("histories", [[ANN], [[]], [ANN, [], CAI], [[], [], []]])
def test_a_batch_of_users_gets_the_answers_of_single_requests(call: Call, histories: list[list[Event]]) -> None:
    together = recommend(call, *histories)
    assert together["score"].shape == together["item_id"].shape == together["title"].shape == (len(histories), 8)
    for row, history in enumerate(histories):
        alone = recommend(call, history)
        assert ids(together, row) == ids(alone)
        assert same(together["score"][row], alone["score"][0])


def test_recommend_search_and_the_default_signature_are_one_function(call: Call) -> None:
    inputs = request(ANN, query=["绿茶"]) | constraints(1)
    answers = [call(name, **inputs) for name in ("recommend", "search", "serving_default")]
    for answer in answers[1:]:
        assert ids(answer) == ids(answers[0])
        np.testing.assert_array_equal(answer["score"], answers[0]["score"])


def test_items_come_by_falling_score_with_their_titles(call: Call) -> None:
    answer = recommend(call, ANN)
    assert set(ids(answer)) == ALL
    assert list(answer["score"][0]) == sorted(answer["score"][0], reverse=True)
    titles = dict(zip(ids(answer), (title.decode() for title in answer["title"][0]), strict=True))
    assert titles["tea"] == "西湖龙井 绿茶"
    assert titles["mug"] == 'Mug "Blue"'
    assert titles["pasta"] == "Penne, 500 g"


def test_seen_items_are_excluded_only_on_request(call: Call) -> None:
    assert set(ids(recommend(call, ANN))) == ALL
    answer = recommend(call, ANN, exclude_seen=True)
    assert set(ids(answer)[:5]) == ALL - {"pasta", "sauce", "tea"}
    # No other item is left: the remaining positions stay empty.
    assert ids(answer)[5:] == ["", "", ""]
    assert (answer["score"][0, 5:] == np.finfo(np.float32).min).all()
    assert np.isfinite(answer["score"][0, :5]).all()


def test_exclude_seen_applies_to_its_own_row(call: Call) -> None:
    answer = call("recommend", **request(CAI, CAI), **constraints(2, exclude_seen=[True, False]))
    assert set(ids(answer, 0)) == ALL - {"lamp", "book"} | {""}
    assert set(ids(answer, 1)) == ALL


def test_excluded_items_are_left_out_and_the_others_move_up(call: Call) -> None:
    plain = recommend(call, ANN)
    answer = recommend_to_one(call, ANN, exclude_item_id=["mug", "no such item", "", ids(plain)[0]])
    kept = [index for index, name in enumerate(ids(plain)) if name not in ("mug", ids(plain)[0])]
    assert ids(answer) == [*(ids(plain)[index] for index in kept), *[""] * (8 - len(kept))]
    np.testing.assert_array_equal(answer["score"][0, : len(kept)], plain["score"][0, kept])


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({"allow_category": ["Food"]}, {"pasta", "sauce", "tea"}),
        ({"allow_category": ["Food > Pasta", "Books", "no such category"]}, {"pasta", "sauce", "book"}),
        ({"allow_category": ["no such category"]}, set()),
        ({"deny_category": ["Food", "no such category"]}, ALL - {"pasta", "sauce", "tea"}),
        ({"deny_category": ["Food > Pasta > Dry"]}, ALL - {"pasta"}),
        ({"allow_category": ["Food"], "deny_category": ["Food > Pasta"]}, {"tea"}),
        ({"allow_category": ["Food"], "exclude_item_id": ["tea"], "exclude_seen": True}, set()),
    ],
)
@pytest.mark.parametrize("query", ["", "desk lamp"])
def test_only_items_of_allowed_categories_are_recommended(
    call: Call, filters: dict[str, Any], allowed: set[str], query: str
) -> None:
    plain, answer = recommend(call, ANN, query=[query]), recommend_to_one(call, ANN, query, **filters)
    assert ids(answer) == [*(name for name in ids(plain) if name in allowed), *[""] * (8 - len(allowed))]
    assert (answer["score"][0, len(allowed) :] == np.finfo(np.float32).min).all()


def test_each_user_has_constraints_of_their_own(call: Call) -> None:
    three = constraints(
        3, allow_category=[["Food"], [], []], deny_category=[[], ["Food"], []], diversity=[0.0, 0.0, 1.0]
    )
    answer = call("recommend", **request(ANN, ANN, ANN), **three)
    assert set(ids(answer, 0)) == {"pasta", "sauce", "tea", ""}
    assert set(ids(answer, 1)) == ALL - {"pasta", "sauce", "tea"} | {""}
    assert ids(answer, 2) == ids(recommend_to_one(call, ANN, diversity=1.0))
    alone = recommend(call, ANN)
    assert [name for name in ids(answer, 1) if name] == [name for name in ids(alone) if name in ids(answer, 1)]


def test_full_diversity_puts_the_text_least_similar_to_the_first_second(call: Call, exported_shop) -> None:
    plain, answer = recommend(call, ANN), recommend_to_one(call, ANN, diversity=1.0)
    model, catalog = exported_shop.model, exported_shop.catalog
    vectors = model.texts.text_vectors.numpy()[catalog.text_row]
    row = {item_id.decode(): number for number, item_id in enumerate(catalog.item_ids)}
    cosines = {name: vectors[row[ids(plain)[0]]] @ vectors[row[name]] for name in ids(plain)[1:]}
    assert ids(answer)[0] == ids(plain)[0]
    assert ids(answer)[1] == min(cosines, key=cosines.__getitem__) != ids(plain)[1]
    # Each item keeps its own title and score.
    of_item = dict(zip(ids(plain), zip(plain["title"][0], plain["score"][0], strict=True), strict=True))
    assert dict(zip(ids(answer), zip(answer["title"][0], answer["score"][0], strict=True), strict=True)) == of_item


@pytest.mark.parametrize(("value", "clipped"), [(-1.0, 0.0), (float("nan"), 0.0), (7.5, 1.0), (float("inf"), 1.0)])
def test_diversity_is_clipped_and_nan_is_0(call: Call, value: float, clipped: float) -> None:
    answer, expected = recommend_to_one(call, ANN, diversity=value), recommend_to_one(call, ANN, diversity=clipped)
    for name, values in expected.items():
        np.testing.assert_array_equal(answer[name], values)


def test_list_calibration_keeps_items_with_their_titles_and_scores(call: Call) -> None:
    plain, answer = recommend(call, CAI), recommend_to_one(call, CAI, list_calibration=1.0)
    rows, plain_rows = (
        set(zip(ids(each), each["title"][0], each["score"][0], strict=True)) for each in (answer, plain)
    )
    assert rows == plain_rows


@pytest.mark.parametrize(
    ("value", "clipped"), [(-1.0, 0.0), (float("nan"), 0.0), (7.5, 1.0), (float("inf"), 1.0), (float("-inf"), 0.0)]
)
def test_list_calibration_is_clipped_nan_is_0_and_below_0_is_that_of_the_run(
    call: Call, value: float, clipped: float
) -> None:
    answer, expected = (recommend_to_one(call, CAI, list_calibration=each) for each in (value, clipped))
    for name, values in expected.items():
        np.testing.assert_array_equal(answer[name], values)


def test_a_run_may_calibrate_every_list_but_those_of_a_search(
    call: Call, exported_shop, transformed_shop, monkeypatch
) -> None:
    import tensorflow as tf

    monkeypatch.setattr("tfrec.export.list_calibration.PRICE", 100.0)  # above any difference of scores
    serving = dataclasses.replace(exported_shop.config.serving, list_calibration=1.0)
    recommender = Recommender(
        Trained(exported_shop.model, exported_shop.catalog, 0.0),
        Transformed(transformed_shop.folder),
        dataclasses.replace(exported_shop.config, serving=serving),
    )

    def answer(query: str, strength: float) -> list[str]:
        inputs = request(CAI, query=[query]) | constraints(1, list_calibration=[strength])
        types = {np.dtype(object): tf.string}
        tensors = {
            name: tf.constant(value.tolist(), types.get(value.dtype, value.dtype), value.shape)
            for name, value in inputs.items()
        }
        return [item_id.decode() for item_id in recommender.recommend(**tensors)["item_id"].numpy()[0]]

    plain = ids(recommend(call, CAI))
    assert answer("", -1.0) == answer("", 1.0) != plain
    assert answer("", 0.0) == plain
    assert answer("desk lamp", -1.0) == ids(recommend(call, CAI, query=["desk lamp"]))


@pytest.mark.slow
def test_a_server_answers_a_client_that_is_older_than_list_calibration(call: Call, exported_shop) -> None:
    from serving.lifecycle.warmup import load

    servable = load(exported_shop.folder, "shop")
    try:
        inputs = request(CAI) | constraints(1)
        del inputs["list_calibration"]
        assert servable.predict("recommend", inputs)["item_id"].tolist() == recommend(call, CAI)["item_id"].tolist()
    finally:
        servable.close()


@pytest.mark.parametrize("query", ["", "desk lamp"])
def test_rank_gives_candidates_their_scores_of_recommend(call: Call, query: str) -> None:
    plain = recommend(call, ANN, query=[query])
    candidates = np.array([["tea", "no such item", "lamp", "", "fern", "lamp"]], object)
    answer = call("rank", **request(ANN, query=[query]), candidate_item_id=candidates)
    indices = sorted(ids(plain).index(name) for name in ("tea", "lamp", "lamp", "fern"))
    assert ids(answer) == [*(ids(plain)[index] for index in indices), "", ""]
    assert answer["title"][0, :4].tolist() == plain["title"][0, indices].tolist()
    assert same(answer["score"][0, :4], plain["score"][0, indices])
    assert (answer["score"][0, 4:] == np.finfo(np.float32).min).all()


def test_each_user_has_candidates_of_their_own_and_may_have_none(call: Call) -> None:
    candidates = np.array([["tea", "mug"], ["lamp", ""]], object)
    answer = call("rank", **request(ANN, CAI), candidate_item_id=candidates)
    assert set(ids(answer, 0)) == {"tea", "mug"}
    assert ids(answer, 1) == ["lamp", ""]
    alone = call("rank", **request(CAI), candidate_item_id=candidates[1:])
    assert same(answer["score"][1], alone["score"][0])
    empty = call("rank", **request(ANN, CAI), candidate_item_id=np.empty((2, 0), object))
    assert {value.shape for value in empty.values()} == {(2, 0)}


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -float("inf")])
def test_a_price_that_is_not_finite_counts_as_unknown(embed: Any, price: float) -> None:
    assert same(embed([*ANN[:3], (*ANN[3][:3], price)]), embed([*ANN[:3], (*ANN[3][:3], 0.0)]))


def test_a_score_is_the_inner_product_of_the_two_embeddings(call: Call, embed: Any, signatures: Any) -> None:
    loaded = signatures["keep the tables alive"]
    answer = recommend(call, ANN)
    of_item = dict(zip(loaded.item_ids.numpy(), loaded.candidates.numpy(), strict=True))
    expected = [float(np.dot(embed(ANN)[0], of_item[item_id])) for item_id in answer["item_id"][0]]
    assert same(answer["score"][0], np.array(expected))


def test_a_search_adds_text_similarity_to_the_scores_of_its_own_row(
    call: Call, embed: Any, signatures: Any, exported_shop, transformed_shop
) -> None:
    loaded, model = signatures["keep the tables alive"], exported_shop.model
    words = word_piece_of(transformed_shop.config.features)(["Desk lamp"]).to_tensor()
    cosine = (model.texts.encoder(words).numpy() @ model.texts.text_vectors.numpy().T)[
        0, exported_shop.catalog.text_row
    ]
    ids_of_rows = loaded.item_ids.numpy()
    assert cosine[list(ids_of_rows).index(b"lamp")] == cosine[1:].max()
    inner = embed(ANN, query=["Desk lamp"])[0] @ loaded.candidates.numpy().T
    expected = dict(zip(ids_of_rows, inner + 40 * cosine, strict=True))
    answer = recommend(call, ANN, ANN, query=["Desk lamp", ""])
    assert same(answer["score"][0], np.array([expected[item_id] for item_id in answer["item_id"][0]]))
    assert ids(answer)[0] == "lamp"
    assert same(answer["score"][1], recommend(call, ANN)["score"][0])


def test_training_and_serving_embed_a_history_alike(exported_shop, transformed_shop, embed: Any) -> None:
    import tensorflow as tf

    profile_columns = transformed_shop.config.features.profile_columns
    (batch,) = sequences(transformed_shop.files["test"], profile_columns, 16)
    users = [user.decode() for user in batch["user_id"].numpy()]
    query_times = tf.fill([len(users), 1], tf.constant(seconds(TEST_START), tf.int64))
    no_search = tf.zeros([len(users), 1, exported_shop.model.texts.dim])
    trained = exported_shop.model.query(history_only(batch), query_times, no_search)[:, 0].numpy()
    # ann, cai and fay, who is new, with their profiles of tests/conftest.py; eve is left out.
    served = embed(ANN, CAI, [], user_age=["25-34", "25-34", "18-24"], user_city=["Lyon", "杭州", "Bern"])
    for name, embedding in zip(("ann", "cai", "fay"), served, strict=True):
        assert same(embedding, trained[users.index(name)]), name
    assert not same(served[0], served[1])


def test_the_order_of_the_events_in_a_request_does_not_matter(embed: Any) -> None:
    events = [ANN[0], *ANN[2:], *CAI]
    assert same(embed(events[::-1]), embed(sorted(events, key=lambda event: event[2])))


def test_padding_between_events_changes_nothing(embed: Any) -> None:
    nothing: Event = ("", "", "2024-01-15", 3.0)
    assert same(embed([nothing, ANN[0], nothing, nothing, *ANN[1:], nothing]), embed(ANN))


def test_only_the_latest_events_of_a_long_history_count(embed: Any) -> None:
    # This model takes 8 events at most (conftest.py's make_config).
    long: list[Event] = [(name, "click", f"2024-01-{day:02d}", 0.0) for day, name in enumerate(sorted(ALL) * 2, 1)]
    assert len(long) == 16
    assert same(embed(long[::-1]), embed(long[8:]))
    assert not same(embed(long), embed(long[:8]))


def test_events_after_the_query_time_are_ignored(embed: Any) -> None:
    later: Event = ("mug", "purchase", "2024-03-04 00:00:00", 6.0)
    assert same(embed([*ANN, later]), embed(ANN))
    assert not same(embed([*ANN, later], now="2024-03-05"), embed(ANN, now="2024-03-05"))


def test_timestamp_0_means_now(embed: Any) -> None:
    def at(query_time: float) -> np.ndarray:
        return embed(ANN, now=datetime.fromtimestamp(query_time, UTC).replace(tzinfo=None).isoformat())

    before = at(time.time())
    zero = embed(ANN, now="1970-01-01")
    assert same(zero, before) or same(zero, at(time.time()))  # the weekday may have changed meanwhile
    assert not same(zero, embed(ANN))


def test_unknown_items_kinds_and_profiles_do_no_harm(embed: Any, call: Call) -> None:
    odd: Event = ("no such item, 'quoted'", "no such kind", "2024-02-20", 1e9)
    assert same(embed([*ANN, odd]), embed(ANN))
    answer = recommend(call, [*ANN, odd], user_id=["nobody"], user_age=["130"], user_city=["Atlantis"])
    assert set(ids(answer)) == ALL
    assert np.isfinite(answer["score"]).all()
    assert np.isfinite(embed([*ANN[:3], ("tea", "no such kind", "2024-02-20", 1e9)])).all()
    # Unknown cities share one embedding, which differs from that of a known city.
    assert same(embed(ANN, user_city=["Atlantis"]), embed(ANN, user_city=["El Dorado"]))
    assert not same(embed(ANN, user_city=["Atlantis"]), embed(ANN, user_city=["Lyon"]))


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u3000\u00a0", "\u200b", "\x00"])
def test_a_blank_query_is_no_search(call: Call, blank: str) -> None:
    # Spaces, tabs, those of Chinese and HTML, and characters that nothing prints.
    plain, answer = recommend(call, ANN, query=[""]), recommend(call, ANN, query=[blank])
    assert ids(answer) == ids(plain)
    assert same(answer["score"], plain["score"])
    assert not same(recommend(call, ANN, query=["..."])["score"], plain["score"])


def test_a_history_of_unequal_columns_is_refused(call: Call) -> None:
    import tensorflow as tf

    inputs = request(ANN)
    for length in (3, 5):
        kinds = np.array([["purchase"] * length], object)
        text = f"event_kind has history length {length} but event_item_id has 4; send both of one size"
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            call("embed_query", **inputs | {"event_kind": kinds})


def test_a_search_in_chinese_changes_the_embedding_of_its_own_row(embed: Any) -> None:
    both = embed(ANN, ANN, query=["西湖龙井", ""])
    assert np.isfinite(both).all()
    assert not same(both[0], both[1])
    assert same(both[1], embed(ANN)[0])
    assert same(both[0], embed(ANN, query=["西湖龙井"])[0])
    assert not same(both[0], embed(ANN, query=["desk lamp"])[0])


def test_similar_items_leave_out_the_item_and_are_empty_for_an_unknown_id(call: Call) -> None:
    answer = call("similar_items", item_id=np.array(["tea", "no such item", "fern"], object))
    assert set(ids(answer, 0)) == ALL - {"tea"} | {""}
    assert ids(answer, 1) == [""] * 8
    assert (answer["score"][1] == np.finfo(np.float32).min).all()
    assert set(ids(answer, 2)) == ALL - {"fern"} | {""}
    cosines = answer["score"][[0, 2], :7]
    assert (np.abs(cosines) <= 1.0001).all()
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_embed_item_gives_a_catalog_item_its_candidate_embedding(call: Call, signatures: Any) -> None:
    loaded = signatures["keep the tables alive"]
    candidates = dict(zip((i.decode() for i in loaded.item_ids.numpy()), loaded.candidates.numpy(), strict=True))
    embedded = call("embed_item", **item(("tea", *TEA[1:]), FERN))["embedding"]
    assert embedded.shape == (2, DIM)
    assert same(embedded[0], candidates["tea"])
    assert same(embedded[1], candidates["fern"])  # cold: nobody bought it in the training window


def test_a_new_item_is_nearest_to_the_item_with_the_same_text(call: Call, signatures: Any) -> None:
    loaded = signatures["keep the tables alive"]
    new = call("embed_item", **item(TEA))["embedding"][0, :-1]
    known = loaded.candidates.numpy()[1:, :-1]
    cosines = known @ new / np.linalg.norm(known, axis=1) / np.linalg.norm(new)
    assert loaded.item_ids.numpy()[1:][np.argmax(cosines)] == b"tea"
    assert not same(new, known[np.argmax(cosines)])  # it has no id of its own yet
    unknown = call("embed_item", **item(("created a second ago", *TEA[1:])))["embedding"][0, :-1]
    assert same(unknown, new)


def test_titles_of_10_000_characters_and_empty_ones_are_embedded(call: Call) -> None:
    titles = ["tea " * 2500, "茶" * 10_000, "x" * 10_000, "", '", > \n\t 🫖']
    embedded = call("embed_item", **item(*(("", title, "", "", "", 0.0, "") for title in titles)))["embedding"]
    assert embedded.shape == (5, DIM)
    assert np.isfinite(embedded).all()
    # The BERT encodes the first 24 WordPieces; the rest of a long title has no effect.
    (short,) = call("embed_item", **item(("", "tea " * 30, "", "", "", 0.0, "")))["embedding"]
    assert same(embedded[0], short)


@pytest.mark.parametrize("signature", ["similar_items", "embed_item"])
def test_a_batch_of_items_gets_the_answers_of_single_requests(call: Call, signature: str) -> None:
    rows = [("tea", *TEA[1:]), FERN, ("", "Mug", "", "", "Clay & Co", 6.0, "M2")]
    names = slice(0, 1) if signature == "similar_items" else slice(None)
    together = call(signature, **dict(list(item(*rows).items())[names]))
    for number, row in enumerate(rows):
        alone = call(signature, **dict(list(item(row).items())[names]))
        for name, value in alone.items():
            assert value.shape[0] == 1
            equal = np.array_equal if value.dtype == object else same
            assert equal(together[name][number], value[0]), (name, row)


def test_embeddings_depend_on_a_further_column_of_the_catalog(call: Call, signatures: Any) -> None:
    mug = ("mug", 'Mug "Blue"', "Holds 300 ml", "Home > Kitchen", "Clay & Co", 6.0)
    embedded = call("embed_item", **item((*mug, "M2"), (*mug, "M1"), (*mug, "")))["embedding"]
    loaded = signatures["keep the tables alive"]
    assert same(embedded[0], dict(zip(loaded.item_ids.numpy(), loaded.candidates.numpy(), strict=True))[b"mug"])
    assert not same(embedded[0], embedded[1])
    assert not same(embedded[0], embedded[2])


def test_an_export_leaves_no_staging_folder(exported_shop) -> None:
    assert [path.name for path in exported_shop.folder.parent.iterdir()] == ["model"]
