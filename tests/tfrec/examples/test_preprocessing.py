"""Features: BERT tokens, vocabularies of training data only, one graph for training and serving."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.examples.preprocessing import Transformed, category_paths, day_of_week, item_text, kind_index
from tfrec.language.tokenizer import WordPiece

CLS, SEP, UNKNOWN = 101, 102, 100


@pytest.fixture(scope="module")
def word_piece(vocabulary) -> WordPiece:
    return WordPiece(vocabulary, 12)


def tokens(word_piece: WordPiece, text: str) -> list[int]:
    return word_piece(tf.constant([text])).to_list()[0]


def test_a_sentence_has_berts_own_ids(word_piece):
    # The example of BERT's own tokenization_test.py, its ids from vocab.txt (line number - 1):
    # un ##aff ##able there; here the larger vocabulary of bert-base-uncased has una ##ffa ##ble.
    assert tokens(word_piece, "UNaffable, gluten") == [CLS, 14477, 20961, 3468, 1010, 1043, 7630, 6528, SEP]


def test_accents_and_capitals_are_ignored(word_piece):
    assert tokens(word_piece, "CAFÉ") == tokens(word_piece, "cafe") == [CLS, 7668, SEP]


def test_chinese_has_a_token_for_each_character(word_piece):
    # 西 and 井 are in the vocabulary; 湖, 龙, 绿 and 茶 are not.
    assert tokens(word_piece, "西湖龙井 绿茶") == [CLS, 1947, UNKNOWN, UNKNOWN, 1754, UNKNOWN, UNKNOWN, SEP]


def test_an_empty_text_is_cls_and_sep(word_piece):
    assert tokens(word_piece, "") == [CLS, SEP]


def test_a_text_is_cut_at_the_length_and_keeps_its_sep(word_piece):
    # [CLS], ten times "soap" (7815), [SEP]
    assert tokens(word_piece, "soap " * 11) == [CLS, *[7815] * 10, SEP]
    assert tokens(word_piece, "soap " * 10) == [CLS, *[7815] * 10, SEP]
    assert tokens(word_piece, "soap " * 9) == [CLS, *[7815] * 9, SEP]


def test_texts_of_one_batch_keep_their_own_lengths(word_piece):
    assert word_piece(tf.constant(["soap", "", "soap soap"])).to_list() == [
        [CLS, 7815, SEP],
        [CLS, SEP],
        [CLS, 7815, 7815, SEP],
    ]


@pytest.mark.parametrize("text", ["soap " * 2000, "x" * 10_000, "茶" * 10_000])
def test_a_long_text_is_cut_to_the_length(word_piece, text):
    (tokens,) = word_piece(tf.constant([text])).to_list()
    assert 2 < len(tokens) <= 12
    assert (tokens[0], tokens[-1]) == (CLS, SEP)


def test_a_text_is_cut_before_it_is_tokenized(word_piece):
    # 16 characters a token, 12 tokens: what follows the first 192 characters is never looked up.
    # Looked up in full, a hundred words of 10,000 letters take minutes.
    assert word_piece(tf.constant([" " * 192 + "soap"])).to_list() == [[CLS, SEP]]
    assert len(word_piece(tf.constant([" " * 188 + "soap"])).to_list()[0]) == 3


def test_an_items_text_is_title_brand_category_and_description():
    text = item_text(*(tf.constant([part]) for part in ("Penne", "Molino", "Food > Pasta", "Durum")))
    assert text.numpy().tolist() == [b"Penne Molino Food Pasta Durum"]
    alone = item_text(*(tf.constant([part]) for part in ("Soap", "", "", "")))
    assert alone.numpy().tolist() == [b"Soap"]


def test_a_category_is_the_path_down_to_each_level():
    paths = category_paths(tf.constant(["Food > Pasta > Dry > Long", "Food > Tea", "Books", ""]), 3)
    assert paths.numpy().tolist() == [
        [b"Food", b"Food > Pasta", b"Food > Pasta > Dry"],
        [b"Food", b"Food > Tea", b""],
        [b"Books", b"", b""],
        [b"", b"", b""],
    ]


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        (0, 3),  # 1970-01-01 was a Thursday
        (1_709_510_399, 6),  # 2024-03-03 23:59:59, a Sunday
        (1_709_510_400, 0),  # 2024-03-04 00:00:00, a Monday
        (1_709_164_800, 3),  # 2024-02-29, a Thursday
        (-1, 2),  # 1969-12-31, a Wednesday
    ],
)
def test_the_day_of_a_known_date(timestamp, day):
    assert day_of_week(tf.constant(timestamp, tf.int64)).numpy() == day


def test_kinds_are_numbered_from_one_and_others_are_zero():
    kinds = tf.constant(["search", "view", "purchase", "teleport", ""])
    assert kind_index(kinds).numpy().tolist() == [6, 1, 4, 0, 0]


# Transform, run by Beam over the shop of tests/conftest.py and zoe (tests/tfrec/conftest.py).


def rows(transformed_shop, split: str, key: str) -> dict[str, dict[str, list]]:
    """The transformed examples of a split by their id."""
    by_key = {}
    for record in tf.data.TFRecordDataset(transformed_shop.files[split], compression_type="GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        values = {name: list(getattr(value, value.WhichOneof("kind")).value) for name, value in features.items()}
        by_key[values[key][0].decode()] = values
    return by_key


@pytest.fixture(scope="module")
def transformed(transformed_shop) -> Transformed:
    return Transformed(transformed_shop.folder)


def test_only_training_targets_are_counted(transformed, odd_id):
    # The shop's events before 2024-02-05, bob's search left out; zoe's soap is context, her odd
    # item is not.
    expected = {"pasta": 1, "sauce": 1, "tea": 2, "mug": 1, "lamp": 2, "book": 2, "soap": 2, odd_id: 2}
    assert transformed.item_frequencies() == {item.encode(): count for item, count in expected.items()}


def test_a_price_is_the_standard_score_of_its_logarithm(transformed_shop):
    # Known prices of training: 1.5, 2.5, 6, 30, 9.5, 2 and 2. Their log(1 + p): 0.9163, 1.2528,
    # 1.9459, 3.4340, 2.3514, 1.0986, 1.0986; mean 1.7282, standard deviation (of the population)
    # 0.8471. pasta (0.9163 - 1.7282) / 0.8471 = -0.9584, sauce -0.5613, lamp 2.0136; ann's tea has
    # no price.
    train = rows(transformed_shop, "train", "user_id")
    np.testing.assert_allclose(train["ann"]["event_price"], [-0.9584, -0.5613, 0.0], atol=2e-4)
    np.testing.assert_allclose(train["cai"]["event_price"], [0.0, 2.0136, 0.7356], atol=2e-4)
    # Later prices are measured by the past: ann's tea of February, log(9) = 2.1972, gives 0.5536.
    validation = rows(transformed_shop, "validation", "user_id")
    np.testing.assert_allclose(validation["ann"]["event_price"][-1], 0.5536, atol=2e-4)


def test_profile_values_of_training_users_have_indices_and_others_share_a_bucket(transformed_shop, transformed):
    # 25-34 is ann's and cai's, 35-44 bob's; Lyon ann's and dee's, 杭州 cai's. 0 is unknown (eve has
    # no row).
    train, test = (rows(transformed_shop, split, "user_id") for split in ("train", "test"))
    profile = {user: (values["user_age"], values["user_city"]) for user, values in train.items()}
    assert profile == {
        "ann": ([1], [1]),
        "bob": ([2], [0]),
        "cai": ([1], [2]),
        "dee": ([0], [1]),
        "eve": ([0], [0]),
        "zoe": ([0], [0]),
    }
    # fay (18-24, Bern) is of the test window only: the bucket behind the two known ones.
    assert (test["fay"]["user_age"], test["fay"]["user_city"]) == ([3], [3])
    assert transformed.indices("user_age", oov_buckets=1) == 4


def test_events_keep_their_ids_kinds_times_and_searches(transformed_shop):
    train = rows(transformed_shop, "train", "user_id")
    assert train["bob"]["event_item_id"] == [b"tea", b"mug"]
    assert train["bob"]["event_kind"] == [2, 3]  # click, cart
    assert train["bob"]["event_query"] == [b"green tea", b""]
    assert train["bob"]["event_timestamp"] == [1704744060, 1704744120]  # 2024-01-08 20:01 and 20:02
    assert train["zoe"]["event_is_target"] == [0, 1, 1]
    assert train["zoe"]["item_id"] == []


def test_items_have_the_features_of_their_columns(transformed_shop):
    catalog = rows(transformed_shop, "catalog", "item_id")
    # "Soap", without brand or category
    assert catalog["soap"]["item_tokens"] == [CLS, 7815, SEP]
    assert catalog["soap"]["item_category"] == [0, 0, 0, 0]
    assert catalog["soap"]["item_brand"] == [0]
    # The path as the shop writes it goes along, for whoever asks by its name.
    assert catalog["pasta"]["item_category_path"] == [b"Food > Pasta > Dry"]
    assert catalog["soap"]["item_category_path"] == [b""]
    # Food has three items, Home has three: numbers 1 and 2 in some order; Molino is the commonest
    # brand.
    food = catalog["pasta"]["item_category"][0]
    assert sorted([food, catalog["mug"]["item_category"][0]]) == [1, 2]
    assert [catalog[item]["item_category"][0] for item in ("sauce", "tea")] == [food, food]
    assert catalog["pasta"]["item_category"][1] == catalog["sauce"]["item_category"][1] not in (0, food)
    assert catalog["pasta"]["item_category"][2] != catalog["sauce"]["item_category"][2]
    assert catalog["tea"]["item_category"][2] == 0
    # Makers are categories of their own.
    pasta, sauce, mug, lamp = (catalog[item]["item_category"][3] for item in ("pasta", "sauce", "mug", "lamp"))
    assert pasta == sauce != mug == lamp
    assert {pasta, mug}.isdisjoint({0, *(index for item in catalog.values() for index in item["item_category"][:3])})
    assert [catalog[item]["item_brand"] for item in ("pasta", "sauce", "tea")] == [[1], [1], [0]]
    assert catalog["tea"]["item_title"] == ["西湖龙井 绿茶".encode()]
    assert catalog["tea"]["event_item_id"] == []


def test_prices_fall_into_ten_buckets_in_ascending_order(transformed_shop):
    catalog = rows(transformed_shop, "catalog", "item_id")
    bucket = {item: values["item_price"][0] for item, values in catalog.items()}
    assert bucket["fern"] == 0  # no price
    by_price = [bucket[item] for item in ("pasta", "soap", "sauce", "mug", "tea", "book", "lamp")]
    assert by_price == sorted(set(by_price))
    assert by_price[0] >= 1
    assert by_price[-1] == 10


def test_serving_computes_the_same_item_features_as_training(transformed, transformed_shop):
    raw = {
        "item_id": "pasta",
        "item_title": "Penne, 500 g",
        "item_description": "Durum wheat",
        "item_category": "Food > Pasta > Dry",
        "item_brand": "Molino",
        "item_maker": "M1",
    }
    inputs = {name: filled(tf.constant([value])) for name, value in raw.items()}
    served = transformed.layer()(inputs | {"item_price": filled(tf.constant([1.5]))})
    trained = rows(transformed_shop, "catalog", "item_id")["pasta"]
    names = ("item_id", "item_title", "item_tokens", "item_category", "item_brand", "item_price")
    assert {name: served[name].values.numpy().tolist() for name in names} == {name: trained[name] for name in names}


def test_serving_computes_the_same_user_features_as_training(transformed, transformed_shop):
    # cai's events before 2024-02-05, as tests/conftest.py has them
    raw = {
        "event_item_id": ["lamp", "lamp", "book"],
        "event_kind": ["view", "purchase", "purchase"],
        "event_timestamp": [1704873600, 1705046400, 1706601600],
        "event_price": [0.0, 30.0, 9.5],
        "event_query": ["desk lamp", "", ""],
        "event_is_target": [1, 1, 1],
        "user_id": ["cai"],
        "user_age": ["25-34"],
        "user_city": ["杭州"],
    }
    dtypes = {"event_timestamp": tf.int64, "event_is_target": tf.int64}
    served = transformed.layer()({name: filled(tf.constant(v, dtypes.get(name))) for name, v in raw.items()})
    trained = rows(transformed_shop, "train", "user_id")["cai"]
    assert {name: served[name].values.numpy().tolist() for name in raw} == {name: trained[name] for name in raw}


def test_unseen_brands_and_categories_share_a_bucket(transformed):
    unseen = {"item_brand": "Nobody", "item_category": "Food > Moon cheese", "item_maker": "M99"}
    inputs = {name: filled(tf.constant([""])) for name in ("item_title", "item_description")}
    served = transformed.layer()(inputs | {name: filled(tf.constant([value])) for name, value in unseen.items()})
    # Molino, Clay & Co and Lumen are known: 4 is the bucket. Food is known, the path below it is
    # not.
    assert served["item_brand"].values.numpy().tolist() == [4]
    food, cheese, nothing, maker = served["item_category"].values.numpy().tolist()
    assert food in (1, 2)
    bucket = transformed.indices("item_category", oov_buckets=1) - 1
    assert (cheese, nothing, maker) == (bucket, 0, bucket)


def filled(values: tf.Tensor) -> tf.SparseTensor:
    """[n] values of one row, "" and 0 among them."""
    positions = tf.stack([tf.zeros_like(values, tf.int64), tf.range(len(values), dtype=tf.int64)], axis=1)
    return tf.SparseTensor(positions, values, [1, len(values)])
